package store

import (
	"context"
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
func (s *Store) Trip() *dbsqlc.Queries { return dbsqlc.New(trip{s.pool, beginOnly}) }

// Read is [Store.Trip] for queries that only read.
func (s *Store) Read() *dbsqlc.Queries { return dbsqlc.New(trip{s.pool, beginOnly + " READ ONLY"}) }

type trip struct {
	pool  *pgxpool.Pool
	begin string
}

// Exec runs a query that returns no rows.
func (t trip) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	rows, err := t.Query(ctx, sql, args...)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	rows.Close()
	return rows.CommandTag(), rows.Err()
}

// QueryRow runs a query for one row when the row is scanned.
func (t trip) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return tripRow{trip: t, ctx: ctx, sql: sql, args: args}
}

type tripRow struct {
	trip trip
	ctx  context.Context //nolint:containedctx // A row is scanned in the call that asks for it.
	sql  string
	args []any
}

// Scan implements [pgx.Row].
func (r tripRow) Scan(into ...any) error {
	rows, err := r.trip.Query(r.ctx, r.sql, r.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := rows.Scan(into...); err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

// Query runs a query. The transaction ends when the rows are closed or have been read to their end.
func (t trip) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	ctx, end := traced(ctx, sql)
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		err = fmt.Errorf("beginning transaction: %w", err)
		end(err)
		return nil, err
	}
	rows := &tripRows{ctx: ctx, conn: conn, end: end}
	if err := rows.run(t.begin, sql, args); err != nil {
		rows.err = err
		rows.Close()
		return nil, rows.Err()
	}
	return rows, nil
}

// tripRows are the rows of a transaction that ends with them.
type tripRows struct {
	pgx.Rows
	ctx      context.Context //nolint:containedctx // Rows are read in the call that asks for them.
	conn     *pgxpool.Conn
	results  pgx.BatchResults // nil if the statement alone is the transaction
	end      func(error)
	isClosed bool
	err      error // of beginning or ending the transaction
}

func (r *tripRows) run(begin, sql string, args []any) (err error) {
	parent := traceparent(r.ctx)
	// Such a session also has READ COMMITTED and the search path.
	if parent == "" && database.HasLimits(r.conn.Conn()) {
		r.Rows, err = r.conn.Query(r.ctx, sql, args...)
		return err
	}
	var batch pgx.Batch
	batch.Queue(begin)
	batch.Queue(limits, milliseconds(StatementTimeout), milliseconds(LockTimeout), milliseconds(IdleTimeout))
	if parent != "" {
		batch.Queue(continueTrace, parent)
	}
	before := batch.Len()
	batch.Queue(sql, args...)
	batch.Queue("COMMIT")
	r.results = r.conn.SendBatch(r.ctx, &batch)
	for range before {
		if _, err := r.results.Exec(); err != nil {
			return fmt.Errorf("beginning transaction: %w", err)
		}
	}
	r.Rows, err = r.results.Query()
	return err
}

// Next implements [pgx.Rows].
func (r *tripRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Err implements [pgx.Rows].
func (r *tripRows) Err() error {
	if r.Rows != nil && r.Rows.Err() != nil {
		return r.Rows.Err()
	}
	return r.err
}

// Close implements [pgx.Rows]. It waits for the end of the transaction.
func (r *tripRows) Close() {
	if r.isClosed {
		return
	}
	r.isClosed = true
	if r.Rows != nil {
		r.Rows.Close()
	}
	if r.results != nil {
		if r.Err() == nil {
			if _, err := r.results.Exec(); err != nil {
				r.err = fmt.Errorf("committing: %w", err)
			}
		}
		if err := r.results.Close(); err != nil && r.err == nil {
			r.err = err
		}
	}
	// The pool closes a connection that is still in a transaction, for example after an error, and
	// does not reuse it.
	r.conn.Release()
	r.end(r.Err())
}
