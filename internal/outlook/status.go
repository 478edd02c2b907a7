package outlook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// A StatusReport says where the fleet stands.
type StatusReport struct {
	Safety    Safety          `json:"safety"`
	Backlog   Backlog         `json:"backlog"`
	LastSweep *Sweep          `json:"last_sweep"` // the newest tick with a plan; nil: there was none yet
	Orphans   []Orphan        `json:"orphans"`
	Accounts  []AccountStatus `json:"accounts"`
}

// An Orphan is an account that has been connecting for more than an hour: whoever began that did not end it.
type Orphan struct {
	Workspace string    `json:"workspace"`
	Provider  string    `json:"provider"`
	Account   string    `json:"account"` // the provider's id
	Since     time.Time `json:"since"`
}

// A Backlog counts the paused enrollments of the fleet.
type Backlog struct {
	Paused    int64 `json:"paused"`    // for whatever reason
	Resumable int64 `json:"resumable"` // of them, how many a sweep may wake now
	Accounts  int   `json:"accounts"`  // accounts with resumable enrollments
}

// A Sweep is what one tick did.
type Sweep struct {
	TickAt            time.Time  `json:"tick_at"`
	AccountsPlanned   int        `json:"accounts_planned"`
	AccountsProcessed int        `json:"accounts_processed"`
	Resumed           int        `json:"resumed"`
	Repointed         int        `json:"repointed"`
	CampaignsResumed  int        `json:"campaigns_resumed"`
	BacklogLeft       int        `json:"backlog_left"`
	Seconds           *float64   `json:"seconds"`     // nil: it is still at work
	FinishedAt        *time.Time `json:"finished_at"` // nil: it is still at work
}

// AccountStatus is an account with paused enrollments.
type AccountStatus struct {
	AccountID int64  `json:"account_id"`
	Workspace string `json:"workspace"`
	Account   string `json:"account"` // the provider's id
	Status    string `json:"status"`
	Paused    int64  `json:"paused"`
	Resumable int64  `json:"resumable"`

	// ETA is when the last resumable enrollment is expected to be resumed that wakes through the same account as those of
	// this one; nil: nothing is resumable, or it is beyond the horizon.
	ETA *time.Time `json:"eta"`
}

// Status returns where the fleet stands: accounts with most to resume first.
func Status(ctx context.Context, db *pgxpool.Pool) (StatusReport, error) {
	report := StatusReport{Accounts: []AccountStatus{}}
	err := read(ctx, db, func(q *dbsqlc.Queries) error {
		var err error
		if report.Safety, err = readSafety(ctx, q); err != nil {
			return err
		}
		if report.Orphans, err = orphans(ctx, q); err != nil {
			return err
		}
		if report.LastSweep, err = lastSweep(ctx, q); err != nil {
			return err
		}
		t, err := readTicks(ctx, q)
		if err != nil {
			return err
		}
		f, err := forecast(ctx, q, t)
		if err != nil {
			return err
		}
		rows, err := q.Backlog(ctx)
		if err != nil {
			return fmt.Errorf("reading the backlog: %w", err)
		}
		for _, row := range rows {
			report.add(row, f)
		}
		return nil
	})
	if err != nil {
		return StatusReport{}, fmt.Errorf("reading the status: %w", err)
	}
	return report, nil
}

func (r *StatusReport) add(row dbsqlc.BacklogRow, f *plan.Forecast) {
	account := AccountStatus{
		AccountID: row.AccountID, Workspace: row.Workspace, Account: row.Account, Status: row.Status, Paused: row.Paused, Resumable: row.Resumable,
	}
	r.Backlog.Paused += row.Paused
	if row.Resumable > 0 {
		r.Backlog.Resumable += row.Resumable
		r.Backlog.Accounts++
		account.ETA = expected(f.Drained(row.TargetID))
	}
	r.Accounts = append(r.Accounts, account)
}

func orphans(ctx context.Context, q *dbsqlc.Queries) ([]Orphan, error) {
	rows, err := q.Orphans(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading orphans: %w", err)
	}
	orphans := make([]Orphan, len(rows))
	for i, row := range rows {
		orphans[i] = Orphan{Workspace: row.Workspace, Provider: row.Provider, Account: row.Account, Since: row.Since.UTC()}
	}
	return orphans, nil
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
		Resumed: int(row.Resumed), Repointed: int(row.Repointed), CampaignsResumed: int(row.CampaignsResumed),
		BacklogLeft: int(row.BacklogLeft),
		FinishedAt:  utc(row.FinishedAt),
	}
	if row.FinishedAt != nil {
		sweep.Seconds = &row.Seconds
	}
	return sweep, nil
}
