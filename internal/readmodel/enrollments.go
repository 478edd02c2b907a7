package readmodel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// An Enrollment is one prospect of an account in one campaign.
type Enrollment struct {
	ID           int64      `json:"id"`
	Campaign     string     `json:"campaign"` // its key
	ProspectURL  string     `json:"prospect_url"`
	ExternalID   string     `json:"external_id,omitempty"` // the platform's own ID; empty: none
	Status       string     `json:"status"`
	PausedReason *string    `json:"paused_reason"`        // nil if not paused
	OwnReason    string     `json:"own_reason,omitempty"` // the platform's own cause of a manual pause
	PausedAt     *time.Time `json:"paused_at"`
	Step         int        `json:"step"`
	NextActionAt *time.Time `json:"next_action_at"`
}

// ErrStatus is returned for a status that no index supports.
var ErrStatus = errors.New("enrollments of an account can be listed only with status paused or active")

// Enrollments returns a page of the enrollments of an account with the status "paused" or "active",
// ordered by campaign. Paused enrollments that wait for an account come first; within a campaign,
// the longest paused come first.
func Enrollments(ctx context.Context, db *store.Store, s Scope, accountID int64, status string, p Paging) (Page[Enrollment], error) {
	var page Page[Enrollment]
	err := ofAccount(ctx, db, s, accountID, func(q *dbsqlc.Queries) (err error) {
		switch status {
		case "paused":
			page, err = pausedEnrollments(ctx, q, s, accountID, p)
		case "active":
			page, err = activeEnrollments(ctx, q, s, accountID, p)
		default:
			err = ErrStatus
		}
		return err
	})
	if err != nil {
		return Page[Enrollment]{}, fmt.Errorf("enrollments of account %d: %w", accountID, err)
	}
	return page, nil
}

// inPaused is a position in the list of paused enrollments of an account.
type inPaused struct {
	Waits    bool      `json:"waits"`
	Campaign int64     `json:"campaign"`
	PausedAt time.Time `json:"paused_at"`
	ID       int64     `json:"id"`
}

func pausedEnrollments(ctx context.Context, q *dbsqlc.Queries, s Scope, accountID int64, p Paging) (Page[Enrollment], error) {
	const list = "paused enrollments"
	from, err := after(p, list, inPaused{Waits: true})
	if err != nil {
		return Page[Enrollment]{}, err
	}
	params := dbsqlc.PausedEnrollmentsParams{AccountID: accountID, FirstWorkspace: s.first, LastWorkspace: s.last, Size: p.size()}
	parts := []inPaused{from}
	if from.Waits { // the part that does not wait follows
		parts = append(parts, inPaused{})
	}
	for _, part := range parts {
		params.Waits = append(params.Waits, part.Waits)
		params.AfterCampaigns = append(params.AfterCampaigns, part.Campaign)
		params.AfterTimes = append(params.AfterTimes, part.PausedAt)
		params.AfterIds = append(params.AfterIds, part.ID)
	}
	rows, err := q.PausedEnrollments(ctx, params)
	if err != nil {
		return Page[Enrollment]{}, err
	}
	item := func(r dbsqlc.PausedEnrollmentsRow) Enrollment {
		return Enrollment{
			ID: r.ID, Campaign: r.Campaign, ProspectURL: r.ProspectUrl, ExternalID: r.ExternalID, Status: r.Status, PausedReason: &r.PausedReason, OwnReason: r.OwnReason,
			PausedAt: utc(&r.PausedAt), Step: int(r.Step), NextActionAt: utc(r.NextActionAt),
		}
	}
	return paged(p, list, rows, item, func(r dbsqlc.PausedEnrollmentsRow) inPaused {
		return inPaused{r.WaitsForAccount, r.CampaignID, r.PausedAt, r.ID}
	})
}

// inCampaign is a position in the list of active enrollments of an account.
type inCampaign struct {
	Campaign int64 `json:"campaign"`
	ID       int64 `json:"id"`
}

func activeEnrollments(ctx context.Context, q *dbsqlc.Queries, s Scope, accountID int64, p Paging) (Page[Enrollment], error) {
	const list = "active enrollments"
	from, err := after(p, list, inCampaign{})
	if err != nil {
		return Page[Enrollment]{}, err
	}
	rows, err := q.ActiveEnrollments(ctx, dbsqlc.ActiveEnrollmentsParams{
		AccountID: accountID, AfterCampaign: from.Campaign, AfterID: from.ID, FirstWorkspace: s.first, LastWorkspace: s.last, Size: p.size(),
	})
	if err != nil {
		return Page[Enrollment]{}, err
	}
	item := func(r dbsqlc.ActiveEnrollmentsRow) Enrollment {
		return Enrollment{
			ID: r.ID, Campaign: r.Campaign, ProspectURL: r.ProspectUrl, ExternalID: r.ExternalID, Status: r.Status, Step: int(r.Step),
			NextActionAt: utc(r.NextActionAt),
		}
	}
	return paged(p, list, rows, item, func(r dbsqlc.ActiveEnrollmentsRow) inCampaign { return inCampaign{r.CampaignID, r.ID} })
}
