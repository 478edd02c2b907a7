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
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"golang.org/x/term"

	"github.com/thawline/thaw/schema"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply all pending migrations. Several processes may run this at the same time."`
	Down   migrateDownCmd   `cmd:"" help:"Roll back the newest migration, or all migrations above --to: all of them or none. Deletes their tables with all data."`
	Status migrateStatusCmd `cmd:"" help:"List all migrations, when they were applied, and which differ from those of this program."`
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
			printf(e.stdout, "applied %s\n", schema.MigrationName(r.Source))
		}
		if err == nil && len(results) == 0 {
			printf(e.stdout, "no change: all migrations are applied\n")
		}
		return err
	})
}

type migrateDownCmd struct {
	database `embed:""`
	To       *int64 `help:"Version to roll back to. 0 removes everything. Default: roll back one migration." placeholder:"VERSION"`
	Yes      bool   `help:"Do not ask for confirmation. Required without a terminal."`
}

func (migrateDownCmd) Help() string {
	return "Stop all Thaw processes first.\n\nExample:\n  thaw migrate down --to 9"
}

func (c *migrateDownCmd) Run(ctx context.Context, e *env) error {
	if c.PollOnly {
		return errPooled
	}
	return c.migrate(ctx, e.logger, func(m *schema.Migrator) error {
		going, err := c.toRollBack(ctx, m)
		if err != nil {
			return err
		}
		if len(going) == 0 {
			printf(e.stdout, "no change: no migration to roll back\n")
			return nil
		}
		if alive, err := m.HasWorkers(ctx); err != nil {
			return err
		} else if alive {
			return schema.ErrWorkers // before the user is asked; DownTo checks again
		}
		if err := c.confirm(ctx, e, m, going); err != nil {
			return err
		}
		reverted, err := m.DownTo(ctx, going[len(going)-1].Version-1)
		for _, source := range reverted {
			printf(e.stdout, "rolled back %s\n", schema.MigrationName(source))
		}
		return err
	})
}

// toRollBack returns the migrations to roll back, newest first.
func (c *migrateDownCmd) toRollBack(ctx context.Context, m *schema.Migrator) (going []*goose.Source, err error) {
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

// confirm asks the user to type the name of the database, because the rollback deletes data for
// good.
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
		names[i] = schema.MigrationName(source)
	}
	stdin, isFile := e.stdin.(*os.File)
	if !isFile || !term.IsTerminal(int(stdin.Fd())) {
		return fmt.Errorf("rolling back %s in database %q may delete tables with their data, and there is no terminal on which to confirm this: to confirm, add --yes", strings.Join(names, ", "), name)
	}
	printf(e.stdout, "Rolling back %s may delete tables with their data.\nType the name of the database, %s, to continue: ", strings.Join(names, ", "), name)
	typed, err := bufio.NewReader(io.LimitReader(stdin, 256)).ReadString('\n')
	if err != nil || strings.TrimSpace(typed) != name {
		return errors.New("nothing was rolled back: the name of the database does not match")
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
			// Changed: it was applied with another text than this program has.
			Changed bool `json:"changed"`
		}
		lines := make([]line, len(all))
		for i, s := range all {
			lines[i] = line{Version: s.Source.Version, Name: schema.MigrationName(s.Source), AppliedAt: s.At, Changed: s.Changed}
		}
		if c.JSON {
			return writeJSON(e.stdout, lines)
		}
		t := newTable(numbers("VERSION"), text("MIGRATION"), fixed("APPLIED (UTC)"))
		for _, l := range lines {
			applied := minute(l.AppliedAt, "pending")
			if l.Changed {
				applied += " differs"
			}
			t.add(strconv.FormatInt(l.Version, 10), l.Name, applied)
		}
		t.write(e.stdout)
		if err := m.Check(ctx); errors.Is(err, schema.ErrNewer) || errors.Is(err, schema.ErrChanged) {
			printf(e.stdout, "\n%s\n", explainError(err))
		}
		return nil
	})
}

// errPooled refuses migrations through a pooler in transaction mode, where their session lock would
// stay on a shared connection.
var errPooled = errors.New("migrations cannot run through a connection pooler in transaction mode, because they hold a session lock: run \"thaw migrate\" with --poll-only=false and a --database-url that points to Postgres itself")

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

// quieter drops the info messages that goose and River log for every migration: the command prints
// its own.
type quieter struct{ slog.Handler }

func (q quieter) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}
