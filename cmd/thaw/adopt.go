package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/store"
)

type adoptCmd struct {
	Init adoptInitCmd `cmd:"" help:"Propose a mapping of the platform's tables."`
	Plan adoptPlanCmd `cmd:"" help:"Write the SQL that a mapping needs, and show what the rows of the platform's tables mean."`

	Apply  adoptApplyCmd  `cmd:"" help:"Create the triggers, copy the rows, compare, and start in shadow mode."`
	Status adoptStatusCmd `cmd:"" help:"Show which workspaces are live, the drift, and changes that wait or have failed."`
	Check  adoptCheckCmd  `cmd:"" help:"Compare the triggers and all rows with the mapping. Exit with 1 if something differs."`
	Live   adoptLiveCmd   `cmd:"" help:"Take workspaces from shadow mode to live."`
	Shadow adoptShadowCmd `cmd:"" help:"Take workspaces back to shadow mode."`
	Run    adoptRunCmd    `cmd:"" help:"Write Thaw's changes into the platform's tables."`
	Remove adoptRemoveCmd `cmd:"" help:"Drop the triggers, and leave nothing in the platform's schemas."`
}

func (adoptCmd) Help() string {
	return "For a platform that has accounts, campaigns and enrollments in tables of its own, in the same database. Thaw keeps a copy that triggers update, and hands its own changes back. docs/adopt.md goes through it step by step.\n\nExample:\n  thaw adopt init\n  thaw adopt plan"
}

// mappingFlag has the file of the mapping.
type mappingFlag struct {
	Mapping string `help:"File with the mapping; - reads standard input." default:"adopt.yaml" placeholder:"FILE"`
}

// read reads the mapping. Each problem of it has the line in the file.
func (f mappingFlag) read(e *env) (*adopt.Mapping, error) {
	input := io.NopCloser(e.stdin)
	if f.Mapping != "-" {
		file, err := os.Open(f.Mapping)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("there is no mapping %s\nRun \"thaw adopt init\" to propose one, or name the file with --mapping", f.Mapping)
		case err != nil:
			return nil, err
		}
		input = file
	}
	defer input.Close()
	m, err := adopt.Read(input)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Mapping, err)
	}
	return m, nil
}

type adoptInitCmd struct {
	database `embed:""`
	Out      string `help:"File for the mapping; - writes to standard output." default:"adopt.yaml" placeholder:"FILE"`
	Force    bool   `help:"Overwrite the file."`
}

func (adoptInitCmd) Help() string {
	return "Reads the catalog of the database, and a sample of the values in status columns. Writes a question mark, with a comment, for what it cannot guess. Changes nothing in the database.\n\nExample:\n  thaw adopt init --out -"
}

func (c *adoptInitCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		catalog, err := adopt.ReadCatalog(ctx, db.Pool(), c.RiverSchema)
		if err != nil {
			return err
		}
		proposal, err := adopt.Propose(ctx, db.Pool(), catalog)
		if err != nil {
			return err
		}
		if c.Out == "-" {
			_, err := io.WriteString(e.stdout, proposal)
			return err
		}
		flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		if !c.Force {
			flags |= os.O_EXCL
		}
		if err := writeFile(c.Out, proposal, flags); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s exists, and may have your changes: nothing was written\nUse --force to overwrite it, or --out to write another file", c.Out)
			}
			return err
		}
		printf(e.stdout, "Wrote %s. Review every line", c.Out)
		if _, err := adopt.Parse(proposal); err != nil {
			printf(e.stdout, ", and replace the question marks")
		}
		printf(e.stdout, ". Then run: thaw adopt plan\n")
		return nil
	})
}

func writeFile(path, content string, flags int) error {
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	return errors.Join(err, file.Close())
}

type adoptPlanCmd struct {
	database    `embed:""`
	mappingFlag `embed:""`
	Out         string `help:"File for the SQL; - writes to standard output, and the report to standard error." default:"adopt.sql" placeholder:"FILE"`
	JSON        bool   `help:"Print the report as JSON."`
}

func (adoptPlanCmd) Help() string {
	return "Compares the mapping with the tables, and counts their rows in one snapshot. Changes nothing in the database. The SQL creates triggers and grants: review it, and put it into the migrations of the platform, or let \"thaw adopt apply\" run it.\n\nExample:\n  thaw adopt plan --mapping adopt.yaml --out db/migrations/0042_thaw.sql"
}

// planReport is the output of thaw adopt plan --json.
type planReport struct {
	SQL     string               `json:"sql"` // the file
	Notices []adopt.Notice       `json:"notices"`
	Tables  []adopt.TablePreview `json:"tables"`
}

func (c *adoptPlanCmd) Run(ctx context.Context, e *env) error {
	m, err := c.read(e)
	if err != nil {
		return err
	}
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		prepared, err := prepareAdoption(ctx, db.Pool(), m, c.Mapping, c.RiverSchema)
		if err != nil {
			return err
		}
		preview, err := m.Preview(ctx, db.Pool(), prepared.Catalog)
		if err != nil {
			return err
		}
		out := io.Writer(e.stdout)
		if c.Out == "-" {
			out = e.stderr
			if _, err := io.WriteString(e.stdout, prepared.Plan.SQL()); err != nil {
				return err
			}
		} else if err := writeFile(c.Out, prepared.Plan.SQL(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC); err != nil {
			return err
		}
		if c.JSON {
			notices := prepared.Notices
			if notices == nil {
				notices = []adopt.Notice{}
			}
			return writeJSON(out, planReport{c.Out, notices, preview.Tables})
		}
		printPlan(out, preview, prepared.Notices)
		if c.Out != "-" {
			printf(out, "\nWrote %s: %s on %s. Nothing has changed in the database. Then run: thaw adopt apply\n",
				c.Out, many(prepared.Plan.TriggerCount(), "trigger"), many(len(prepared.Plan.Tables), "table"))
		}
		return nil
	})
}

// prepareAdoption compares a mapping with the database and makes its plan.
func prepareAdoption(ctx context.Context, pool *pgxpool.Pool, m *adopt.Mapping, file, riverSchema string) (*adopt.Prepared, error) {
	prepared, err := m.Prepare(ctx, pool, riverSchema)
	if problems, ok := errors.AsType[*adopt.Problems](err); ok {
		return nil, fmt.Errorf("%s: %w", file, problems)
	}
	return prepared, err
}

func printPlan(w io.Writer, preview adopt.Preview, notices []adopt.Notice) {
	for _, t := range preview.Tables {
		if t.Unreadable != "" {
			printf(w, "%s (%s): not counted: %s. Run the GRANT statements of the file first.\n", t.Kind, t.Table, t.Unreadable)
			continue
		}
		printf(w, "%s (%s): %s\n", t.Kind, t.Table, many(t.Rows, "row"))
		if len(t.Statuses) > 0 {
			list := newTable(fixed("  word"), fixed("means"), numbers("rows"), text("example"))
			for _, s := range t.Statuses {
				meaning := s.Meaning
				if meaning == "" {
					meaning = "NOT MAPPED: parked"
				}
				list.add("  "+s.Word, meaning, number(s.Rows), s.Example)
			}
			list.write(w)
		}
		if len(t.Reasons) > 0 {
			list := newTable(fixed("  reason of a pause"), fixed("means"), numbers("rows"), text("example"))
			for _, r := range t.Reasons {
				meaning := r.Meaning
				if r.IsElse {
					meaning += " (else)"
				}
				list.add("  "+r.Word, meaning, number(r.Rows), r.Example)
			}
			list.write(w)
		}
		if unused, elseRows := t.Misspelled(); len(unused) > 0 && elseRows > 0 {
			printf(w, "  Check the spelling in reason.map: no paused row has the word %s, and the word of %s is not in the map.\n",
				strings.Join(unused, ", "), many(elseRows, "paused row"))
		}
		for _, v := range t.Violations {
			printf(w, "  %s: %s, for example %s: %s\n", many(v.Rows, "row"), v.Rule, v.Example, v.Effect)
		}
		for _, r := range t.Refusals {
			printf(w, "  WARNING: %s\n", r)
		}
	}
	if len(notices) > 0 {
		printf(w, "\n")
		for _, n := range notices {
			printf(w, "Note, line %d: %s: %s\n", n.Line, n.Path, n.Message)
		}
	}
}
