package schema

import (
	"context"
	"database/sql"
	"fmt"
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

// The versions of the migrations that are written in Go.
const (
	riverVersion   = 1
	enqueueVersion = 9
)

// enqueueTemplate is the SQL of the migration enqueueVersion.
const enqueueTemplate = "enqueue.sql.template"

// riverMigration installs River's tables. River's versions cannot run in one transaction (one adds
// an enum value that a later one uses), so this runs outside goose's transaction, and River commits
// each version. [Migrator.DownTo] reverts it.
func riverMigration(pool *pgxpool.Pool, riverSchema string, logger *slog.Logger) *goose.Migration {
	return goose.NewGoMigration(riverVersion, &goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error {
		migrator, err := newRiverMigrator(pool, riverSchema, logger)
		if err != nil {
			return err
		}
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: riverTarget})
		return err
	}}, nil)
}

func newRiverMigrator(pool *pgxpool.Pool, riverSchema string, logger *slog.Logger) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: riverSchema, Logger: logger})
}

// enqueueMigration installs the functions that refer to River's schema, from a template with its
// name filled in. [Migrator.DownTo] reverts it.
func enqueueMigration(pool *pgxpool.Pool, riverSchema string) *goose.Migration {
	return goose.NewGoMigration(enqueueVersion, &goose.GoFunc{RunDB: func(ctx context.Context, _ *sql.DB) error {
		template, err := files.ReadFile("migrations/" + enqueueTemplate)
		if err != nil {
			return err
		}
		up, _, err := parts(template)
		if err != nil {
			return fmt.Errorf("%s: %w", enqueueTemplate, err)
		}
		rendered := strings.NewReplacer(
			"/* TEMPLATE: river */", pgx.Identifier{riverSchema}.Sanitize()+".",
			"/* TEMPLATE: river name */", strings.ReplaceAll(riverSchema, "'", "''"),
		).Replace(up)
		// The simple protocol runs several statements as one transaction.
		_, err = pool.Exec(ctx, rendered, pgx.QueryExecModeSimpleProtocol)
		return err
	}}, nil)
}
