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

// riverTarget pins the version of River's migrations. An upgrade of the library does not migrate a
// database: a new migration of Thaw has to set the new target.
const riverTarget = 8

// riverMigration installs River's tables. River's versions cannot run in one transaction (one adds
// an enum value that a later one uses), so this runs outside goose's transaction, and River commits
// each version.
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

// enqueueMigration installs the functions that refer to River's schema, from a template with its
// name filled in.
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
			// The simple protocol runs several statements as one transaction.
			_, err = pool.Exec(ctx, parts[part], pgx.QueryExecModeSimpleProtocol)
			return err
		}}
	}
	return goose.NewGoMigration(4, run(0), run(1))
}
