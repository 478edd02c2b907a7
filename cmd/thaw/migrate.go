package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pressly/goose/v3"
	"golang.org/x/term"

	"github.com/thawline/thaw/schema"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply all pending migrations. Safe to run from several processes at once."`
	Down   migrateDownCmd   `cmd:"" help:"Take back the newest migration, or all above --to, with the data in their tables."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and which are applied."`
}

func (migrateCmd) Help() string { return migrateUpCmd{}.Help() }

type migrateUpCmd struct {
	database `embed:""`
}

func (migrateUpCmd) Help() string {
	return "Example:\n  thaw migrate up --database-url postgres://localhost/platform"
}

func (c *migrateUpCmd) Run(ctx context.Context, e *env) error {
	if c.PollOnly {
		return errPooled
	}
	return c.migrate(ctx, e.logger, func(m *schema.Migrator) error {
		results, err := m.Up(ctx)
		for _, r := range results {
			printf(e.stdout, "applied %s\n", migrationName(r.Source))
		}
		if err == nil && len(results) == 0 {
			printf(e.stdout, "nothing to do: all migrations are applied\n")
		}
		return err
	})
}

type migrateDownCmd struct {
	database `embed:""`
	To       *int64 `help:"Version to go back to; 0 removes everything. Default: one step." placeholder:"VERSION"`
	Yes      bool   `help:"Do not ask. Required where there is no terminal to ask on."`
}

func (migrateDownCmd) Help() string {
	return "Removes the tables of the migrations that are taken back, with their data. Stop all Thaw processes first.\n\nExample:\n  thaw migrate down --to 9"
}

func (c *migrateDownCmd) Run(ctx context.Context, e *env) error {
	if c.PollOnly {
		return errPooled
	}
	return c.migrate(ctx, e.logger, func(m *schema.Migrator) error {
		going, err := c.goingBack(ctx, m)
		if err != nil {
			return err
		}
		if len(going) == 0 {
			printf(e.stdout, "nothing to take back\n")
			return nil
		}
		if alive, err := m.HasWorkers(ctx); err != nil {
			return err
		} else if alive {
			return errors.New("a worker process is alive, or was 15 seconds ago, and its jobs would fail: stop all Thaw processes, then run this again")
		}
		if err := c.confirm(ctx, e, m, going); err != nil {
			return err
		}
		results, err := m.DownTo(ctx, going[len(going)-1].Version-1)
		for _, r := range results {
			printf(e.stdout, "took back %s\n", migrationName(r.Source))
		}
		return err
	})
}

// goingBack returns the migrations that would be taken back, newest first.
func (c *migrateDownCmd) goingBack(ctx context.Context, m *schema.Migrator) (going []*goose.Source, err error) {
	all, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, line := range slices.Backward(all) {
		if line.At != nil && (c.To == nil && len(going) == 0 || c.To != nil && line.Source.Version > *c.To) {
			going = append(going, line.Source)
		}
	}
	return going, nil
}

// confirm has a person type the name of the database: what is removed is not kept anywhere.
func (c *migrateDownCmd) confirm(ctx context.Context, e *env, m *schema.Migrator, going []*goose.Source) error {
	if c.Yes {
		return nil
	}
	name, err := m.DatabaseName(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(going))
	for i, source := range going {
		names[i] = migrationName(source)
	}
	stdin, isFile := e.stdin.(*os.File)
	if !isFile || !term.IsTerminal(int(stdin.Fd())) {
		return fmt.Errorf("this takes back %s in database %q, with the data in their tables, and there is no terminal to ask on: add --yes", strings.Join(names, ", "), name)
	}
	printf(e.stdout, "This takes back %s, with the data in their tables.\nType the name of the database, %s, to go on: ", strings.Join(names, ", "), name)
	typed, err := bufio.NewReader(io.LimitReader(stdin, 256)).ReadString('\n')
	if err != nil || strings.TrimSpace(typed) != name {
		return errors.New("nothing was taken back: that is not the name of the database")
	}
	return nil
}

type migrateStatusCmd struct {
	database `embed:""`
	JSON     bool `help:"Print JSON."`
}

func (migrateStatusCmd) Help() string { return "Example:\n  thaw migrate status --json" }

func (c *migrateStatusCmd) Run(ctx context.Context, e *env) error {
	return c.migrate(ctx, e.logger, func(m *schema.Migrator) error {
		all, err := m.Status(ctx)
		if err != nil {
			return err
		}
		type line struct {
			Version   int64      `json:"version"`
			Name      string     `json:"name"`
			AppliedAt *time.Time `json:"applied_at"`
		}
		lines := make([]line, len(all))
		for i, s := range all {
			lines[i] = line{Version: s.Source.Version, Name: migrationName(s.Source), AppliedAt: s.At}
		}
		if c.JSON {
			return writeJSON(e.stdout, lines)
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		printf(w, "VERSION\tMIGRATION\tAPPLIED\n")
		for _, l := range lines {
			applied := "pending"
			if l.AppliedAt != nil {
				applied = stamp(*l.AppliedAt)
			}
			printf(w, "%d\t%s\t%s\n", l.Version, l.Name, applied)
		}
		return w.Flush()
	})
}

// errPooled keeps migrations from being run where the lock that they take would be left on somebody else's connection.
var errPooled = errors.New("migrations hold a lock of their session, which a connection pooler in transaction mode hands to somebody else: run \"thaw migrate up\" against Postgres itself, with --poll-only=false and its own --database-url")

func (d database) migrate(ctx context.Context, logger *slog.Logger, do func(*schema.Migrator) error) error {
	pool, err := d.open(ctx, commandConnections)
	if err != nil {
		return err
	}
	defer pool.Close()
	migrator, err := schema.NewMigrator(pool, d.RiverSchema, slog.New(quieter{logger.Handler()}))
	if err != nil {
		return err
	}
	defer migrator.Close()
	return do(migrator)
}

// quieter leaves out what goose and River log at info level for every migration: the command prints that itself.
type quieter struct{ slog.Handler }

func (q quieter) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// migrationName names the migrations in Go too, which have no file.
func migrationName(s *goose.Source) string {
	switch {
	case s.Path != "":
		return s.Path
	case s.Version == 1:
		return "00001_river"
	default:
		return fmt.Sprintf("%05d_enqueue", s.Version)
	}
}
