package operator

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// PreviewRemoval counts what the removal of a workspace removes. It reads all enrollments.
func (o *Operator) PreviewRemoval(ctx context.Context, workspace string) (size dbsqlc.WorkspaceSizeRow, err error) {
	if err := o.forOperators("remove a workspace"); err != nil {
		return size, err
	}
	err = o.store.Unhurried(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) (err error) {
		size, err = q.WorkspaceSize(ctx, workspace)
		return err
	})
	return size, err
}

// RemoveWorkspace removes a workspace with everything that belongs to it, in many short
// transactions. It cannot be undone. If it is interrupted, another call continues. progress is
// called with the accounts, campaigns and enrollments that are removed so far, and how many there
// are.
func (o *Operator) RemoveWorkspace(ctx context.Context, workspace, reason string, progress func(removed, total int64)) (int64, error) {
	if err := o.forOperators("remove a workspace"); err != nil {
		return 0, err
	}
	removed := int64(0)
	for {
		var part dbsqlc.RemoveWorkspacePartRow
		err := o.store.Unhurried(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) (err error) {
			part, err = q.RemoveWorkspacePart(ctx, dbsqlc.RemoveWorkspacePartParams{Workspace: workspace, Reason: reason, Actor: o.actor})
			return err
		})
		if err != nil && removed > 0 {
			return removed, fmt.Errorf("%w; %d rows were removed: run the command again to continue", err, removed)
		} else if err != nil {
			return 0, err
		}
		removed = part.Removed
		progress(part.Removed, part.Removed+part.Remaining)
		if part.Done {
			return removed, nil
		}
	}
}
