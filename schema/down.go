package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/rivermigrate"
)

// DownTo reverts all migrations above version in one transaction: all of them or none. It returns
// them in the order in which it reverted them, newest first. Version 0 reverts all of them and
// deletes all data.
//
// It refuses with [ErrWorkers] beside worker processes, and if the migrations of the database are
// not those of this program, which then cannot know how to revert them.
//
// Goose would commit each migration on its own: a view of the platform on one of Thaw's tables
// would then stop a rollback halfway.
func (m *Migrator) DownTo(ctx context.Context, version int64) (reverted []*goose.Source, err error) {
	if err := m.Check(ctx); err != nil && !errors.Is(err, ErrPending) {
		return nil, err
	}
	conn, err := m.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	defer conn.Close()
	if err := m.locker.SessionLock(ctx, conn); err != nil {
		return nil, fmt.Errorf("schema: waiting for another migration: %w", err)
	}
	defer func() { err = errors.Join(err, m.locker.SessionUnlock(context.WithoutCancel(ctx), conn)) }()

	applied, err := m.applied(ctx)
	if err != nil || len(applied) == 0 {
		return nil, err
	}
	if err := m.refuseWorkers(ctx, m.pool); err != nil { // before waiting for locks that they hold
		return nil, err
	}
	err = m.locking(ctx, func() error {
		return pgx.BeginFunc(ctx, m.pool, func(tx pgx.Tx) error { reverted, err = m.downTo(ctx, tx, applied, version); return err })
	})
	if err != nil {
		return nil, err
	}
	return reverted, nil
}

// A querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func (m *Migrator) refuseWorkers(ctx context.Context, db querier) error {
	alive, err := m.hasWorkers(ctx, db)
	if err == nil && alive {
		err = ErrWorkers
	}
	return err
}

func (m *Migrator) downTo(ctx context.Context, tx pgx.Tx, applied map[int64]appliedRow, version int64) (reverted []*goose.Source, err error) {
	if err := lockAll(ctx, tx); err != nil {
		return nil, err
	}
	if err := m.refuseWorkers(ctx, tx); err != nil {
		return nil, err
	}
	for _, source := range slices.Backward(m.provider.ListSources()) {
		if _, ok := applied[source.Version]; !ok || source.Version <= version {
			continue
		}
		if err := m.revert(ctx, tx, source); err != nil {
			return nil, fmt.Errorf("schema: nothing was rolled back, because %s cannot be: %w", MigrationName(source), err)
		}
		reverted = append(reverted, source)
	}
	return reverted, nil
}

func (m *Migrator) revert(ctx context.Context, tx pgx.Tx, source *goose.Source) error {
	if source.Version == riverVersion {
		migrator, err := newRiverMigrator(m.pool, m.river, m.logger)
		if err != nil {
			return err
		}
		// Deprecated because some of River's migrations up need a transaction of their own. Down, they
		// do not.
		_, err = migrator.MigrateTx(ctx, tx, rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{TargetVersion: -1}) //nolint:staticcheck // see above
		if err != nil {
			return err
		}
	} else {
		name := source.Path
		if source.Version == enqueueVersion {
			name = enqueueTemplate
		}
		text, err := files.ReadFile("migrations/" + name)
		if err != nil {
			return err
		}
		_, down, err := parts(text)
		if err != nil {
			return err
		}
		// The simple protocol runs several statements; goose's annotations are comments to it.
		if _, err := tx.Exec(ctx, down, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, "DELETE FROM "+versionsTable+" WHERE version_id = $1", source.Version)
	return err
}

// parts splits a migration into what applies it and what reverts it.
func parts(text []byte) (up, down string, err error) {
	up, down, found := strings.Cut(string(text), "-- +goose Down")
	if !found {
		return "", "", errors.New(`no line "-- +goose Down"`)
	}
	return up, down, nil
}
