package readmodel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
)

// A PausedProspect is a paused prospect in one campaign, in a list of any part of the fleet.
type PausedProspect struct {
	EnrollmentID int64     `json:"enrollment_id"`
	Workspace    string    `json:"workspace"` // its key
	AccountID    int64     `json:"account_id"`
	Account      string    `json:"account"`      // the provider account ID
	AccountName  string    `json:"account_name"` // empty if it has none
	Campaign     string    `json:"campaign"`     // its key
	CampaignName string    `json:"campaign_name"`
	ProspectURL  string    `json:"prospect_url"`          // as it was enrolled
	ExternalID   string    `json:"external_id,omitempty"` // the platform's own ID; empty: none
	PausedReason string    `json:"paused_reason"`
	OwnReason    string    `json:"own_reason,omitempty"` // the platform's own cause of a manual pause
	PausedAt     time.Time `json:"paused_at"`
	Step         int       `json:"step"`
}

// PausedFilter selects the paused prospects that match all fields that are set.
type PausedFilter struct {
	Reason     string  // a thaw.pause_reason
	AccountIDs []int64 // nil means all accounts
	CampaignID *int64
	OlderThan  time.Duration // paused for longer than this
	// LongestFirst orders the list by pause time. It looks at every line of the list, so it is meant
	// for a workspace or an account. Otherwise the list is in the order of accounts and campaigns.
	LongestFirst bool
}

// ErrWholeFleet means that the prospects of the whole fleet were filtered by age. Of very many
// lines of the list, few may have such prospects.
var ErrWholeFleet = errors.New("the prospects of the whole fleet cannot be filtered by age")

// ProspectReasons are the reasons for which prospects are paused.
var ProspectReasons = slices.DeleteFunc(slices.Clone(enum.PauseReasons), enum.PauseReason.IsOfCampaigns)

// inPausedList is a position in the list of paused prospects. A list by pause time uses only the
// last two fields.
type inPausedList struct {
	Account  int64     `json:"account,omitempty"`
	Campaign int64     `json:"campaign,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	PausedAt time.Time `json:"paused_at"`
	ID       int64     `json:"id"`
}

// PausedProspects returns a page of the paused prospects within the scope.
func PausedProspects(ctx context.Context, db *store.Store, s Scope, f PausedFilter, p Paging) (page Page[PausedProspect], err error) {
	err = db.SnapshotWith(ctx, planned, func(q *dbsqlc.Queries) error {
		if f, err = f.within(ctx, q, s); err != nil {
			return err
		}
		page, err = pausedProspects(ctx, q, s, f, p)
		return err
	})
	if err != nil {
		return Page[PausedProspect]{}, fmt.Errorf("listing paused prospects: %w", err)
	}
	return page, nil
}

// planned makes a plan for the filters that are set: one for all filters would read all lines.
var planned = store.SnapshotOptions{CustomPlans: true}

// within limits the filter to the accounts of the scope.
func (f PausedFilter) within(ctx context.Context, q *dbsqlc.Queries, s Scope) (PausedFilter, error) {
	switch {
	case s == Everything() && f.AccountIDs == nil && f.OlderThan > 0:
		return f, ErrWholeFleet
	case s == Everything():
		return f, nil
	}
	ids, err := q.AccountsOfScope(ctx, dbsqlc.AccountsOfScopeParams{FirstWorkspace: s.first, LastWorkspace: s.last, AccountIds: f.AccountIDs})
	f.AccountIDs = append([]int64{}, ids...)
	return f, err
}

func pausedProspects(ctx context.Context, q *dbsqlc.Queries, s Scope, f PausedFilter, p Paging) (Page[PausedProspect], error) {
	list := "paused prospects"
	if f.LongestFirst {
		list = "longest paused prospects"
	}
	from, err := after(p, list, inPausedList{})
	if err != nil {
		return Page[PausedProspect]{}, err
	}
	if from.Reason != "" && !slices.Contains(ProspectReasons, enum.PauseReason(from.Reason)) {
		return Page[PausedProspect]{}, ErrCursor
	}
	if f.LongestFirst {
		rows, err := q.LongestPaused(ctx, dbsqlc.LongestPausedParams{
			FirstWorkspace: s.first, LastWorkspace: s.last, AccountIds: f.AccountIDs, CampaignID: f.CampaignID, Reason: store.OrNil(f.Reason),
			OlderThan: store.OrNil(f.OlderThan), AfterTime: from.PausedAt, AfterID: from.ID, Size: p.size(),
		})
		if err != nil {
			return Page[PausedProspect]{}, err
		}
		return paged(p, list, rows, func(r dbsqlc.LongestPausedRow) PausedProspect { return pausedProspect(dbsqlc.PausedProspectsRow(r)) },
			func(r dbsqlc.LongestPausedRow) inPausedList { return inPausedList{PausedAt: r.PausedAt, ID: r.ID} })
	}
	rows, err := q.PausedProspects(ctx, dbsqlc.PausedProspectsParams{
		FirstWorkspace: s.first, LastWorkspace: s.last, AccountIds: f.AccountIDs, CampaignID: f.CampaignID, Reason: store.OrNil(f.Reason),
		OlderThan: store.OrNil(f.OlderThan), AfterAccount: from.Account, AfterCampaign: from.Campaign, AfterReason: from.Reason,
		AfterTime: from.PausedAt, AfterID: from.ID, Size: p.size(),
	})
	if err != nil {
		return Page[PausedProspect]{}, err
	}
	return paged(p, list, rows, pausedProspect, func(r dbsqlc.PausedProspectsRow) inPausedList {
		return inPausedList{r.AccountID, r.CampaignID, r.PausedReason, r.PausedAt, r.ID}
	})
}

func pausedProspect(r dbsqlc.PausedProspectsRow) PausedProspect {
	return PausedProspect{
		EnrollmentID: r.ID, Workspace: r.Workspace, AccountID: r.AccountID, Account: r.Account, AccountName: r.AccountName,
		Campaign: r.Campaign, CampaignName: r.CampaignName, ProspectURL: r.ProspectUrl, ExternalID: r.ExternalID, PausedReason: r.PausedReason, OwnReason: r.OwnReason,
		PausedAt: r.PausedAt.UTC(), Step: int(r.Step),
	}
}

// A ReasonCount is how many prospects are paused for a reason.
type ReasonCount struct {
	Reason string `json:"reason"`
	Paused int64  `json:"paused"`
}

// PausedCounts describes a list of paused prospects.
type PausedCounts struct {
	// ByReason counts the list without its filters by reason and age, most first.
	ByReason []ReasonCount
	// Matching is how many prospects match the whole filter. With an age, counting ends at
	// maxCounted; IsMore is then true.
	Matching int64
	IsMore   bool
}

// maxCounted is how far prospects of an age, unknown actions, and accounts after refusals are
// counted.
const maxCounted = 10_000

// CountPaused counts the paused prospects within the scope.
func CountPaused(ctx context.Context, db *store.Store, s Scope, f PausedFilter) (PausedCounts, error) {
	counts := PausedCounts{ByReason: []ReasonCount{}}
	err := db.SnapshotWith(ctx, planned, func(q *dbsqlc.Queries) (err error) {
		if f, err = f.within(ctx, q, s); err != nil {
			return err
		}
		rows, err := q.PausedByReason(ctx, dbsqlc.PausedByReasonParams{AccountIds: f.AccountIDs, CampaignID: f.CampaignID})
		if err != nil {
			return err
		}
		for _, r := range rows {
			counts.ByReason = append(counts.ByReason, ReasonCount(r))
			if f.Reason == "" || f.Reason == r.Reason {
				counts.Matching += r.Paused
			}
		}
		if f.OlderThan <= 0 {
			return nil
		}
		counts.Matching, err = q.CountPausedSince(ctx, dbsqlc.CountPausedSinceParams{
			FirstWorkspace: s.first, LastWorkspace: s.last, AccountIds: f.AccountIDs, CampaignID: f.CampaignID, Reason: store.OrNil(f.Reason),
			OlderThan: f.OlderThan, AtMost: maxCounted + 1,
		})
		if counts.Matching > maxCounted {
			counts.Matching, counts.IsMore = maxCounted, true
		}
		return err
	})
	if err != nil {
		return PausedCounts{}, fmt.Errorf("counting paused prospects: %w", err)
	}
	return counts, nil
}
