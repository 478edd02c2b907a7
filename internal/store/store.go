// Package store runs the generated queries of package dbsqlc in transactions with the limits that
// every transaction of Thaw must have: timeouts, and an isolation level that does not depend on the
// defaults of the database. A query outside of a transaction of this package would have neither, so
// the linter forbids other packages to make [dbsqlc.Queries].
//
//   - [Store.Trip] and [Store.Read] are for one query, in one round trip.
//   - [Store.Tx] is for several queries that must commit together.
//   - [Store.Snapshot] is for several queries that must read the same state.
package store

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/dbsqlc"
)

// Limits of a transaction. A process that freezes in a transaction must lose it before the queue
// gives its job to another process (worker.RescueAfter): the server ends transactions that wait,
// run or idle for too long.
const (
	StatementTimeout = 15 * time.Second
	LockTimeout      = 5 * time.Second
	IdleTimeout      = 10 * time.Second
)

// SessionLimits are the same limits as session settings. If a pool sets them, [Store.Trip] does not
// send them.
var SessionLimits = database.Limits{Statement: StatementTimeout, Lock: LockTimeout, Idle: IdleTimeout}

// beginOnly begins a transaction. It requires READ COMMITTED, whatever the default of the database
// is, because functions lock a row and then read again.
const beginOnly = "BEGIN ISOLATION LEVEL READ COMMITTED"

// beginSnapshot begins a transaction whose queries read the same state. JIT is off: the planner
// overestimates the cost of these queries, and compiling them would take longer than running them.
const beginSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off"

// limited begins a transaction and sets its limits in one round trip, and also the search path,
// which is not a session setting behind a connection pooler.
func limited(begin string, statementTimeout time.Duration) string {
	return fmt.Sprintf("%s; SET LOCAL search_path = %s; SET LOCAL statement_timeout = %s; SET LOCAL lock_timeout = %s; SET LOCAL idle_in_transaction_session_timeout = %s",
		begin, database.SearchPath, milliseconds(statementTimeout), milliseconds(LockTimeout), milliseconds(IdleTimeout))
}

// milliseconds formats a duration for Postgres.
func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// A Store accesses one database.
type Store struct{ pool *pgxpool.Pool }

// New returns a store on pool.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// Pool returns the connection pool, for packages with statements of their own: they set their own
// limits.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Tx runs do in a transaction with the limits of this package and commits it if do returns nil.
func (s *Store) Tx(ctx context.Context, do func(tx pgx.Tx, q *dbsqlc.Queries) error) error {
	return s.within(ctx, StatementTimeout, do)
}

// Unhurried is [Store.Tx] without a statement timeout, for statements that a person started and
// that read whole tables.
func (s *Store) Unhurried(ctx context.Context, do func(tx pgx.Tx, q *dbsqlc.Queries) error) error {
	return s.within(ctx, 0, do)
}

// within is Tx with another statement timeout.
func (s *Store) within(ctx context.Context, statementTimeout time.Duration, do func(tx pgx.Tx, q *dbsqlc.Queries) error) error {
	return s.run(ctx, limited(beginOnly, statementTimeout), do)
}

// Snapshot runs do on one snapshot of the database, read-only and with the limits of this package.
func (s *Store) Snapshot(ctx context.Context, do func(q *dbsqlc.Queries) error) error {
	return s.SnapshotWith(ctx, SnapshotOptions{}, do)
}

// SnapshotOptions change how [Store.SnapshotWith] reads.
type SnapshotOptions struct {
	// Timeout is the timeout of each statement. Default: [StatementTimeout].
	Timeout time.Duration
	// CustomPlans makes the database plan each query for its arguments.
	CustomPlans bool
}

// SnapshotWith is [Store.Snapshot] with options.
func (s *Store) SnapshotWith(ctx context.Context, o SnapshotOptions, do func(q *dbsqlc.Queries) error) error {
	begin := limited(beginSnapshot, cmp.Or(o.Timeout, StatementTimeout))
	if o.CustomPlans {
		begin += "; SET LOCAL plan_cache_mode = force_custom_plan"
	}
	return s.run(ctx, begin, func(_ pgx.Tx, q *dbsqlc.Queries) error { return do(q) })
}

// run runs do in a transaction that begins with the given statements.
func (s *Store) run(ctx context.Context, begin string, do func(tx pgx.Tx, q *dbsqlc.Queries) error) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		return fmt.Errorf("beginning transaction: %w", err)
	}
	// The caller's context may have ended. The connection must be released anyway.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := do(tx, dbsqlc.New(tx)); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}
