package readmodel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A Campaign is a sequence of steps.
type Campaign struct {
	ID           int64      `json:"id"`
	Workspace    string     `json:"workspace"`             // its key
	Campaign     string     `json:"campaign"`              // its key
	Name         string     `json:"name"`                  // empty if it has none
	ExternalID   string     `json:"external_id,omitempty"` // the platform's own ID; empty: none
	Status       string     `json:"status"`
	PausedReason *string    `json:"paused_reason"` // nil if not paused
	PausedAt     *time.Time `json:"paused_at"`
	// WaitsForAccount is true if Thaw starts the campaign again automatically, with its prospects.
	WaitsForAccount bool      `json:"waits_for_account"`
	CreatedAt       time.Time `json:"created_at"`
}

// Campaigns returns a page of campaigns, ordered by workspace and ID. A status that is not empty
// filters them.
func Campaigns(ctx context.Context, db *store.Store, s Scope, status string, p Paging) (Page[Campaign], error) {
	const list = "campaigns"
	from, err := after(p, list, inWorkspace{Workspace: s.first})
	if err != nil {
		return Page[Campaign]{}, fmt.Errorf("listing campaigns: %w", err)
	}
	rows, err := db.Read().CampaignPage(ctx, dbsqlc.CampaignPageParams{
		AfterWorkspace: from.Workspace, AfterID: from.ID, FirstWorkspace: s.first, LastWorkspace: s.last,
		Status: store.OrNil(status), Size: p.size(),
	})
	if err != nil {
		return Page[Campaign]{}, fmt.Errorf("listing campaigns: %w", err)
	}
	item := func(r dbsqlc.CampaignPageRow) Campaign {
		return Campaign{
			ID: r.ID, Workspace: r.Workspace, Campaign: r.Campaign, Name: r.Name, ExternalID: r.ExternalID, Status: r.Status, PausedReason: store.OrNil(r.PausedReason),
			PausedAt: utc(r.PausedAt), WaitsForAccount: r.WaitsForAccount, CreatedAt: r.CreatedAt.UTC(),
		}
	}
	return paged(p, list, rows, item, func(r dbsqlc.CampaignPageRow) inWorkspace { return inWorkspace{r.WorkspaceID, r.ID} })
}

// CampaignID returns the ID of the campaign with the given key. The scope must be one workspace,
// because each workspace has its own keys. It returns [ErrNotFound] if there is no such campaign.
func CampaignID(ctx context.Context, db *store.Store, s Scope, key string) (int64, error) {
	if !s.IsOneWorkspace() {
		return 0, fmt.Errorf("campaign %q of no workspace: %w", key, ErrNotFound)
	}
	id, err := db.Read().FindCampaign(ctx, dbsqlc.FindCampaignParams{Campaign: key, WorkspaceID: s.WorkspaceID()})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, fmt.Errorf("campaign %q: %w", key, ErrNotFound)
	case err != nil:
		return 0, fmt.Errorf("looking for campaign %q: %w", key, err)
	}
	return id, nil
}
