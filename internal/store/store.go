// Package store is the way to the database: transactions with the limits that every one of Thaw's must have, and the
// generated queries inside of them.
package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// Limits of a transaction. A process that is frozen in the middle of one must lose it before the queue gives its job to
// somebody else (worker.RescueAfter): the server ends what has waited, run or idled for too long.
const (
	StatementTimeout = 15 * time.Second
	LockTimeout      = 5 * time.Second
	IdleTimeout      = 10 * time.Second
)

// SessionLimits are the same limits as settings of a session: where a pool has them, [Store.Trip] need not send them.
var SessionLimits = database.Limits{Statement: StatementTimeout, Lock: LockTimeout, Idle: IdleTimeout}

// beginOnly begins a transaction. The rules lock a row and then look again, which needs READ COMMITTED whatever the default of
// the database is.
const beginOnly = "BEGIN ISOLATION LEVEL READ COMMITTED"

// begin sets the limits in the same round trip that begins the transaction, and the search path, which behind a connection
// pooler is not a setting of the session.
func begin(statementTimeout time.Duration) string {
	return fmt.Sprintf("%s; SET LOCAL search_path = %s; SET LOCAL statement_timeout = %s; SET LOCAL lock_timeout = %s; SET LOCAL idle_in_transaction_session_timeout = %s",
		beginOnly, database.SearchPath, milliseconds(statementTimeout), milliseconds(LockTimeout), milliseconds(IdleTimeout))
}

// milliseconds is how Postgres takes a duration.
func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// A Store reaches one database.
type Store struct {
	*dbsqlc.Queries
	pool *pgxpool.Pool
}

// New returns a store on pool.
func New(pool *pgxpool.Pool) *Store {
	return &Store{Queries: dbsqlc.New(pool), pool: pool}
}

// Pool returns the pool below.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Tx runs do in a transaction with the limits of this package, and commits it if do returns nil.
func (s *Store) Tx(ctx context.Context, do func(tx pgx.Tx, q *dbsqlc.Queries) error) error {
	return s.within(ctx, StatementTimeout, do)
}

// within is Tx with another limit for each statement.
func (s *Store) within(ctx context.Context, statementTimeout time.Duration, do func(tx pgx.Tx, q *dbsqlc.Queries) error) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin(statementTimeout)})
	if err != nil {
		return fmt.Errorf("beginning transaction: %w", err)
	}
	// The caller's context may be what ended do; the connection is given back all the same.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := do(tx, s.WithTx(tx)); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}
