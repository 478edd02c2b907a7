package schema

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// riverTarget pins River's own migrations: an upgrade of the library does not migrate a database by itself, it takes a
// migration of ours that names the new target.
const riverTarget = 8

// riverMigration installs River's tables. River's versions cannot run in one transaction (one adds an enum value that a
// later one uses), so this runs outside of goose's and lets River commit each of its own.
func riverMigration(pool *pgxpool.Pool, riverSchema string, logger *slog.Logger) *goose.Migration {
	migrate := func(direction rivermigrate.Direction, target int) *goose.GoFunc {
		return &goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error {
			migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: riverSchema, Logger: logger})
			if err != nil {
				return err
			}
			_, err = migrator.Migrate(ctx, direction, &rivermigrate.MigrateOpts{TargetVersion: target})
			return err
		}}
	}
	return goose.NewGoMigration(1, migrate(rivermigrate.DirectionUp, riverTarget), migrate(rivermigrate.DirectionDown, -1))
}

// enqueueMigration installs thaw.enqueue, the only function that names River's schema, from a template with that name put in.
func enqueueMigration(pool *pgxpool.Pool, riverSchema string) *goose.Migration {
	run := func(part int) *goose.GoFunc {
		return &goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error {
			template, err := files.ReadFile("migrations/enqueue.sql.template")
			if err != nil {
				return err
			}
			rendered := strings.NewReplacer(
				"/* TEMPLATE: river */", pgx.Identifier{riverSchema}.Sanitize()+".",
				"/* TEMPLATE: river name */", strings.ReplaceAll(riverSchema, "'", "''"),
			).Replace(string(template))
			parts := strings.SplitN(rendered, "-- +goose Down", 2)
			if len(parts) != 2 {
				return errors.New("enqueue.sql.template: no down part")
			}
			// The simple protocol takes several statements and makes them one transaction.
			_, err = pool.Exec(ctx, parts[part], pgx.QueryExecModeSimpleProtocol)
			return err
		}}
	}
	return goose.NewGoMigration(4, run(0), run(1))
}
