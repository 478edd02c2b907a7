package operator

import (
	"context"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// An UndoPreview says what an undo of an action would do.
type UndoPreview struct {
	// Refusal says why the action cannot be undone, and Fix what to do instead. Empty: it can be.
	Refusal, Fix string
	// Prospects is how many prospects the undo would restore.
	Prospects int64
}

// PreviewUndo returns what [Operator.Undo] would do.
func (o *Operator) PreviewUndo(ctx context.Context, actionID int64) (UndoPreview, error) {
	if err := o.forOperators("undo an action"); err != nil {
		return UndoPreview{}, err
	}
	row, err := o.store.Trip().PreviewUndo(ctx, actionID)
	return UndoPreview{Refusal: row.Refusal, Fix: row.Hint, Prospects: row.Enrollments}, err
}

// Undo restores only what an action changed. What has been changed again since the action stays as
// it is. A prospect that was active before a pause becomes resumable, and the next sweeps resume it
// within the caps. Undo fails if nothing is left to undo. progress may be nil.
func (o *Operator) Undo(ctx context.Context, actionID int64, reason string, progress func(int64)) (action Action, err error) {
	if err := o.forOperators("undo an action"); err != nil {
		return action, err
	}
	// As in actOnAccount, the caller may have gone.
	ctx = context.WithoutCancel(ctx)
	if action.ID, err = o.store.Trip().StartUndo(ctx, dbsqlc.StartUndoParams{ActionID: actionID, Reason: reason, Actor: o.actor}); err != nil {
		return action, err
	}
	for after := int64(0); ; {
		batch, err := o.store.Trip().UndoBatch(ctx, dbsqlc.UndoBatchParams{UndoID: action.ID, AfterEventID: after, Size: batchSize})
		action.Changed += int64(batch.Restored)
		if err != nil || batch.LastEventID == 0 {
			return action, interrupted(action.Changed, err)
		}
		after = batch.LastEventID
		if progress != nil {
			progress(action.Changed)
		}
	}
}
