package readmodel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A StatusReport is the current state of the fleet.
type StatusReport struct {
	Conditions
	Backlog       Backlog        `json:"backlog"`
	Moves         *FleetMoves    `json:"moves"`      // nil if not counted in time
	LastSweep     *Sweep         `json:"last_sweep"` // newest tick with a plan; nil if none
	StuckAccounts []StuckAccount `json:"stuck_accounts"`
	// Accounts are the accounts with the most paused prospects, up to the requested number. They
	// are ordered by resumable prospects, most first.
	Accounts []AccountStatus `json:"accounts"`
	// Forecast describes the forecast behind the resumable counts and the expected times if it is
	// old; nil if it is current.
	Forecast *ForecastInfo `json:"forecast,omitempty"`
	// AccountsTotal is how many accounts have paused prospects.
	AccountsTotal int `json:"accounts_total"`
}

// A StuckAccount is an account that has been connecting for more than an hour: connecting it was
// started but never finished.
type StuckAccount struct {
	AccountID int64     `json:"account_id"`
	Workspace string    `json:"workspace"`
	Provider  string    `json:"provider"`
	Account   string    `json:"account"` // the provider account ID
	Since     time.Time `json:"since"`
}

// A Backlog counts the paused enrollments of the fleet.
type Backlog struct {
	Paused    int64  `json:"paused"`    // for any reason
	Resumable *int64 `json:"resumable"` // ready to resume; nil if not counted in time
	Accounts  *int   `json:"accounts"`  // that they resume through; nil likewise
}

// A Sweep is the result of one tick.
type Sweep struct {
	TickAt            time.Time  `json:"tick_at"`
	AccountsPlanned   int        `json:"accounts_planned"`
	AccountsProcessed int        `json:"accounts_processed"`
	Resumed           int        `json:"resumed"`
	Moved             int        `json:"moved"`
	CampaignsResumed  int        `json:"campaigns_resumed"`
	Remaining         int        `json:"remaining"`
	Seconds           *float64   `json:"seconds"`     // nil while it is running
	FinishedAt        *time.Time `json:"finished_at"` // nil while it is running
	IsPartial         bool       `json:"is_partial"`  // planned only some accounts: took too long
}

// AccountStatus is an account with paused enrollments.
type AccountStatus struct {
	AccountID int64  `json:"account_id"`
	Workspace string `json:"workspace"`
	Account   string `json:"account"` // the provider account ID
	Status    string `json:"status"`
	Paused    int64  `json:"paused"`
	Resumable int64  `json:"resumable"`

	// ETA is when the queue that the account's enrollments resume through is expected to be
	// drained; nil if none is resumable or that is beyond the forecast.
	ETA *time.Time `json:"eta"`
	// NotBefore is a lower bound for ETA if that is beyond the forecast.
	NotBefore *time.Time `json:"not_before,omitempty"`
}

// Status returns the current state of the fleet with up to limit accounts, those with the most
// paused prospects. Limit 0 means all accounts with paused prospects.
func Status(ctx context.Context, db *store.Store, limit int) (StatusReport, error) {
	report := StatusReport{Accounts: []AccountStatus{}}
	seen, err := statusView(ctx, db)
	if err == nil {
		err = db.Snapshot(ctx, func(q *dbsqlc.Queries) error { return report.read(ctx, q, seen, limit) })
	}
	if err != nil {
		return StatusReport{}, fmt.Errorf("reading the status: %w", err)
	}
	return report, nil
}

// statusView returns the forecast for a status report: the stored one for a large fleet, otherwise
// a new one. Nil if making one would take too long.
func statusView(ctx context.Context, db *store.Store) (*view, error) {
	t, err := readTicks(ctx, db.Read())
	if err != nil {
		return nil, err
	}
	// If it cannot be read, a new one is made below.
	if seen, err := stored(ctx, db, time.Time{}); err == nil && seen != nil {
		return seen.from(t), nil
	}
	seen, err := see(ctx, db)
	switch {
	case err == nil:
		return seen.from(seen.made), nil
	case ctx.Err() == nil && isTimeout(err):
		return nil, nil
	default:
		return nil, err
	}
}

func (r *StatusReport) read(ctx context.Context, q *dbsqlc.Queries, seen *view, limit int) (err error) {
	if r.Conditions, err = readConditions(ctx, q); err != nil {
		return err
	}
	if r.StuckAccounts, err = stuckAccounts(ctx, q, 0); err != nil {
		return err
	}
	if r.LastSweep, err = lastSweep(ctx, q); err != nil {
		return err
	}
	paused, err := pausedCount(ctx, q, Everything())
	if err != nil {
		return err
	}
	r.Backlog.Paused = paused.Total
	if seen != nil {
		resumable := int64(seen.backlog)
		r.Backlog.Resumable, r.Backlog.Accounts = &resumable, &seen.accounts
		r.Moves = &seen.moves
		if seen.isOld {
			r.Forecast = seen.info()
		}
	}
	return r.addAccounts(ctx, q, seen, limit)
}

// accountsAtOnce is the maximum number of accounts per statement.
const accountsAtOnce = 1000

func (r *StatusReport) addAccounts(ctx context.Context, q *dbsqlc.Queries, seen *view, limit int) error {
	var ids []int64
	var err error
	if seen != nil && seen.isStored && limit > 0 && limit <= storedAccounts {
		// The selection of accounts is as old as the forecast; their data is current.
		ids, r.AccountsTotal = seen.mostPaused[:min(limit, len(seen.mostPaused))], seen.pausedAccounts
	} else if ids, r.AccountsTotal, err = mostPaused(ctx, q, limit); err != nil {
		return err
	}
	for some := range slices.Chunk(ids, accountsAtOnce) {
		accounts, err := accountsOf(ctx, q, Everything(), some)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			r.Accounts = append(r.Accounts, statusOf(a, seen))
		}
	}
	slices.SortFunc(r.Accounts, func(a, b AccountStatus) int {
		return cmp.Or(cmp.Compare(b.Resumable, a.Resumable), cmp.Compare(b.Paused, a.Paused),
			cmp.Compare(a.Workspace, b.Workspace), cmp.Compare(a.Account, b.Account))
	})
	return nil
}

// mostPaused returns up to limit accounts with the most paused prospects, most first, and how many
// accounts have any. Limit 0 means all of them.
func mostPaused(ctx context.Context, q *dbsqlc.Queries, limit int) (ids []int64, inAll int, err error) {
	rows, err := q.PausedAccounts(ctx, sizeOf(limit))
	if err != nil {
		return nil, 0, fmt.Errorf("finding accounts with paused prospects: %w", err)
	}
	for _, row := range rows {
		ids, inAll = append(ids, row.AccountID), int(row.Accounts)
	}
	return ids, inAll, nil
}

// sizeOf returns the limit of a statement; nil if there is none.
func sizeOf(limit int) *int32 {
	if limit <= 0 {
		return nil
	}
	n := int32(min(limit, math.MaxInt32))
	return &n
}

func statusOf(a Account, seen *view) AccountStatus {
	status := AccountStatus{
		AccountID: a.ID, Workspace: a.Workspace, Account: a.Account, Status: a.Status, Paused: a.Paused, Resumable: a.Resumable,
	}
	if a.Resumable > 0 && a.ResumesThrough != nil {
		drained := seen.drained(*a.ResumesThrough)
		status.ETA, status.NotBefore = drained.At, drained.NotBefore
	}
	return status
}

// stuckAccounts returns up to limit stuck accounts, the longest first. Limit 0 means all of them.
func stuckAccounts(ctx context.Context, q *dbsqlc.Queries, limit int) ([]StuckAccount, error) {
	rows, err := q.StuckAccounts(ctx, sizeOf(limit))
	if err != nil {
		return nil, fmt.Errorf("reading stuck accounts: %w", err)
	}
	stuck := make([]StuckAccount, len(rows))
	for i, row := range rows {
		stuck[i] = StuckAccount{AccountID: row.ID, Workspace: row.Workspace, Provider: row.Provider, Account: row.Account, Since: row.Since.UTC()}
	}
	return stuck, nil
}

func lastSweep(ctx context.Context, q *dbsqlc.Queries) (*Sweep, error) {
	row, err := q.LatestSweep(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the last sweep: %w", err)
	}
	sweep := &Sweep{
		TickAt:          row.TickAt.UTC(),
		AccountsPlanned: int(row.AccountsPlanned), AccountsProcessed: int(row.AccountsProcessed),
		Resumed: int(row.Resumed), Moved: int(row.Moved), CampaignsResumed: int(row.CampaignsResumed),
		Remaining:  int(row.Remaining),
		FinishedAt: utc(row.FinishedAt), IsPartial: row.IsPartial,
	}
	if row.FinishedAt != nil {
		sweep.Seconds = &row.Seconds
	}
	return sweep, nil
}
