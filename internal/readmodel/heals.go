package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A Heal is a one-time resume of a large backlog: of a workspace, of an account, of the fleet or,
// if it is none of these, of listed prospects. Only operators can see the last two.
type Heal struct {
	ID        int64   `json:"id"`
	Workspace *string `json:"workspace"`  // its key; also set for a heal of an account
	AccountID *int64  `json:"account_id"` // nil if it is not for one account
	Account   *string `json:"account"`    // the provider account ID
	// Status is running, done, or stopped: by a person, by safety mode, or because its job was
	// cancelled or discarded.
	Status           string     `json:"status"`
	Fleet            bool       `json:"fleet"` // of the whole fleet
	Cap              int        `json:"cap"`
	Rate             *int       `json:"rate"` // prospects per minute; nil if unlimited
	EvenIfOff        bool       `json:"even_if_off"`
	Found            *int       `json:"found"` // how many it may resume; nil if not counted yet
	Resumed          int        `json:"resumed"`
	Moved            int        `json:"moved"`
	CampaignsResumed int        `json:"campaigns_resumed"`
	Remaining        *int       `json:"remaining"` // nil if it is not done
	Skipped          int        `json:"skipped"`   // of Remaining: locked by other transactions
	Accounts         int        `json:"accounts"`  // that it covers
	AccountsDone     int        `json:"accounts_done"`
	Actor            string     `json:"actor"`
	Reason           *string    `json:"reason"`
	StoppedReason    *string    `json:"stopped_reason"` // nil if it is not stopped
	JobID            *int64     `json:"job_id"`
	RequestedAt      time.Time  `json:"requested_at"`
	FinishedAt       *time.Time `json:"finished_at"`
	Seconds          *float64   `json:"seconds"`
}

// HealStatuses are the statuses of heals.
var HealStatuses = []string{"running", "stopped", "done"}

// Heals returns a page of heals, newest first. A status that is not empty filters them.
func Heals(ctx context.Context, db *store.Store, s Scope, status string, p Paging) (Page[Heal], error) {
	const list = "heals"
	from, err := after(p, list, beforeAny)
	if err != nil {
		return Page[Heal]{}, fmt.Errorf("listing heals: %w", err)
	}
	rows, err := db.Read().HealPage(ctx, dbsqlc.HealPageParams{
		BeforeID: from.ID, FirstWorkspace: s.first, LastWorkspace: s.last, Status: store.OrNil(status), Size: p.size(),
	})
	if err != nil {
		return Page[Heal]{}, fmt.Errorf("listing heals: %w", err)
	}
	return paged(p, list, rows, heal, func(r dbsqlc.HealPageRow) newest { return newest{r.ID} })
}

// CountHeals returns how many heals the list has, counted up to MaxCounted.
func CountHeals(ctx context.Context, db *store.Store, s Scope, status string) (int64, error) {
	n, err := db.Read().CountHeals(ctx, dbsqlc.CountHealsParams{
		FirstWorkspace: s.first, LastWorkspace: s.last, Status: store.OrNil(status), AtMost: MaxCounted,
	})
	if err != nil {
		return 0, fmt.Errorf("counting heals: %w", err)
	}
	return n, nil
}

// HealByID returns a heal, or [ErrNotFound].
func HealByID(ctx context.Context, db *store.Store, s Scope, id int64) (Heal, error) {
	rows, err := db.Read().HealPage(ctx, dbsqlc.HealPageParams{
		BeforeID: id + 1, FirstWorkspace: s.first, LastWorkspace: s.last, Size: 1,
	})
	switch {
	case err != nil:
		return Heal{}, fmt.Errorf("heal %d: %w", id, err)
	case len(rows) == 0 || rows[0].ID != id:
		return Heal{}, fmt.Errorf("heal %d: %w", id, ErrNotFound)
	}
	return heal(rows[0]), nil
}

func heal(r dbsqlc.HealPageRow) Heal {
	return Heal{
		ID: r.ID, Workspace: store.OrNil(r.Workspace), AccountID: r.AccountID, Account: store.OrNil(r.Account), Status: r.Status,
		Fleet: r.IsFleet, Cap: int(r.Cap), Rate: number(r.Rate), EvenIfOff: r.EvenIfOff, Found: number(r.Found), Resumed: int(r.Resumed), Moved: int(r.Moved),
		CampaignsResumed: int(r.CampaignsResumed), Remaining: number(r.Remaining), Skipped: int(r.Skipped), Accounts: int(r.Accounts),
		AccountsDone: int(r.AccountsDone), Actor: r.Actor, Reason: store.OrNil(r.Reason), StoppedReason: stoppedReason(r), JobID: r.JobID, RequestedAt: r.RequestedAt.UTC(),
		FinishedAt: utc(r.FinishedAt), Seconds: seconds(r.RequestedAt, r.FinishedAt),
	}
}

// stoppedReason says why a heal stopped. The row does not have it if the job was cancelled.
func stoppedReason(r dbsqlc.HealPageRow) *string {
	if r.Status == "stopped" && r.StoppedReason == "" {
		reason := "its job was cancelled or discarded"
		return &reason
	}
	return store.OrNil(r.StoppedReason)
}
