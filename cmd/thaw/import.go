package main

import (
	"context"
	"io"
	"os"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/internal/store"
)

type importCmd struct {
	database  `embed:""`
	File      string `arg:"" help:"CSV file with a header line; - reads standard input."`
	Overwrite bool   `help:"Let the file override pauses by a person, restrictions by the provider, and resumes after the pause in the file. Without this flag such rows do not change, and are counted."`
	JSON      bool   `help:"Print JSON."`
}

func (importCmd) Help() string {
	return "The whole file is checked first. If it has an error, nothing is loaded. The file is loaded in parts, so that signals are not delayed. If an import is interrupted, import the same file again: rows that did not change are skipped. Rows that a person paused, that the provider restricted, or that were resumed after the pause in the file do not change.\n\nExample:\n  thaw import fleet.csv\n\n" +
		"Columns: workspace, account, member, account_status, campaign, campaign_status, campaign_paused_reason, prospect_url, status, paused_reason, paused_at, step, next_action_at."
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
		result, err := importFleet(ctx, e, db, input, size, c.Overwrite)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, result)
		}
		printf(e.stdout, "%d rows: %d workspaces, %d accounts, %d campaigns, %d enrollments (%d new, %d changed, %d unchanged) in %.1f s\n",
			result.Rows, result.Workspaces, result.Accounts, result.Campaigns, result.Enrollments, result.Inserted, result.Updated, result.Unchanged, result.Seconds)
		if kept := result.KeptEnrollments + result.KeptCampaigns + result.KeptAccounts; kept > 0 {
			printf(e.stdout, "%d prospects, %d campaigns and %d accounts not changed: a person paused them, or the provider restricted them (use --overwrite to change them)\n",
				result.KeptEnrollments, result.KeptCampaigns, result.KeptAccounts)
		}
		if result.ResumedSince > 0 {
			printf(e.stdout, "%d prospects not changed: they were resumed after the pause in the file\n", result.ResumedSince)
		}
		return nil
	})
}

// importFleet imports a file and shows progress. A negative size in bytes means unknown.
func importFleet(ctx context.Context, e *env, db *store.Store, input io.Reader, size int64, overwrite bool) (importer.Result, error) {
	shown := newProgress(e.stderr, "import", "bytes", size)
	defer shown.finish()
	return importer.Import(ctx, db.Pool(), input, importer.Options{
		Overwrite: overwrite,
		Progress:  func(_, bytes int64) { shown.set(bytes) },
	})
}
