// Package verify audits a live database: each file in checks/ proves one invariant, in SQL, over all rows there are.
//
// The constraints of the schema keep a single row right. What spans rows is kept by the functions of the schema, and proved
// here: that the budgets, the ledgers and the history count the same, that no cap was exceeded, that nobody was woken who
// should not have been. A check scans the tables that it is about; it is meant for an audit, not for every minute.
package verify

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed checks/*.sql
var files embed.FS

// A Report is the result of all checks, by name.
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

// Run executes all checks in one read-only transaction, so that they see the same moment, and blocks nobody. It needs
// SELECT on the tables of schema thaw. A violation is not an error.
func Run(ctx context.Context, pool *pgxpool.Pool) (Report, error) {
	var report Report
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, pool, snapshot, func(tx pgx.Tx) (err error) {
		report, err = runIn(ctx, tx)
		return err
	})
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	return report, nil
}

func runIn(ctx context.Context, tx pgx.Tx) (Report, error) {
	checks, err := load()
	if err != nil {
		return Report{}, err
	}
	// Compiling such statements takes longer than running them. Times in examples are UTC wherever this runs.
	if _, err := tx.Exec(ctx, "SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC'"); err != nil {
		return Report{}, err
	}
	report := Report{}
	for _, c := range checks {
		result, err := c.run(ctx, tx)
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
}

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
		c := check{name: strings.TrimSuffix(path.Base(name), ".sql"), query: string(content)}
		var about []string
		for line := range strings.Lines(c.query) {
			text, isComment := strings.CutPrefix(line, "--")
			if !isComment {
				break
			}
			about = append(about, strings.TrimSpace(text))
		}
		c.about = strings.Join(about, " ")
		checks = append(checks, c)
	}
	return checks, nil
}

// countViolations counts all rows of a check and keeps a few, whatever their number.
const countViolations = `
SELECT count(*), coalesce(array_agg(numbered.violation) FILTER (WHERE numbered.n <= 5), '{}')
FROM (SELECT found.violation, row_number() OVER () AS n FROM (
%s
) AS found (violation)) AS numbered`

func (c check) run(ctx context.Context, tx pgx.Tx) (Check, error) {
	result := Check{Name: c.name, About: c.about}
	err := tx.QueryRow(ctx, fmt.Sprintf(countViolations, c.query)).Scan(&result.Violations, &result.Examples)
	return result, err
}
