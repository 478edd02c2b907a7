// Package store provides access to the database: transactions with the limits that every
// transaction of Thaw must have, and the generated queries in them.
package store

import (
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

// begin begins a transaction and sets its limits in one round trip, and also the search path, which
// is not a session setting behind a connection pooler.
func begin(statementTimeout time.Duration) string {
	return fmt.Sprintf("%s; SET LOCAL search_path = %s; SET LOCAL statement_timeout = %s; SET LOCAL lock_timeout = %s; SET LOCAL idle_in_transaction_session_timeout = %s",
		beginOnly, database.SearchPath, milliseconds(statementTimeout), milliseconds(LockTimeout), milliseconds(IdleTimeout))
}

// milliseconds formats a duration for Postgres.
func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// A Store accesses one database.
type Store struct {
	*dbsqlc.Queries
	pool *pgxpool.Pool
}

// New returns a store on pool.
func New(pool *pgxpool.Pool) *Store {
	return &Store{Queries: dbsqlc.New(pool), pool: pool}
}

// Pool returns the connection pool.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Tx runs do in a transaction with the limits of this package and commits it if do returns nil.
func (s *Store) Tx(ctx context.Context, do func(tx pgx.Tx, q *dbsqlc.Queries) error) error {
	return s.within(ctx, StatementTimeout, do)
}

// within is Tx with another statement timeout.
func (s *Store) within(ctx context.Context, statementTimeout time.Duration, do func(tx pgx.Tx, q *dbsqlc.Queries) error) error {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin(statementTimeout)})
	if err != nil {
		return fmt.Errorf("beginning transaction: %w", err)
	}
	// The caller's context may have ended. The connection must be released anyway.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := do(tx, s.WithTx(tx)); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}
