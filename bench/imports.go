package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/importer"
)

// imports loads a fleet from a file. The baseline loads the same file without validation.
type imports struct {
	rows int
	file string
}

func newImports(s Scale) benchmark { return &imports{rows: s.pick(20_000, 1_000_000)} }

func (i *imports) about() About {
	return About{
		Name:     "import",
		Work:     fmt.Sprintf("thaw import of %d rows from a CSV file, from process start to exit", i.rows),
		Baseline: "psql: \\copy of the same file into a bare table, then INSERT … SELECT into the same tables, without validation",
		Metrics:  []Metric{{Name: "time", Unit: Seconds, Ratio: 1.5}, memory},
		keeps:    true,
	}
}

// load writes the file. Each variant loads it into its own empty database.
func (i *imports) load(_ context.Context, r *rig, _ *database) error {
	file, err := os.CreateTemp(r.folder, "fleet-*.csv")
	if err != nil {
		return err
	}
	i.file = file.Name()
	return errors.Join(writeFleet(file, i.rows), file.Close())
}

// writeFleet writes a fleet of 200 accounts in 20 workspaces with 60 campaigns, a third of the
// prospects paused.
func writeFleet(file *os.File, rows int) error {
	b := bufio.NewWriterSize(file, 1<<16)
	fmt.Fprintln(b, strings.Join(importer.Columns, ","))
	for i := range rows {
		account := i % 200
		state := "active,,"
		if i%3 == 0 {
			state = "paused,account_disconnected,2026-01-02T15:04:05Z"
		}
		fmt.Fprintf(b, "workspace-%d,account-%d,member-%d,connected,campaign-%d,running,,https://www.linkedin.com/in/prospect-%08d,%s,%d,2026-02-03T09:00:00Z\n",
			account%20, account, account, i%3, i, state, i%7)
	}
	return b.Flush()
}

func (i *imports) variants(r *rig) []variant {
	own := func(do func(context.Context, *database) (sample, error)) func(context.Context, *database, int) (sample, error) {
		return func(ctx context.Context, _ *database, _ int) (got sample, err error) {
			err = r.fresh(ctx, migrated, func(db *database) error {
				if err := db.settle(ctx); err != nil {
					return err
				}
				if got, err = do(ctx, db); err != nil {
					return err
				}
				return i.check(ctx, db)
			})
			return got, err
		}
	}
	return []variant{
		{"psql", Baseline, own(func(ctx context.Context, db *database) (sample, error) {
			began := time.Now()
			err := r.tools.psql(ctx, db, strings.ReplaceAll(copyScript, "FILE", i.file))
			return sample{"time": time.Since(began).Seconds()}, err
		})},
		{"thaw import", Thaw, own(func(ctx context.Context, db *database) (sample, error) {
			return i.program(ctx, r, db)
		})},
	}
}

const copyScript = `
BEGIN;
CREATE TEMP TABLE staged (
    workspace text, account text, member text, account_status thaw.account_status, campaign text,
    campaign_status thaw.campaign_status, campaign_paused_reason thaw.pause_reason, prospect_url text,
    status thaw.enrollment_status, paused_reason thaw.pause_reason, paused_at timestamptz, step integer,
    next_action_at timestamptz) ON COMMIT DROP;
\copy staged FROM 'FILE' (FORMAT csv, HEADER)
INSERT INTO thaw.workspaces (key) SELECT DISTINCT workspace FROM staged;
INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status)
SELECT DISTINCT w.id, s.account, s.member, s.account_status
FROM staged AS s JOIN thaw.workspaces AS w ON w.key = s.workspace;
INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason)
SELECT DISTINCT w.id, s.campaign, s.campaign_status, s.campaign_paused_reason
FROM staged AS s JOIN thaw.workspaces AS w ON w.key = s.workspace;
INSERT INTO thaw.enrollments (
    workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at, step, next_action_at)
SELECT w.id, c.id, a.id, s.prospect_url, s.status, s.paused_reason, s.paused_at, s.step, s.next_action_at
FROM staged AS s
JOIN thaw.workspaces AS w ON w.key = s.workspace
JOIN thaw.accounts AS a ON a.provider_account_id = s.account
JOIN thaw.campaigns AS c ON c.workspace_id = w.id AND c.key = s.campaign;
COMMIT;
`

// program runs thaw import. It polls the peak memory, which cannot be read after the process has
// ended.
func (i *imports) program(ctx context.Context, r *rig, db *database) (sample, error) {
	cmd := exec.CommandContext(ctx, r.options.Program, "import", "--yes", i.file)
	cmd.Env = append(os.Environ(), "THAW_DATABASE_URL="+db.URL)
	var said lastLines
	cmd.Stdout, cmd.Stderr = &said, &said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	got := sample{}
	for {
		select {
		case err := <-ended:
			if err != nil {
				return nil, fmt.Errorf("thaw import: %w\n%s", err, &said)
			}
			got["time"] = time.Since(began).Seconds()
			return got, nil
		case <-again.C:
			if mib, ok := peakMemory(cmd.Process.Pid); ok {
				got[memory.Name] = mib
			}
		}
	}
}

func (i *imports) check(ctx context.Context, db *database) error {
	return db.expect(ctx, i.rows, "enrollments with a connected account and a running campaign", `
		SELECT count(*) FROM thaw.enrollments AS e
		JOIN thaw.accounts AS a ON a.id = e.account_id AND a.status = 'connected'
		JOIN thaw.campaigns AS c ON c.id = e.campaign_id AND c.status = 'running'`)
}
