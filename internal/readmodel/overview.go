package readmodel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/internal/store"
)

// An Overview is the content of the first page: the state of the fleet, what needs attention, and
// the accounts with the longest queues. [Chart] has its chart.
type Overview struct {
	FleetReport
	// Accounts are counted with the forecast; nil if there was none in time.
	Accounts *AccountCounts `json:"accounts"`
	// DoneBy is when the last prospect that is ready to resume is expected to; nil if none is, or if
	// that is beyond the forecast. NotDoneBefore is then a lower bound.
	DoneBy        *time.Time `json:"done_by"`
	NotDoneBefore *time.Time `json:"not_done_before"`
	// AccountCap is how many prospects a tick may resume through one account.
	AccountCap int `json:"account_cap"`
	// StoppedHeals is how many heals stopped before they were done.
	StoppedHeals int64 `json:"stopped_heals"`
	// RefusedAccounts is how many accounts have a kind of action on hold after refusals, up to 10,000.
	// A limit of the provider is not counted: it ends by itself, and says nothing about what is sent.
	RefusedAccounts int64 `json:"refused_accounts"`
	// Longest are the accounts with the longest queues, longest first.
	Longest []Queue `json:"longest"`
	// StuckAccounts are the accounts that have been stuck for the longest, at most ten;
	// Accounts.Stuck counts all.
	StuckAccounts []StuckAccount `json:"stuck_accounts"`
	// Snapshots are the oldest snapshots in the database, at most three, oldest first, if they are
	// old enough to slow the database down. Nil if they could not be read in time.
	Snapshots []Snapshot `json:"snapshots"`
}

// A Snapshot is a database snapshot that keeps dead rows from being removed.
type Snapshot struct {
	Holder       string        `json:"holder"`      // session, prepared transaction or replication slot
	Name         string        `json:"name"`        // the process ID of a session, otherwise its name
	Role         string        `json:"role"`        // empty if it has none
	Application  string        `json:"application"` // of a session; empty if not set
	State        string        `json:"state"`
	Age          time.Duration `json:"age"`          // 0 if unknown
	Transactions int           `json:"transactions"` // transactions started since
}

const (
	// oldSnapshot is the minimum age of a reported snapshot; oldTransactions applies if its age is
	// unknown. The alert uses the same values.
	oldSnapshot     = 5 * time.Minute
	oldTransactions = 1_000_000
)

func oldSnapshots(ctx context.Context, q *dbsqlc.Queries) ([]Snapshot, error) {
	rows, err := q.OldestSnapshots(ctx, dbsqlc.OldestSnapshotsParams{OlderThan: oldSnapshot, MoreThan: oldTransactions})
	if err != nil {
		return nil, fmt.Errorf("reading snapshots: %w", err)
	}
	snapshots := make([]Snapshot, len(rows))
	for i, r := range rows {
		snapshots[i] = Snapshot{
			Holder: r.Holder, Name: r.Name, Role: r.Role, Application: r.Application, State: r.State,
			Age: time.Duration(r.Seconds * float64(time.Second)).Round(time.Second), Transactions: int(r.Transactions),
		}
	}
	return snapshots, nil
}

// A Queue is the queue of an account. It includes prospects of siblings that resume through the
// account.
type Queue struct {
	Account
	Waiting   int        `json:"waiting"`
	ETA       *time.Time `json:"eta"`        // of the last prospect; nil if beyond the forecast
	NotBefore *time.Time `json:"not_before"` // lower bound for that tick; nil if ETA is known
}

const (
	// overviewQueues is how many of the longest queues an overview has.
	overviewQueues = 20
	// overviewStuck is how many of the stuck accounts an overview has.
	overviewStuck = 10
)

// Overview returns the overview of the whole fleet.
func (f *Reader) Overview(ctx context.Context) (Overview, error) {
	var o Overview
	seen, err := f.now(ctx)
	if err != nil {
		return Overview{}, fmt.Errorf("reading the overview: %w", err)
	}
	err = f.db.Snapshot(ctx, func(q *dbsqlc.Queries) (err error) {
		if o.FleetReport, err = f.report(ctx, q, Everything(), seen); err != nil {
			return err
		}
		if seen != nil {
			done := seen.drainedAll()
			o.Accounts, o.AccountCap, o.DoneBy, o.NotDoneBefore = seen.counted(o.Now), int(seen.made.settings.AccountCap), done.At, done.NotBefore
		}
		if o.StoppedHeals, err = q.StoppedHeals(ctx); err != nil {
			return fmt.Errorf("counting stopped heals: %w", err)
		}
		if o.RefusedAccounts, err = q.RefusedAccounts(ctx, maxCounted); err != nil {
			return fmt.Errorf("counting accounts after refusals: %w", err)
		}
		if o.StuckAccounts, err = stuckAccounts(ctx, q, overviewStuck); err != nil {
			return err
		}
		if o.Snapshots, err = oldSnapshots(ctx, q); err != nil {
			return err
		}
		o.Longest, err = longest(ctx, q, seen)
		return err
	})
	if err != nil {
		return Overview{}, fmt.Errorf("reading the overview: %w", err)
	}
	return o, nil
}

func longest(ctx context.Context, q *dbsqlc.Queries, seen *view) ([]Queue, error) {
	if seen == nil {
		return []Queue{}, nil
	}
	accounts, err := accountsOf(ctx, q, Everything(), seen.longest)
	if err != nil {
		return nil, err
	}
	queues := make([]Queue, len(accounts))
	for i, a := range accounts {
		drained := seen.drained(a.ID)
		queues[i] = Queue{Account: a, Waiting: seen.forecast.Backlog(a.ID), ETA: drained.At, NotBefore: drained.NotBefore}
	}
	slices.SortFunc(queues, func(a, b Queue) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(a.ID, b.ID))
	})
	return queues, nil
}

// candidatesOf returns the candidates that the sweep of the current tick would find, and the total
// of waiting prospects.
func candidatesOf(ctx context.Context, q *dbsqlc.Queries, t ticks) ([]plan.Candidate, int, error) {
	rows, err := q.Candidates(ctx, t.current)
	if err != nil {
		return nil, 0, fmt.Errorf("finding candidates: %w", err)
	}
	candidates, backlog := store.Candidates(rows)
	return candidates, backlog, nil
}
