package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/webhook"
	"github.com/thawline/thaw/schema"
)

func TestLiveDoesNotQueryTheDatabase(t *testing.T) {
	t.Parallel()
	s := serve(t, testdb.New(t), webhook.Config{})
	end := s.outage(t)
	defer end()
	live := s.get(t, "/healthz")
	require.Equal(t, http.StatusOK, live.status)
	require.JSONEq(t, `{"live":true}`, live.body)
}

func TestNotReadyWithoutADatabase(t *testing.T) {
	t.Parallel()
	s := serve(t, testdb.New(t), webhook.Config{})
	end := s.outage(t)
	defer end()
	requireNotReady(t, s, `{"database":"check failed; see the log"}`)
}

func TestNotReadyWhileMigrationsArePending(t *testing.T) {
	t.Parallel()
	const pending = `{"database":"ok","migrations":"pending: run thaw migrate up"}`
	t.Run("all migrations", func(t *testing.T) {
		t.Parallel()
		db := testdb.NewEmpty(t)
		requireNotReady(t, serve(t, db, webhook.Config{}), pending)
		require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM pg_namespace WHERE nspname = 'thaw'"), "a check changes nothing")
	})
	t.Run("newest migration", func(t *testing.T) {
		t.Parallel()
		db := testdb.New(t)
		migrator, err := schema.NewMigrator(db.Pool, schema.Name, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		_, target, err := migrator.Version(t.Context())
		require.NoError(t, err)
		_, err = migrator.DownTo(t.Context(), target-1)
		require.NoError(t, err)
		require.NoError(t, migrator.Close())
		requireNotReady(t, serve(t, db, webhook.Config{}), pending)
	})
}

const (
	allChecks = `{"database":"ok","migrations":"ok","instance":"ok"}`
	noWorker  = `"No worker process is alive, so prospects are neither paused nor resumed. Start thaw serve or thaw work."`
	noSweep   = `"No sweep has run yet. The first one runs as soon as a worker process is alive."`
)

// Without a worker a process still takes the provider's webhooks.
func TestMissingWorkerIsAWarning(t *testing.T) {
	t.Parallel()
	s := serve(t, testdb.New(t), webhook.Config{})
	requireReady(t, s, `,"warnings":[`+noWorker+`,`+noSweep+`]`)
	s.Exec(t, "INSERT INTO thaw.river_leader (elected_at, expires_at, leader_id) VALUES (now() - interval '1 minute', now() - interval '1 second', 'gone')")
	requireReady(t, s, `,"warnings":[`+noWorker+`,`+noSweep+`]`)
	s.Exec(t, "UPDATE thaw.river_leader SET expires_at = now() + interval '1 minute'")
	requireReady(t, s, `,"warnings":[`+noSweep+`]`)
}

func TestLateSweepIsAWarning(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.work(t)
	requireReady(t, s, "")
	last := testdb.Value[time.Time](t, s.DB, "SELECT max(tick_at) FROM thaw.sweeps").UTC().Format(time.RFC3339)
	s.Advance(t, 45*time.Minute)
	requireReady(t, s, `,"warnings":["The last sweep was for tick `+last+`, more than two ticks ago. Check the log of the worker processes."]`)
	s.Exec(t, "SELECT thaw.sweep()")
	requireReady(t, s, "")
}

// A copy of the platform's tables that cannot be trusted is a warning: the process takes webhooks
// and serves pages nevertheless.
func TestBrokenAdoptionIsAWarning(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.work(t)
	requireReady(t, s, "")
	says := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool {
			_, warnings, _ := strings.Cut(s.get(t, "/readyz").body, `"warnings":[`)
			return strings.Contains(warnings, text)
		}, 30*time.Second, 10*time.Millisecond)
		require.Equal(t, http.StatusOK, s.get(t, "/readyz").status)
	}
	s.Exec(t, "SELECT thaw.start_adoption('a test')")
	require.NotContains(t, s.get(t, "/readyz").body, "warnings")
	s.Exec(t, "SELECT thaw.note_adopt_problems('{the trigger thaw_accounts_update on app.seats is missing}', '{accounts}', false)")
	says("The platform's tables no longer fit the mapping: the trigger thaw_accounts_update on app.seats is missing")
	says("until thaw adopt check finds no problem and no drift.")
	s.Exec(t, "SELECT thaw.note_adopt_failure('enrollment', '42883', 'a function is missing')")
	says("Changes of the platform's tables were lost (failed statements: 1). Run thaw adopt check --fix.")
	s.Exec(t, "SELECT thaw.note_check(1000, 500, 'leads', thaw.now() + interval '1 minute')")
	says("Thaw's copy of the platform's tables differs in too many rows (500). Run thaw adopt check --fix.")
}

// A copy of a database is not ready, and the answer says what to do.
func TestCopyIsNotReady(t *testing.T) {
	t.Parallel()
	s := serve(t, testdb.New(t), webhook.Config{})
	s.Exec(t, "SELECT thaw.check_instance('production')")
	s.Exec(t, "UPDATE thaw.instance SET database_oid = 1, system_identifier = 2, database_name = 'platform'")
	require.Eventually(t, func() bool {
		body := s.get(t, "/readyz").body
		return strings.Contains(body, `"instance":"this database is a copy: instance production is database platform (oid 1, server 2), and this is database thaw_test_`) &&
			strings.Contains(body, "run thaw instance adopt --as NAME --reason TEXT")
	}, 30*time.Second, 10*time.Millisecond)
}

func requireNotReady(t *testing.T, s *site, checks string) {
	t.Helper()
	requireReadiness(t, s, http.StatusServiceUnavailable, `{"ready":false,"checks":`+checks+`}`)
}

// requireReady requires that all checks pass, with these warnings.
func requireReady(t *testing.T, s *site, warnings string) {
	t.Helper()
	requireReadiness(t, s, http.StatusOK, `{"ready":true,"checks":`+allChecks+warnings+`}`)
}

// requireReadiness waits for the response, because a result is cached for a second.
func requireReadiness(t *testing.T, s *site, status int, want string) {
	t.Helper()
	var body string
	if !assert.Eventually(t, func() bool {
		answer := s.get(t, "/readyz")
		body = strings.TrimSpace(answer.body)
		return answer.status == status && assert.ObjectsAreEqual(decoded(t, want), decoded(t, body))
	}, 30*time.Second, 50*time.Millisecond) {
		require.JSONEq(t, want, body)
	}
}

func decoded(t *testing.T, body string) (value any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(body), &value))
	return value
}

// A process is not ready if its database becomes read-only, because it cannot record signals.
func TestNotReadyOnAReadOnlyServer(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, "ALTER DATABASE "+testdb.Value[string](t, db, "SELECT current_database()")+" SET default_transaction_read_only = on")
	// A pooler keeps the sessions that it has opened before.
	direct, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	defer direct.Close(context.Background())
	db.Pool.Reset()
	_, err = direct.Exec(t.Context(), `
		SELECT pg_terminate_backend(a.pid, 10000) FROM pg_stat_activity AS a
		WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()`)
	require.NoError(t, err)
	requireNotReady(t, serve(t, db, webhook.Config{}),
		`{"database":"the database is read-only (a standby, or a demoted primary): nothing can be recorded"}`)
}

func TestRootIsTheFleet(t *testing.T) {
	t.Parallel()
	s := serve(t, testdb.New(t), webhook.Config{})
	root := s.get(t, "/")
	require.Equal(t, http.StatusOK, root.status)
	require.Contains(t, root.body, "<title>Fleet · Thaw</title>")
	require.Contains(t, root.body, "/jobs/")
	jobs := s.get(t, "/jobs/")
	require.Equal(t, http.StatusOK, jobs.status)
	require.Contains(t, jobs.body, "<title>River</title>")
	require.Equal(t, http.StatusNotFound, s.get(t, "/nothing-here").status)
}
