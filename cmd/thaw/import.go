package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/store"
)

type importCmd struct {
	database  `embed:""`
	File      string    `arg:"" help:"CSV file with a header line; - reads standard input."`
	Overwrite bool      `help:"Let the file override pauses by a person, restrictions by the provider, resumes after the pause in the file, and rows that are newer in the database. Without this flag such rows do not change, and are counted." xor:"age"`
	AsOf      time.Time `type:"since" help:"Time of the data in the file, for example 2026-01-31T09:00Z or 3h for three hours ago. What changed in the database after it is kept. Default: now." placeholder:"TIME" xor:"age"`
	Reason    string    `help:"Reason, for the audit log." placeholder:"TEXT"`
	Yes       bool      `help:"Load the file without showing the changes and without asking." short:"y"`
	DryRun    bool      `help:"Check the file and show what it would change, without changing anything."`
	JSON      bool      `help:"Print JSON."`
}

func (importCmd) Help() string {
	return "The whole file is checked first. If it has an error, nothing is loaded. The file is loaded in parts, so that signals are not delayed. If an import is interrupted, import the same file again: rows that did not change are skipped. Some prospects keep their state in the database, whatever the file says: those that a person paused, those that the provider restricted, those that were resumed later than the paused_at in the file, and those that are newer in the database: they have taken more steps, have started, ended or moved, or changed after --as-of.\n\nIf existing prospects would change, the command shows how many, by kind, and asks on a terminal whether to load the file. In a script, it requires --yes before it pauses prospects that are not paused.\n\nExample:\n  thaw import fleet.csv\n\n" +
		"Columns: workspace, account, member, account_status, campaign, campaign_status, campaign_paused_reason, prospect_url, status, paused_reason, paused_at, step, next_action_at.\n\nOptional columns: provider, account_name, timezone, account_external_id, workspace_name, workspace_external_id, campaign_name, campaign_external_id, external_id. If one is empty, the database keeps its value. A line whose columns of the prospect and its campaign are empty is an account without prospects; a file of accounts alone needs only the first four columns. Prospects with an external_id are identified by it, others by campaign and URL."
}

func (c *importCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		input, size := e.stdin, int64(-1)
		if c.File != "-" {
			file, err := os.Open(c.File)
			if err != nil {
				return err
			}
			defer file.Close()
			input = file
			if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
				size = info.Size()
			}
		}
		result, err := c.load(ctx, e, db, input, size)
		if errors.Is(err, errPreviewShown) {
			return nil
		}
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, result)
		}
		printf(e.stdout, "%s: %s, %s, %s, %s (%s new, %s changed, %s unchanged) in %.1f s\n",
			many(result.Rows, "row"), many(result.Workspaces, "workspace"), many(result.Accounts, "account"), many(result.Campaigns, "campaign"), many(result.Enrollments, "enrollment"),
			number(result.Inserted), number(result.Updated), number(result.Unchanged), result.Seconds)
		if kept := result.KeptEnrollments + result.KeptCampaigns + result.KeptAccounts; kept > 0 {
			printf(e.stdout, "%s, %s and %s not changed: a person paused them, or the provider restricted them (use --overwrite to change them)\n",
				many(result.KeptEnrollments, "prospect"), many(result.KeptCampaigns, "campaign"), many(result.KeptAccounts, "account"))
		}
		if newer := result.NewerEnrollments + result.NewerCampaigns + result.NewerAccounts; newer > 0 {
			printf(e.stdout, "%s, %s and %s not changed: they are newer in the database than in the file (use --overwrite to change them)\n",
				many(result.NewerEnrollments, "prospect"), many(result.NewerCampaigns, "campaign"), many(result.NewerAccounts, "account"))
		}
		if result.ResumedSince > 0 {
			printf(e.stdout, "%s not changed: resumed after the pause in the file\n", many(result.ResumedSince, "prospect"))
		}
		return nil
	})
}

// errPreviewShown ends an import after its preview.
var errPreviewShown = errors.New("only a preview was wanted")

// load imports the file and shows progress. A negative size in bytes means unknown.
func (c *importCmd) load(ctx context.Context, e *env, db *store.Store, input io.Reader, size int64) (importer.Result, error) {
	shown := newProgress(e.stderr, "import", "bytes", size)
	defer shown.finish()
	options := importer.Options{Overwrite: c.Overwrite, AsOf: c.AsOf, Progress: func(_, bytes int64) { shown.set(bytes) }}
	if c.DryRun || !c.Yes {
		options.Confirm = func(p importer.Preview) error {
			shown.finish()
			return c.confirm(e, p)
		}
	}
	operate, action := operate(db), int64(0)
	options.Begin = func() (err error) {
		action, err = operate.Record(ctx, enum.ActionImported, inputDetail(c.File), c.Reason)
		return err
	}
	result, err := importer.Import(ctx, db.Pool(), input, options)
	if action == 0 {
		return result, err
	}
	loaded := result.Inserted + result.Updated
	if incomplete, ok := errors.AsType[*importer.IncompleteError](err); ok {
		loaded = incomplete.Loaded
	}
	return result, errors.Join(err, operate.RecordProspects(ctx, action, loaded))
}

// confirm shows the preview and asks whether to load the file, if existing prospects would change.
func (c *importCmd) confirm(e *env, p importer.Preview) error {
	switch {
	case c.DryRun && c.JSON:
		return errors.Join(writeJSON(e.stdout, p), errPreviewShown)
	case c.DryRun:
		printPreview(e.stdout, p)
		printf(e.stdout, "dry run: nothing changed\n")
		return errPreviewShown
	case p.Changed == 0:
		return nil
	case c.File != "-" && isTerminalInput(e.stdin):
		printPreview(e.stderr, p)
		printf(e.stderr, "Load the file? [y/N] ")
		answer, err := bufio.NewReader(e.stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if answer := strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
			return errors.New("not loaded: nothing changed")
		}
		return nil
	case p.Pausing > 0:
		printPreview(e.stderr, p)
		return fmt.Errorf("the file would pause %s that are not paused: nothing changed\nCheck whether the file is current, then use --yes to load it", many(p.Pausing, "prospect"))
	}
	return nil
}

func printPreview(w io.Writer, p importer.Preview) {
	printf(w, "%s: %s new, %s to change, %s unchanged\n", many(p.Rows, "row"), number(p.New), number(p.Changed), number(p.Unchanged))
	for _, kind := range []struct {
		n    int64
		what string
	}{
		{p.Pausing, "to pause, which are pending or active now"},
		{p.Resuming, "to resume, which are paused now"},
		{p.Ending, "to end (completed, replied, failed or removed in the file)"},
		{p.Other, "to update otherwise (step, next action, account, reason of the pause)"},
		{p.Kept, "kept: a person paused them, or the provider restricted them"},
		{p.ResumedSince, "kept: they were resumed after the pause in the file"},
		{p.Newer, "kept: they are newer in the database than in the file"},
	} {
		if kind.n > 0 {
			printf(w, "%11s %s\n", number(kind.n), kind.what)
		}
	}
}

// isTerminalInput reports whether a person can answer a question.
func isTerminalInput(r io.Reader) bool {
	file, ok := r.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
