package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// limits is what begin sets, as a statement of its own that can be sent together with others.
const limits = "SELECT set_config('search_path', '" + database.SearchPath + "', true), set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true), set_config('idle_in_transaction_session_timeout', $3, true)"

// Trip returns queries of which each is a whole transaction with the limits of this package, sent to the server and answered in
// one round trip. For signals and passes, which are one statement each. Where the session has the limits, the statement alone is
// the transaction; else BEGIN, the limits, the query and COMMIT follow each other without waiting. A query fails as a whole; after a lost connection nobody knows whether it was committed, so it must be one that may
// be asked again. Only queries for one row can go this way.
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
	// A connection that is still in a transaction, as after an error, is closed by the pool instead of being used again.
	defer conn.Release()

	parent := traceparent(ctx)
	// Such a session is READ COMMITTED and has the search path, too.
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
