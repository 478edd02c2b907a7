// Package verify audits a live database: each file in checks/ proves one invariant, in SQL, over all rows there are.
//
// The constraints of the schema keep a single row right. What spans rows is kept by the functions of the schema, and proved
// here: that the budgets, the idempotency records and the history count the same, that no cap was exceeded, that nothing was resumed that
// should not have been. A check scans the tables that it is about; it is meant for an audit, not for every minute.
//
// Each check has a snapshot of its own (REPEATABLE READ, READ ONLY) and holds the locks of a reader on the few tables that it
// names, for as long as it runs: a snapshot of all checks would keep the database from removing dead rows for the length of the
// audit. A check that looks at rows one by one goes through a table in ranges of its key, so that it can be interrupted and says
// how far it is. Memory is bounded: the server spills to disk above a fixed amount, and of the violations a number and a few
// examples are kept.
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

// A Report is the result of the checks that were carried out, by name.
type Report struct {
	Checks []Check `json:"checks"`
}

// A Check is the result of one invariant.
type Check struct {
	Name string `json:"name"`
	// About says in a sentence what the check proves.
	About string `json:"about"`
	// Violations counts the rows, or groups of rows, that break the invariant; 0 means that it holds.
	Violations int `json:"violations"`
	// Examples names the first of them, at most 5, such as "enrollment 12: …". Never null.
	Examples []string `json:"examples"`
}

// Violations returns how many there are in all checks together; 0 means that the database is sound.
func (r Report) Violations() int {
	total := 0
	for _, check := range r.Checks {
		total += check.Violations
	}
	return total
}

// Progress says how far an audit is.
type Progress struct {
	Check  string // the one that is under way
	Done   int    // checks that are done
	Checks int    // of so many
	// Part is how much of the check that is under way is done, from 0 to 1. It stays 0 where a check is a single statement.
	Part float64
}

// Options of an audit. The zero Options are those of a program that waits for the report.
type Options struct {
	// Progress is called before each statement. Nil: nobody looks.
	Progress func(Progress)
	// Range is how many keys of a table a statement of a check looks at. Default 2,000,000: a few seconds.
	Range int64
}

// examples is how many violations of a check are named.
const examples = 5

// Run executes all checks, each in a read-only transaction of its own, and blocks nothing. It needs SELECT on the tables of schema
// thaw. A violation is not an error. If ctx ends, the report has the checks that were done until then.
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

// check is a file in checks/: the comment that it begins with, and a SELECT of one text column with a row per violation.
type check struct {
	name, about, query string
	// table and key are those through which the check goes in ranges, from the line "-- ranges: thaw.enrollments id" of its
	// comment; empty: it is one statement. In the query each is written as everyKey, so that it can be run by hand.
	table, key string
}

// everyKey is what a query says in place of a range of keys.
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
		return check{}, fmt.Errorf("check %s: either the line with its ranges or %q is missing", name, everyKey)
	}
	return c, nil
}

// settings of a check: compiling such statements takes longer than running them, times in examples are UTC wherever this runs,
// and a sort or a hash takes no more memory than this before it spills to disk. How long a check takes follows the size of the
// database, not that of a request.
const settings = `SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC'; SET LOCAL work_mem = '32MB'; SET LOCAL hash_mem_multiplier = 2;
	SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '1min'`

// countViolations counts all rows of a check and keeps a few, whatever their number.
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
			// The last range has no end: other tables of the check may have higher keys.
			if last-from >= size {
				to = from + size - 1
			}
			// As literals: a plan for any range would be one for a few rows.
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
