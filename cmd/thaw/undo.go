package main

import (
	"context"
	"errors"

	"github.com/thawline/thaw/internal/operator"
)

type undoCmd struct {
	database `embed:""`
	ID       int64  `arg:"" help:"ID of the action. The command printed it, and the audit log lists it."`
	Reason   string `help:"Reason, for the audit log." placeholder:"TEXT"`
	DryRun   bool   `help:"Show what the undo would restore without changing anything."`
	JSON     bool   `help:"Print JSON."`
}

func (undoCmd) Help() string {
	return "The action can be a pause, a resume, a hold, or a change of auto-resume or of a heal cap. Prospects that were active before a pause become resumable, and the next sweeps resume them within the caps. Requires the role that owns the schema.\n\nExample:\n  thaw undo 12 --reason \"paused the wrong account\""
}

// Validate requires --reason, except for a dry run.
func (c *undoCmd) Validate() error {
	if c.Reason == "" && !c.DryRun {
		return errors.New("missing flags: --reason=TEXT")
	}
	return nil
}

// An undone is the JSON output of an undo.
type undone struct {
	ActionID *int64 `json:"action_id"` // of the undo; null for a dry run
	Restored int64  `json:"restored"`  // prospects; 0 if the action was not about prospects
}

func (c *undoCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		if c.DryRun {
			return c.dryRun(ctx, e, o)
		}
		shown := newProgress(e.stderr, "undo", "prospects", -1)
		defer shown.finish()
		done, err := o.Undo(ctx, c.ID, c.Reason, shown.set)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, undone{ActionID: &done.ID, Restored: done.Changed})
		}
		printf(e.stdout, "action %d undone%s\n", c.ID, prospectsRestored(done.Changed))
		return nil
	})
}

func (c *undoCmd) dryRun(ctx context.Context, e *env, o *operator.Operator) error {
	preview, err := o.PreviewUndo(ctx, c.ID)
	switch {
	case err != nil:
		return err
	case preview.Refusal != "":
		return &operator.Problem{Kind: operator.Conflict, Message: preview.Refusal, Fix: preview.Fix}
	case c.JSON:
		return writeJSON(e.stdout, undone{Restored: preview.Prospects})
	}
	printf(e.stdout, "dry run: would undo action %d%s; nothing changed\n", c.ID, prospectsRestored(preview.Prospects))
	return nil
}

func prospectsRestored(n int64) string {
	if n == 0 {
		return ""
	}
	return ": " + many(n, "prospect") + " restored"
}
