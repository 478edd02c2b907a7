// Package verify audits a live database: each file in checks/ proves one invariant, in SQL, over
// all rows.
//
// The constraints of the schema protect single rows. Invariants that span rows are maintained by
// the functions of the schema and proved here: quotas, idempotency records and history agree, no
// cap was exceeded, and nothing was resumed that should not have been. A check scans its tables; it
// is meant for an audit and not for frequent use.
//
// Each check has its own snapshot (REPEATABLE READ, READ ONLY) and holds read locks on the few
// tables that it uses while it runs. A common snapshot would keep the database from removing dead
// rows during the whole audit. A check that examines rows one by one processes its table in ranges
// of the key, so that it can be interrupted and reports progress. Memory is bounded: the server
// spills to disk above a fixed amount, and of the violations only the number and a few examples are
// kept.
package verify

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed checks/*.sql
var files embed.FS

// A Report has the results of the completed checks, by name.
type Report struct {
	Checks []Check `json:"checks"`
}

// A Check is the result of one invariant.
type Check struct {
	Name string `json:"name"`
	// About describes the invariant.
	About string `json:"about"`
	// Violations is the number of rows, or groups of rows, that violate the invariant. 0: it holds.
	Violations int `json:"violations"`
	// Examples describes the first violations, at most 5, such as "enrollment 12: …". Never null.
	Examples []string `json:"examples"`
}

// Violations returns the number of violations in all checks. 0: the database is sound.
func (r Report) Violations() int {
	total := 0
	for _, check := range r.Checks {
		total += check.Violations
	}
	return total
}

// Progress is the progress of an audit.
type Progress struct {
	Check  string // the running check
	Done   int    // number of completed checks
	Checks int    // number of all checks
	// Part is the completed part of the running check, from 0 to 1. It stays 0 if the check is a
	// single statement.
	Part float64
}

// Options configure an audit. The zero value is valid.
type Options struct {
	// Progress, if not nil, is called before each statement.
	Progress func(Progress)
	// Range is how many keys of a table one statement checks. Default 2,000,000, which takes a few
	// seconds.
	Range int64
}

// examples is how many violations of a check are described.
const examples = 5

// Run executes all checks, each in its own read-only transaction, and blocks nothing. It needs
// SELECT on the tables of schema thaw, and EXECUTE on thaw.kind_gates and the functions of windows.
// A violation is not an error. If ctx ends, the report has the checks that were completed until
// then.
func Run(ctx context.Context, pool *pgxpool.Pool, o Options) (Report, error) {
	checks, err := load()
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	report := Report{Checks: make([]Check, 0, len(checks))}
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	for i, c := range checks {
		var result Check
		err := pgx.BeginTxFunc(ctx, pool, snapshot, func(tx pgx.Tx) (err error) {
			result, err = c.run(ctx, tx, o, Progress{Check: c.name, Done: i, Checks: len(checks)})
			return err
		})
		if err != nil {
			return report, fmt.Errorf("verify: check %s: %w", c.name, err)
		}
		report.Checks = append(report.Checks, result)
	}
	return report, nil
}

// runIn runs all checks in one transaction.
func runIn(ctx context.Context, tx pgx.Tx, o Options) (Report, error) {
	checks, err := load()
	if err != nil {
		return Report{}, err
	}
	report := Report{}
	for _, c := range checks {
		result, err := c.run(ctx, tx, o, Progress{})
		if err != nil {
			return Report{}, fmt.Errorf("check %s: %w", c.name, err)
		}
		report.Checks = append(report.Checks, result)
	}
	return report, nil
}

// check is a file in checks/: a comment, and a SELECT of one text column with one row per
// violation.
type check struct {
	name, about, query string
	// table and key define the ranges of the check, from the line "-- ranges: thaw.enrollments id"
	// of its comment. Empty: it is one statement. The query contains everyKey in place of a range,
	// so that it can also be run manually.
	table, key string
}

// everyKey is the placeholder for a range of keys, valid SQL that matches all keys.
const everyKey = "BETWEEN 0 AND 9223372036854775807"

func load() ([]check, error) {
	names, err := fs.Glob(files, "checks/*.sql")
	if err != nil {
		return nil, err
	}
	checks := make([]check, 0, len(names))
	for _, name := range names {
		content, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		c, err := parse(strings.TrimSuffix(path.Base(name), ".sql"), string(content))
		if err != nil {
			return nil, err
		}
		checks = append(checks, c)
	}
	return checks, nil
}

func parse(name, content string) (check, error) {
	c := check{name: name, query: content}
	var about []string
	for line := range strings.Lines(content) {
		text, isComment := strings.CutPrefix(line, "--")
		if !isComment {
			break
		}
		text = strings.TrimSpace(text)
		if ranges, ok := strings.CutPrefix(text, "ranges: "); ok {
			c.table, c.key, _ = strings.Cut(ranges, " ")
			continue
		}
		about = append(about, text)
	}
	c.about = strings.Join(about, " ")
	if hasRanges := strings.Contains(content, everyKey); hasRanges != (c.key != "") {
		return check{}, fmt.Errorf("check %s: a \"-- ranges:\" line and %q must appear together", name, everyKey)
	}
	return c, nil
}

// settings of a check: no JIT, because compiling these statements takes longer than running them;
// UTC, so that examples do not depend on the server; and bounded memory for sorts and hashes, which
// spill to disk beyond it. Checks have no statement timeout, because their duration depends on the
// size of the database.
const settings = `SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC'; SET LOCAL work_mem = '32MB'; SET LOCAL hash_mem_multiplier = 2;
	SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '1min'`

// countViolations counts all rows of a check and keeps the first few.
const countViolations = `
SELECT count(*), coalesce(array_agg(numbered.violation) FILTER (WHERE numbered.n <= %d), '{}')
FROM (SELECT found.violation, row_number() OVER () AS n FROM (
%s
) AS found (violation)) AS numbered`

func (c check) run(ctx context.Context, tx pgx.Tx, o Options, at Progress) (Check, error) {
	result := Check{Name: c.name, About: c.about, Examples: []string{}}
	if _, err := tx.Exec(ctx, settings); err != nil {
		return Check{}, err
	}
	for from, last := int64(0), int64(-1); ; {
		if o.Progress != nil {
			o.Progress(at)
		}
		query := c.query
		to := int64(math.MaxInt64)
		if c.key != "" {
			if last < 0 {
				if err := tx.QueryRow(ctx, fmt.Sprintf("SELECT coalesce(max(%s), 0) FROM %s", c.key, c.table)).Scan(&last); err != nil {
					return Check{}, err
				}
			}
			size := o.Range
			if size <= 0 {
				size = 2_000_000
			}
			// The last range has no upper limit: other tables of the check may have higher keys.
			if last-from >= size {
				to = from + size - 1
			}
			// Literals and not parameters: a generic plan would assume few rows.
			query = strings.ReplaceAll(c.query, everyKey, fmt.Sprintf("BETWEEN %d AND %d", from, to))
		}
		var violations int
		var named []string
		err := tx.QueryRow(ctx, fmt.Sprintf(countViolations, examples, query), pgx.QueryExecModeExec).Scan(&violations, &named)
		if err != nil {
			return Check{}, err
		}
		result.Violations += violations
		result.Examples = append(result.Examples, named[:min(len(named), examples-len(result.Examples))]...)
		if to == math.MaxInt64 {
			return result, nil
		}
		from = to + 1
		at.Part = float64(from) / float64(last)
	}
}
