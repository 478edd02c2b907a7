// Package importer loads a fleet from a CSV file: workspaces, accounts, campaigns and enrollments, one line an enrollment.
//
// The file states how things are. What the database does not know is inserted, what it knows otherwise is changed, what is
// equal is not touched, and what the file does not name is left alone. What a person paused or the provider restricted stays so,
// whatever the file says, and so does a prospect that was resumed since the pause that the file has. An import enqueues no jobs of its own: the next tick
// finds what it loaded. Only a signal that came before its account is applied as ever when the account is inserted.
//
// Rows are checked one by one while they are streamed into a temporary table; what concerns several rows, or what the
// database knows already, is checked there. A file with a problem changes nothing.
//
// Then the rows are moved in slices, each in a transaction of its own (load.go), so that an account is locked for the time of a slice
// and signals for it hardly wait. What stops comes before the rows, what starts comes after them: no pass in between resumes a prospect
// of which the file says that it is stopped. An import that is interrupted leaves the slices that it has committed; the
// same file again does the rest (docs/decisions/0028).
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

// analyzeAbove is how many inserted and updated enrollments make the planner's old statistics worthless.
const analyzeAbove = 10_000

// Options of an import. The zero value is valid.
type Options struct {
	// Progress, if set, is told every thousand rows, and at the end of the input, how many data rows and bytes have been
	// read. It is called by one goroutine at a time, and not after Import has returned.
	Progress func(rows, bytes int64)
	// Overwrite lets the file win over what a person paused, what the provider restricted, and what was resumed since the pause that
	// the file has. Without it such prospects, campaigns and accounts stay as they are.
	Overwrite bool
}

// A Result says what a file had and what came of it.
type Result struct {
	// What the file has: data rows, and how many different things they name.
	Rows        int64 `json:"rows"`
	Workspaces  int64 `json:"workspaces"`
	Accounts    int64 `json:"accounts"`
	Campaigns   int64 `json:"campaigns"`
	Enrollments int64 `json:"enrollments"`
	// What was done with the enrollments; together they are all of them.
	Inserted  int64 `json:"inserted"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	// What the file says otherwise and was left as it is: what a person paused or a restriction stopped, and prospects that were
	// resumed since the pause that the file has. These prospects are among the unchanged ones.
	KeptEnrollments int64 `json:"kept_enrollments"`
	KeptCampaigns   int64 `json:"kept_campaigns"`
	KeptAccounts    int64 `json:"kept_accounts"`
	ResumedSince    int64 `json:"resumed_since"`
	// Seconds of real time that the import took.
	Seconds float64 `json:"seconds"`
}

// Import reads a CSV file with a header line of [Columns] from r and brings the database to what it says. What is wrong with the
// file is returned as [Problems], and then nothing is changed. Memory stays bounded, however long the file is.
//
// It needs two connections of the pool. Two imports take turns. When ctx ends, Import returns as soon as a read from r that is under
// way does, or a slice; [IncompleteError] says how much was loaded.
func Import(ctx context.Context, pool *pgxpool.Pool, r io.Reader, o Options) (Result, error) {
	start := time.Now()
	var result Result
	err := pgx.BeginFunc(ctx, pool, func(staging pgx.Tx) error {
		l := loader{staging: staging, pool: pool, overwrite: o.Overwrite}
		if err := staging.QueryRow(ctx, "SELECT thaw.now()").Scan(&l.began); err != nil {
			return err
		}
		rows, err := stage(ctx, staging, pool, r, o)
		if err != nil {
			return err
		}
		l.result = Result{Rows: rows, Enrollments: rows}
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
		// The fleet is in; a plan that is bad until autovacuum comes by is no reason to say otherwise.
		_, _ = pool.Exec(ctx, "ANALYZE thaw.accounts, thaw.campaigns, thaw.enrollments")
	}
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

// stage streams the file into the temporary table import_rows, groups it, and returns how many rows it has. The error is
// Problems where something is wrong with the file.
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
	rows, err := tx.CopyFrom(ctx, pgx.Identifier{"import_rows"}, slices.Concat([]string{"line"}, Columns, []string{"normal_url"}), src)
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

// run executes the statements of one file below sql/ and returns the tag of the last one.
func run(ctx context.Context, tx pgx.Tx, name string) (pgconn.CommandTag, error) {
	tag, err := tx.Exec(ctx, statement(name))
	if err != nil {
		return tag, fmt.Errorf("importing (step %s): %w", name, err)
	}
	return tag, nil
}

// statement returns a file below sql/, which is part of the program.
func statement(name string) string {
	text, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err)
	}
	return string(text)
}
