// Package importer loads a fleet from a CSV file: workspaces, accounts, campaigns and enrollments.
// Each line is an enrollment, or an account without enrollments.
//
// The file describes the current state. Import inserts rows that the database does not have and
// updates rows that differ. It does not touch rows that are equal or not in the file. By default it
// also keeps what a person paused, what the provider restricted, prospects that were resumed after
// the pause in the file, and whatever is newer in the database than in the file. An import enqueues
// no jobs: the next sweep finds the new prospects. The exception is a signal that arrived before
// its account: it is applied when the account is inserted.
//
// Each row is checked while it is streamed into a temporary table. Checks across rows and against
// the database run on that table. A file with a problem changes nothing.
//
// The rows are then moved in slices, each in its own transaction (load.go), so that an account is
// locked only for the duration of a slice and signals are not delayed. Changes that stop an account
// or campaign are applied before the rows, and changes that start one after the rows, so that no
// concurrent pass resumes a prospect that is paused in the file. An interrupted import keeps its
// committed slices. Importing the same file again loads the rest (docs/decisions/0027).
package importer

import (
	"context"
	"embed"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed sql
var files embed.FS

// analyzeAbove is the number of inserted and updated enrollments above which Import runs ANALYZE.
const analyzeAbove = 10_000

// Options of an import. The zero value is valid.
type Options struct {
	// Progress, if set, is called with the number of data rows and bytes read: every thousand rows,
	// and at the end of the input. It is called by one goroutine at a time, and not after Import
	// returns.
	Progress func(rows, bytes int64)
	// Overwrite lets the file override what a person paused, what the provider restricted, what was
	// resumed after the pause in the file, and what is newer in the database. By default such
	// prospects, campaigns and accounts do not change.
	Overwrite bool
	// AsOf is the time of the data in the file. What changed in the database after it is newer than
	// the file. Zero: the start of the import. Whatever AsOf is, a prospect that has taken more steps
	// than in the file, or that has started, ended or moved in the meantime, is newer.
	AsOf time.Time
	// Confirm, if set, is called with a preview before anything is loaded. If it returns an error, the
	// import changes nothing and returns that error. A preview takes about half as long as the import.
	Confirm func(Preview) error
	// Begin, if set, is called when the file was found to be valid, before anything is loaded. If it
	// returns an error, the import changes nothing and returns that error.
	Begin func() error
}

// A Result has the counts of an import.
type Result struct {
	// Data rows in the file, and the number of distinct objects in them.
	Rows        int64 `json:"rows"`
	Workspaces  int64 `json:"workspaces"`
	Accounts    int64 `json:"accounts"`
	Campaigns   int64 `json:"campaigns"`
	Enrollments int64 `json:"enrollments"`
	// Outcome of the enrollments. The sum is Enrollments.
	Inserted  int64 `json:"inserted"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	// Rows that differ from the file but were kept: paused by a person, restricted by the provider,
	// or resumed after the pause in the file. These enrollments are included in Unchanged.
	KeptEnrollments int64 `json:"kept_enrollments"`
	KeptCampaigns   int64 `json:"kept_campaigns"`
	KeptAccounts    int64 `json:"kept_accounts"`
	ResumedSince    int64 `json:"resumed_since"`
	// Rows that differ from the file but were kept because they are newer in the database.
	NewerEnrollments int64 `json:"newer_enrollments"`
	NewerCampaigns   int64 `json:"newer_campaigns"`
	NewerAccounts    int64 `json:"newer_accounts"`
	// Seconds is the duration of the import.
	Seconds float64 `json:"seconds"`
}

// Import loads a CSV file with the header [Columns] from r. If the file has problems, Import
// returns them as [Problems] and changes nothing. Memory use does not depend on the length of the
// file.
//
// Import needs two connections of the pool. Concurrent imports take turns. When ctx ends, Import
// returns after the current read from r or the current slice; [IncompleteError] has the number of
// loaded rows.
func Import(ctx context.Context, pool *pgxpool.Pool, r io.Reader, o Options) (Result, error) {
	start := time.Now()
	var result Result
	err := pgx.BeginFunc(ctx, pool, func(staging pgx.Tx) error {
		l := loader{staging: staging, pool: pool, overwrite: o.Overwrite}
		if err := staging.QueryRow(ctx, "SELECT thaw.now()").Scan(&l.began); err != nil {
			return err
		}
		l.asOf = l.began
		if !o.AsOf.IsZero() {
			if o.AsOf.After(l.began) {
				return fmt.Errorf("the time of the file is %s, which is in the future: it is now %s", o.AsOf.UTC().Format(time.RFC3339), l.began.UTC().Format(time.RFC3339))
			}
			l.asOf = o.AsOf
		}
		rows, err := stage(ctx, staging, pool, r, o)
		if err != nil {
			return err
		}
		l.result = Result{Rows: rows}
		if err := l.counts(ctx); err != nil {
			return err
		}
		if o.Confirm != nil {
			preview, err := l.preview(ctx)
			if err != nil {
				return err
			}
			if err := o.Confirm(preview); err != nil {
				return err
			}
		}
		if o.Begin != nil {
			if err := o.Begin(); err != nil {
				return err
			}
		}
		if err := l.load(ctx); err != nil {
			return err
		}
		result = l.result
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	if result.Inserted+result.Updated > analyzeAbove {
		// The import has succeeded. If ANALYZE fails, autovacuum will run it.
		_, _ = pool.Exec(ctx, "ANALYZE thaw.accounts, thaw.campaigns, thaw.enrollments")
	}
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

// stage streams the file into the temporary table import_rows, groups it, and returns the number of
// rows. If the file is invalid, the error is Problems.
func stage(ctx context.Context, tx pgx.Tx, pool *pgxpool.Pool, r io.Reader, o Options) (int64, error) {
	words, err := loadVocabulary(ctx, tx)
	if err != nil {
		return 0, err
	}
	src, err := newSource(ctx, r, words, o.Progress)
	if err != nil {
		return 0, err
	}
	if _, err := run(ctx, tx, "stage"); err != nil {
		return 0, err
	}
	rows, err := tx.CopyFrom(ctx, pgx.Identifier{"import_rows"}, slices.Concat([]string{"line"}, allColumns, []string{"normal_url"}), src)
	if src.err != nil {
		return 0, src.err
	}
	if err != nil {
		return 0, fmt.Errorf("copying the rows into the database: %w", err)
	}
	for _, step := range []string{"group", "turn", "new"} {
		if _, err := run(ctx, tx, step); err != nil {
			return 0, err
		}
	}
	if err := findSpellings(ctx, tx, pool); err != nil {
		return 0, err
	}
	across, err := problemsAcrossRows(ctx, tx)
	if err != nil {
		return 0, err
	}
	if problems := src.problems.merge(across); len(problems.List) > 0 {
		return 0, problems
	}
	return rows, nil
}

// run executes the statements of a file in sql/ and returns the tag of the last one.
func run(ctx context.Context, tx pgx.Tx, name string) (pgconn.CommandTag, error) {
	tag, err := tx.Exec(ctx, statement(name))
	if err != nil {
		return tag, fmt.Errorf("importing (step %s): %w", name, err)
	}
	return tag, nil
}

// statement returns the text of an embedded file in sql/.
func statement(name string) string {
	text, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err)
	}
	return string(text)
}
