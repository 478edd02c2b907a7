// Package readmodel tells people where the fleet stands and what comes next: [Explain] for one prospect, [Status] for the
// whole, [Forecast] for the expected times in both.
//
// It decides nothing by itself. Who waits and what stands in the way is asked of the database's own functions, expected
// times come from the planning rule that the sweep uses, and sentences from package explain. Each answer is read from one
// snapshot, so that its parts fit together.
package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// read runs do on one snapshot of the database. The planner takes these statements for expensive ones and would compile
// for longer than they run.
func read(ctx context.Context, db *pgxpool.Pool, do func(q *dbsqlc.Queries) error) error {
	return readWith(ctx, db, "", do)
}

// readWith is read with more settings of the transaction.
func readWith(ctx context.Context, db *pgxpool.Pool, settings string, do func(q *dbsqlc.Queries) error) error {
	snapshot := pgx.TxOptions{BeginQuery: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off" + settings}
	return pgx.BeginTxFunc(ctx, db, snapshot, func(tx pgx.Tx) error { return do(dbsqlc.New(tx)) })
}

// utc lets times of the database be shown the same on every machine.
func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}

// text turns a text that may be missing into one that may be empty.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// nameOf names an account or a campaign for people: what they call it, and the key, which alone is unique.
func nameOf(name, key string) string {
	if name == "" || name == key {
		return key
	}
	return fmt.Sprintf("%s (%s)", name, key)
}
