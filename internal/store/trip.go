package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/dbsqlc"
)

// limits has the settings of begin as a separate statement that can be sent together with others.
const limits = "SELECT set_config('search_path', '" + database.SearchPath + "', true), set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true), set_config('idle_in_transaction_session_timeout', $3, true)"

// Trip returns queries that are each a whole transaction with the limits of this package, in one
// round trip to the server. It is meant for signals and passes, which are one statement each. If
// the session has the limits, the statement alone is the transaction. Otherwise BEGIN, the limits,
// the query and COMMIT are sent without waiting in between. A query fails as a whole. After a lost
// connection it is unknown whether the transaction committed, so the query must be safe to repeat.
// Only queries for one row can be used.
func (s *Store) Trip() *dbsqlc.Queries { return dbsqlc.New(trip{s.pool}) }

type trip struct{ pool *pgxpool.Pool }

// QueryRow runs the query when the row is scanned.
func (t trip) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return tripRow{ctx: ctx, pool: t.pool, sql: sql, args: args}
}

var errOneRow = errors.New("only a query for one row is a transaction in one round trip")

func (trip) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, errOneRow
}

func (trip) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, errOneRow }

type tripRow struct {
	ctx  context.Context //nolint:containedctx // A row is scanned in the call that asks for it.
	pool *pgxpool.Pool
	sql  string
	args []any
}

// Scan implements [pgx.Row].
func (r tripRow) Scan(into ...any) (err error) {
	ctx, end := traced(r.ctx, r.sql)
	defer func() { end(err) }()
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("beginning transaction: %w", err)
	}
	// The pool closes a connection that is still in a transaction, for example after an error, and
	// does not reuse it.
	defer conn.Release()

	parent := traceparent(ctx)
	// Such a session also has READ COMMITTED and the search path.
	if parent == "" && database.HasLimits(conn.Conn()) {
		return conn.QueryRow(ctx, r.sql, r.args...).Scan(into...)
	}

	var batch pgx.Batch
	batch.Queue(beginOnly)
	batch.Queue(limits, milliseconds(StatementTimeout), milliseconds(LockTimeout), milliseconds(IdleTimeout))
	if parent != "" {
		batch.Queue(continueTrace, parent)
	}
	before := batch.Len()
	batch.Queue(r.sql, r.args...)
	batch.Queue("COMMIT")
	results := conn.SendBatch(ctx, &batch)
	err = func() error {
		for range before {
			if _, err := results.Exec(); err != nil {
				return fmt.Errorf("beginning transaction: %w", err)
			}
		}
		if err := results.QueryRow().Scan(into...); err != nil {
			return err
		}
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("committing: %w", err)
		}
		return nil
	}()
	if closed := results.Close(); err == nil {
		err = closed
	}
	return err
}
