package main

import (
	"context"
	"io"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/store"
)

type adoptCheckCmd struct {
	database `embed:""`
	Fix      bool   `help:"Create missing triggers, and copy the rows that differ. The rules of ownership decide which side wins."`
	Reason   string `help:"Reason for --fix, for the audit log." placeholder:"TEXT"`
	JSON     bool   `help:"Print JSON."`
}

func (adoptCheckCmd) Help() string {
	return "Compares the existing triggers and permissions with those that the mapping needs, then all mapped columns of all rows, in batches that lock nothing. Exits with 1 if something differs, is missing, or if rows are parked. If the tables no longer fit the mapping, nothing is resumed through the affected accounts until a check succeeds. For CI after a migration of the platform, and for cron.\n\nExample:\n  thaw adopt check --fix"
}

// checked is the output of thaw adopt check --json.
type checked struct {
	// Problems are what is wrong with the tables, the triggers and the rights.
	Problems []string `json:"problems"`
	// HeldAccounts is how many accounts are held because of them.
	HeldAccounts int64             `json:"held_accounts"`
	Comparison   *adopt.Comparison `json:"comparison"` // null if the mapping does not fit the tables
	// Parked are the rows of the platform whose change could not be applied.
	Parked []adopt.Parked `json:"parked"`
}

func (c *adoptCheckCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		if c.Fix {
			if _, err := operate(db).Record(ctx, enum.ActionAdoptionFixed, "all mapped rows", c.Reason); err != nil {
				return err
			}
		}
		report, err := c.check(ctx, e, db.Pool())
		if err != nil {
			return err
		}
		if c.JSON {
			err = writeJSON(e.stdout, report)
		} else {
			printChecked(e.stdout, report)
		}
		if err == nil && (len(report.Problems) > 0 || len(report.Parked) > 0 || report.Comparison.Drift > report.Comparison.Fixed) {
			return errSilent
		}
		return err
	})
}

func printChecked(w io.Writer, report checked) {
	for _, problem := range report.Problems {
		printf(w, "PROBLEM: %s\n", problem)
	}
	if report.HeldAccounts > 0 {
		printf(w, "Nothing is resumed through %s until a check finds no problem and no drift.\n", many(report.HeldAccounts, "account"))
	}
	if report.Comparison != nil {
		printComparison(w, *report.Comparison)
	}
	for _, parked := range report.Parked {
		printf(w, "PARKED: %s\n", parked)
	}
}

func (c *adoptCheckCmd) check(ctx context.Context, e *env, pool *pgxpool.Pool) (checked, error) {
	report := checked{Problems: []string{}}
	m, err := adopt.Applied(ctx, pool)
	if err != nil {
		return report, err
	}
	problems, prepared, err := m.SchemaProblems(ctx, pool, c.RiverSchema)
	if err != nil {
		return report, err
	}
	if prepared != nil && c.Fix {
		if err := prepared.Install(ctx, pool); err != nil {
			return report, err
		}
		if err := adopt.Retry(ctx, pool); err != nil {
			return report, err
		}
		if problems, err = prepared.SchemaProblems(ctx, pool); err != nil {
			return report, err
		}
	}
	isClean := false
	// Held before the comparison, which takes a while in a large database.
	if _, err := adopt.Note(ctx, pool, problems, isClean); err != nil {
		return report, err
	}
	canRead := !slices.ContainsFunc(problems, func(p adopt.SchemaProblem) bool { return p.IsUnreadable })
	if prepared != nil && canRead {
		result, err := compareAll(ctx, e, pool, prepared, c.Fix)
		if err != nil {
			return report, err
		}
		report.Comparison = &result
		isClean = result.Drift == result.Fixed
	}
	look, err := adopt.Note(ctx, pool, problems, isClean)
	if err != nil {
		return report, err
	}
	for _, problem := range look.Problems {
		report.Problems = append(report.Problems, problem.String())
	}
	report.HeldAccounts = look.Held
	report.Parked, err = adopt.ParkedRows(ctx, pool)
	return report, err
}

// compareAll compares both sides and records the result.
func compareAll(ctx context.Context, e *env, pool *pgxpool.Pool, prepared *adopt.Prepared, fix bool) (adopt.Comparison, error) {
	began, err := adopt.Now(ctx, pool)
	if err != nil {
		return adopt.Comparison{}, err
	}
	shown := newProgress(e.stderr, "compare", "rows", -1)
	done, total := int64(0), map[adopt.Kind]int64{}
	result, err := prepared.Compare(ctx, pool, fix, func(kind adopt.Kind, rows int64) {
		done += rows - total[kind]
		total[kind] = rows
		shown.set(done)
	})
	shown.finish()
	if err != nil {
		return result, err
	}
	isOver, err := result.Note(ctx, pool, began)
	if isOver {
		printf(e.stderr, "The drift is over the limit: safety mode is on until an operator exits it.\n")
	}
	return result, err
}

func printComparison(w io.Writer, c adopt.Comparison) {
	printf(w, "Compared %s: ", many(c.Rows, "row"))
	switch {
	case c.Drift == 0:
		printf(w, "no drift")
	case c.Fixed > 0 || c.Failed > 0:
		printf(w, "%s with drift, %s copied again, %s could not be applied", number(c.Drift), number(c.Fixed), number(c.Failed))
	default:
		printf(w, "%s with drift", number(c.Drift))
	}
	if c.Waiting > 0 {
		printf(w, ", %s with a change on its way or parked", number(c.Waiting))
	}
	printf(w, ".\n")
	for _, d := range c.Examples {
		printf(w, "  %s\n", d.String())
	}
	if c.Drift > int64(len(c.Examples)) && len(c.Examples) > 0 {
		printf(w, "  and more\n")
	}
}
