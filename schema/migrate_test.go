package schema_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
)

func newMigrator(t testing.TB, pool *pgxpool.Pool, riverSchema string) *schema.Migrator {
	t.Helper()
	migrator, err := schema.NewMigrator(pool, riverSchema, testdb.Logger(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, migrator.Close()) })
	return migrator
}

// objects lists everything that the migrations created: tables, columns, indexes, constraints,
// functions, types and triggers.
func objects(t testing.TB, db *testdb.DB) []string {
	t.Helper()
	return testdb.Column[string](t, db, `
		WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = 'thaw')
		SELECT format('%s %s', c.relkind, c.relname) FROM pg_class AS c JOIN ours ON ours.oid = c.relnamespace
		WHERE c.relname NOT LIKE 'goose_db_version%'
		UNION ALL
		SELECT format('column %s.%s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod))
		FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN ours ON ours.oid = c.relnamespace
		WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v') AND c.relname NOT LIKE 'goose_db_version%'
		UNION ALL
		SELECT format('constraint %s %s', con.conname, pg_get_constraintdef(con.oid))
		FROM pg_constraint AS con JOIN ours ON ours.oid = con.connamespace
		WHERE con.conrelid::regclass::text NOT LIKE '%goose_db_version%'
		UNION ALL
		-- Reverting a migration does not remove a search path that it set.
		SELECT format('function %s %s', p.oid::regprocedure, md5(regexp_replace(pg_get_functiondef(p.oid), ' SET search_path [^\n]*\n', '')))
		FROM pg_proc AS p JOIN ours ON ours.oid = p.pronamespace
		UNION ALL
		SELECT format('type %s', y.typname) FROM pg_type AS y JOIN ours ON ours.oid = y.typnamespace
		WHERE y.typname NOT LIKE '%goose_db_version%'
		UNION ALL
		SELECT format('trigger %s', g.tgname) FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid JOIN ours ON ours.oid = c.relnamespace
		WHERE NOT g.tgisinternal
		ORDER BY 1`)
}

func TestMigrationStaircase(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	migrator := newMigrator(t, db.Pool, "")

	applied, err := migrator.Up(t.Context())
	require.NoError(t, err)
	current, target, err := migrator.Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, target, current)
	require.Len(t, applied, int(target), "versions have no gaps")
	all := objects(t, db)
	require.NotEmpty(t, all)

	_, err = migrator.DownTo(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, objects(t, db), "no objects remain")

	// Up one by one, reverting each step once.
	for version := int64(1); version <= target; version++ {
		before := objects(t, db)
		result, err := migrator.UpByOne(t.Context())
		require.NoError(t, err)
		require.Equal(t, version, result.Source.Version)
		_, err = migrator.DownTo(t.Context(), version-1)
		require.NoError(t, err)
		require.Equal(t, before, objects(t, db), "version %d is reverted completely", version)
		_, err = migrator.UpByOne(t.Context())
		require.NoError(t, err)
	}
	_, err = migrator.UpByOne(t.Context())
	require.ErrorIs(t, err, goose.ErrNoNextVersion)
	require.Equal(t, all, objects(t, db))
}

func TestUpAgainDoesNothing(t *testing.T) {
	t.Parallel()
	migrator := newMigrator(t, testdb.New(t).Pool, "")
	applied, err := migrator.Up(t.Context())
	require.NoError(t, err)
	require.Empty(t, applied)
}

// Processes that start together all migrate. Each version is applied by one of them, and all of
// them succeed.
func TestConcurrentMigratorsDoNotCollide(t *testing.T) {
	t.Parallel()
	for _, riverSchema := range []string{schema.Name, "jobs"} {
		t.Run("River in "+riverSchema, func(t *testing.T) {
			t.Parallel()
			migrateAtOnce(t, riverSchema)
		})
	}
}

func migrateAtOnce(t *testing.T, riverSchema string) {
	t.Helper()
	db := testdb.NewEmpty(t)
	const processes = 4
	counts := make([]int, processes)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range processes {
		pool, err := pgxpool.New(t.Context(), db.URL)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		migrator := newMigrator(t, pool, riverSchema)
		group.Go(func() error {
			applied, err := migrator.Up(ctx)
			counts[i] = len(applied)
			return err
		})
	}
	require.NoError(t, group.Wait())

	total := 0
	for _, count := range counts {
		total += count
	}
	_, target, err := newMigrator(t, db.Pool, riverSchema).Version(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, target, total)
}

// The migrator waits for a schema that another process is creating. If that process commits, its
// schema is used; otherwise the migrator creates one.
func TestSchemaCreatedConcurrently(t *testing.T) {
	t.Parallel()
	for _, name := range []string{schema.Name, "jobs"} {
		for _, end := range []string{"COMMIT", "ROLLBACK"} {
			if !testdb.Full() && (name == schema.Name) != (end == "COMMIT") {
				continue // each name and each end once
			}
			t.Run(name+" "+end, func(t *testing.T) {
				t.Parallel()
				db := testdb.NewEmpty(t)
				// Bypasses the pooler, because the transaction stays open.
				other, err := pgx.Connect(t.Context(), db.Direct)
				require.NoError(t, err)
				defer other.Close(context.WithoutCancel(t.Context()))
				_, err = other.Exec(t.Context(), "BEGIN; CREATE SCHEMA "+name)
				require.NoError(t, err)

				migrator := newMigrator(t, db.Pool, "jobs")
				var migrating errgroup.Group
				migrating.Go(func() error {
					_, err := migrator.Up(t.Context())
					return err
				})
				require.Eventually(t, func() bool {
					return testdb.Value[int](t, db, `
						SELECT count(*) FROM pg_stat_activity
						WHERE datname = current_database() AND query LIKE 'CREATE SCHEMA%' AND cardinality(pg_blocking_pids(pid)) > 0`) == 1
				}, 20*time.Second, 5*time.Millisecond)
				_, err = other.Exec(t.Context(), end)
				require.NoError(t, err)
				require.NoError(t, migrating.Wait())
				require.NoError(t, migrator.Check(t.Context()))
				require.Equal(t, 1, testdb.Value[int](t, db, "SELECT count(*) FROM pg_namespace WHERE nspname = $1", name))
			})
		}
	}
}

func TestCheckReportsPendingMigrations(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	migrator := newMigrator(t, db.Pool, "")

	err := migrator.Check(t.Context())
	require.ErrorIs(t, err, schema.ErrPending)
	require.ErrorContains(t, err, "none of Thaw's tables")
	require.False(t, testdb.Value[bool](t, db, "SELECT to_regnamespace('thaw') IS NOT NULL"), "Check changes nothing")

	_, err = migrator.UpByOne(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, migrator.Check(t.Context()), schema.ErrPending)

	_, err = migrator.Up(t.Context())
	require.NoError(t, err)
	require.NoError(t, migrator.Check(t.Context()))

	_, target, err := migrator.Version(t.Context())
	require.NoError(t, err)
	_, err = migrator.DownTo(t.Context(), target-1)
	require.NoError(t, err)
	require.ErrorIs(t, migrator.Check(t.Context()), schema.ErrPending)
}

// Each migration is recorded with the checksum of its text. A program with another text refuses the
// database.
func TestChangedMigrationIsRefused(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	migrator := newMigrator(t, db.Pool, "")
	require.Empty(t, testdb.Column[int64](t, db, "SELECT version_id FROM thaw.goose_db_version WHERE version_id > 0 AND sha256 !~ '^[0-9a-f]{64}$'"))
	require.NoError(t, migrator.Check(t.Context()))

	db.Exec(t, "UPDATE thaw.goose_db_version SET sha256 = repeat('0', 64) WHERE version_id IN (1, 12)")
	err := migrator.Check(t.Context())
	require.ErrorIs(t, err, schema.ErrChanged)
	require.ErrorContains(t, err, "00001_river, 00012_pause.sql")
	_, err = migrator.Up(t.Context())
	require.ErrorIs(t, err, schema.ErrChanged)
	_, err = migrator.DownTo(t.Context(), 0)
	require.ErrorIs(t, err, schema.ErrChanged)
	status, err := migrator.Status(t.Context())
	require.NoError(t, err)
	for _, one := range status {
		require.Equal(t, one.Source.Version == 1 || one.Source.Version == 12, one.Changed, "version %d", one.Source.Version)
	}
}

// An old program does not touch a newer database.
func TestNewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	migrator := newMigrator(t, db.Pool, "")
	db.Exec(t, "INSERT INTO thaw.goose_db_version (version_id, is_applied) VALUES (9999, true)")
	for _, do := range []func() error{
		func() error { return migrator.Check(t.Context()) },
		func() error { _, err := migrator.Up(t.Context()); return err },
		func() error { _, err := migrator.UpByOne(t.Context()); return err },
		func() error { _, err := migrator.DownTo(t.Context(), 0); return err },
	} {
		require.ErrorIs(t, do(), schema.ErrNewer)
	}
}

// If one migration cannot be reverted, none is. Here a view of the platform needs a table of an
// early one, in each place of River's tables.
func TestRollbackIsAllOrNothing(t *testing.T) {
	t.Parallel()
	for _, riverSchema := range []string{schema.Name, "jobs"} {
		t.Run("River in "+riverSchema, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			migrator := newMigrator(t, db.Pool, riverSchema)
			_, err := migrator.Up(t.Context())
			require.NoError(t, err)
			db.Exec(t, "CREATE VIEW public.jobs AS SELECT id FROM "+riverSchema+".river_job")
			before := objects(t, db)

			reverted, err := migrator.DownTo(t.Context(), 0)
			require.ErrorContains(t, err, "nothing was rolled back, because 00001_river cannot be")
			require.Empty(t, reverted)
			require.Equal(t, before, objects(t, db))
			require.NoError(t, migrator.Check(t.Context()))

			db.Exec(t, "DROP VIEW public.jobs")
			reverted, err = migrator.DownTo(t.Context(), 0)
			require.NoError(t, err)
			require.EqualValues(t, schema.Newest(), len(reverted))
		})
	}
}

func TestRollbackRefusesBesideWorkers(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	migrator := newMigrator(t, db.Pool, "")
	db.Exec(t, "INSERT INTO thaw.river_leader (leader_id, elected_at, expires_at) VALUES ('worker', now(), now() + interval '1 hour')")
	_, err := migrator.DownTo(t.Context(), 0)
	require.ErrorIs(t, err, schema.ErrWorkers)
	require.NoError(t, migrator.Check(t.Context()))
}

func TestStatusListsAllMigrations(t *testing.T) {
	t.Parallel()
	migrator := newMigrator(t, testdb.NewEmpty(t).Pool, "")
	_, err := migrator.UpByOne(t.Context())
	require.NoError(t, err)
	status, err := migrator.Status(t.Context())
	require.NoError(t, err)
	for i, one := range status {
		require.EqualValues(t, i+1, one.Source.Version)
		require.Equal(t, i == 0, one.At != nil, "version %d", one.Source.Version)
	}
}

func TestMigratorNeedsTwoConnections(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig("postgres://localhost/nowhere?pool_max_conns=1")
	require.NoError(t, err)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	_, err = schema.NewMigrator(pool, "", testdb.Logger(t))
	require.ErrorContains(t, err, "set pool_max_conns")
}

// River may have a separate schema with any name; Thaw's functions use it.
func TestRiverInSeparateSchema(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"jobs", "Our-Jobs"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			migrator := newMigrator(t, db.Pool, name)
			_, err := migrator.Up(t.Context())
			require.NoError(t, err)
			require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM pg_tables WHERE schemaname = 'thaw' AND tablename LIKE 'river%'"))

			id := testdb.Value[int64](t, db, `SELECT thaw.enqueue('sweep', 'sweep', 2::smallint, '{"tick_at": "2026-01-01T00:00:00Z"}')`)
			require.Equal(t, id, testdb.Value[int64](t, db, `SELECT id FROM "`+name+`".river_job WHERE kind = 'sweep'`))

			require.Equal(t, "sweep", testdb.Value[string](t, db, "SELECT queue FROM thaw.waiting_queues('{sweep,resume}')"))
			require.Equal(t, []string{"resigned"}, testdb.Column[string](t, db, "SELECT action FROM thaw.requested_controls('none', '{}')"))
			require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.requeue_lost_jobs()"))

			_, err = migrator.DownTo(t.Context(), 0)
			require.NoError(t, err)
			require.Empty(t, objects(t, db))
			require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'river%'"))
		})
	}
}
