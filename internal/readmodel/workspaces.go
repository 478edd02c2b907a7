package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A Workspace is a tenant of the platform.
type Workspace struct {
	ID                  int64      `json:"id"`
	Workspace           string     `json:"workspace"`             // its key
	Name                string     `json:"name"`                  // empty if it has none
	ExternalID          string     `json:"external_id,omitempty"` // the platform's own ID; empty: none
	AutoResume          bool       `json:"auto_resume"`
	AutoResumeReason    *string    `json:"auto_resume_reason"`     // why it was changed; nil if not given
	AutoResumeChangedAt *time.Time `json:"auto_resume_changed_at"` // nil if it never changed
	AutoResumeChangedBy *string    `json:"auto_resume_changed_by"`
	Shadow              bool       `json:"shadow"` // whether Thaw changes nothing in it
	CreatedAt           time.Time  `json:"created_at"`
}

// AutoResumeStates are the values of the filter by auto-resume.
var AutoResumeStates = []string{"on", "off"}

// Workspaces returns a page of workspaces, ordered by ID. If autoResume is not empty, it has only
// those whose auto-resume is in that state.
func Workspaces(ctx context.Context, db *store.Store, s Scope, autoResume string, p Paging) (Page[Workspace], error) {
	const list = "workspaces"
	from, err := after(p, list, newest{})
	if err != nil {
		return Page[Workspace]{}, fmt.Errorf("listing workspaces: %w", err)
	}
	var state *bool
	if autoResume != "" {
		on := autoResume == "on"
		state = &on
	}
	rows, err := db.Read().WorkspacePage(ctx, dbsqlc.WorkspacePageParams{
		AfterID: from.ID, FirstWorkspace: s.first, LastWorkspace: s.last, AutoResume: state, Size: p.size(),
	})
	if err != nil {
		return Page[Workspace]{}, fmt.Errorf("listing workspaces: %w", err)
	}
	item := func(r dbsqlc.WorkspacePageRow) Workspace {
		return Workspace{
			ID: r.ID, Workspace: r.Workspace, Name: r.Name, ExternalID: r.ExternalID, AutoResume: r.AutoResume, AutoResumeReason: r.AutoResumeReason,
			AutoResumeChangedAt: utc(r.AutoResumeChangedAt), AutoResumeChangedBy: r.AutoResumeChangedBy, Shadow: r.Shadow, CreatedAt: r.CreatedAt.UTC(),
		}
	}
	return paged(p, list, rows, item, func(r dbsqlc.WorkspacePageRow) newest { return newest{r.ID} })
}

// WorkspaceCounts are the accounts and the paused prospects of a workspace.
type WorkspaceCounts struct {
	Accounts, Connected int64
	Paused, Waiting     int64 // Waiting is how many of them wait for an account
}

// CountWorkspaces returns the counts of workspaces, by ID.
func CountWorkspaces(ctx context.Context, db *store.Store, ids []int64) (map[int64]WorkspaceCounts, error) {
	counts := make(map[int64]WorkspaceCounts, len(ids))
	err := db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		rows, err := q.WorkspaceCounts(ctx, ids)
		for _, r := range rows {
			counts[r.ID] = WorkspaceCounts{Accounts: r.Accounts, Connected: r.Connected, Paused: r.Paused, Waiting: r.Waiting}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("counting in workspaces: %w", err)
	}
	return counts, nil
}
