// Package readmodel reads the current state of the fleet and its expected future for pages, the API
// and the command line: [Explain] for one prospect, [Status] for the fleet, [Forecast] for the
// expected times in both, and paged lists.
//
// It has no rules of its own. Database functions determine which prospects wait and what blocks
// them, expected times come from the planning rule that the sweep uses, and sentences come from
// package explain. Each answer is read from one snapshot of the database, so its parts are
// consistent.
package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// read runs do on one snapshot of the database. It turns off JIT: the planner overestimates the
// cost of these statements, and compiling them would take longer than running them.
func read(ctx context.Context, db *pgxpool.Pool, do func(q *dbsqlc.Queries) error) error {
	return readWith(ctx, db, "", do)
}

// readWith is read with additional transaction settings.
func readWith(ctx context.Context, db *pgxpool.Pool, settings string, do func(q *dbsqlc.Queries) error) error {
	snapshot := pgx.TxOptions{BeginQuery: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off" + settings}
	return pgx.BeginTxFunc(ctx, db, snapshot, func(tx pgx.Tx) error { return do(dbsqlc.New(tx)) })
}

// utc makes times from the database independent of the server's time zone.
func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}

// text returns an empty string for nil.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// nameOf returns the display name of an account or a campaign, with its key: only the key is
// unique.
func nameOf(name, key string) string {
	if name == "" || name == key {
		return key
	}
	return fmt.Sprintf("%s (%s)", name, key)
}
