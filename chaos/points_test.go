package chaos_test

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Points are named places in the program's transactions at which the harness can stop a process,
// without hooks in the program. Triggers before and after each write to a table, and one deferred
// to COMMIT, wait for a lock of the harness if their point is armed. They exist only in the
// scenario's database.
//
// A point is named after the program's statement, or after the function that a sender calls, and
// the place in it: "HealBatch after UPDATE heals". At COMMIT the statement is unknown: "commit of
// heals".
type points struct {
	s *scenario
	// session holds the lock at which processes stop. It runs nothing else.
	session *pgx.Conn
}

// written are the tables that the program's transactions write. committed are those with a point at
// COMMIT too: each transaction writes one of them, and none writes many of their rows.
var (
	written = []string{
		"accounts", "campaigns", "campaign_events", "enrollments", "enrollment_events", "fleet_quotas", "account_quotas",
		"allocations", "sweeps", "account_signals", "heals", "retention", "safety", "manual_actions", "outbox", "webhook_deliveries", "river_job",
	}
	committed = []string{"accounts", "campaigns", "sweeps", "account_signals", "heals", "safety", "webhook_deliveries", "river_job"}
)

const installPoints = `
	CREATE SCHEMA chaos;
	-- point: the armed point; watched: announce every point that is passed.
	CREATE UNLOGGED TABLE chaos.armed (point text, watched boolean NOT NULL);
	INSERT INTO chaos.armed VALUES (NULL, false);

	CREATE FUNCTION chaos.stop() RETURNS void LANGUAGE sql SET lock_timeout = '0'
	RETURN pg_advisory_xact_lock_shared(4711, 1);

	CREATE FUNCTION chaos.pass() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
	DECLARE
		armed chaos.armed;
		here  text;
	BEGIN
		SELECT a.* INTO armed FROM chaos.armed AS a;
		IF (armed.point IS NULL AND NOT armed.watched) OR current_setting('application_name') NOT LIKE 'thaw-%' THEN
			RETURN NULL;
		END IF;
		here := CASE TG_ARGV[0]
			WHEN 'commit' THEN 'commit of ' || coalesce(TG_ARGV[1], TG_TABLE_NAME)
			ELSE format('%s %s %s %s', coalesce(substring(current_query() FROM '-- name: (\w+)'),
				substring(current_query() FROM 'thaw\.(claim_actions|reserve|start|settle)\('), 'unnamed'), lower(TG_WHEN), TG_OP, TG_TABLE_NAME) END;
		IF armed.watched THEN
			PERFORM pg_notify('chaos_points', here);
		-- The first process stops here, others pass.
		ELSIF armed.point = here AND pg_try_advisory_xact_lock(4711, 2) THEN
			PERFORM chaos.stop();
		END IF;
		RETURN NULL;
	END;
	$$;`

// points installs the points of most scenarios.
func (s *scenario) points() *points {
	s.Helper()
	return s.pointsOf(written, committed)
}

// pointsOf installs points at the writes to tables, and at COMMIT.
func (s *scenario) pointsOf(written, committed []string) *points {
	s.Helper()
	var sql strings.Builder
	sql.WriteString(installPoints)
	for _, table := range written {
		for _, when := range []string{"BEFORE", "AFTER"} {
			sql.WriteString("CREATE TRIGGER chaos_" + when + " " + when + " INSERT OR UPDATE OR DELETE ON thaw." + table +
				" FOR EACH STATEMENT EXECUTE FUNCTION chaos.pass('statement');\n")
		}
	}
	for _, table := range committed {
		sql.WriteString("CREATE CONSTRAINT TRIGGER chaos_commit AFTER INSERT OR UPDATE ON thaw." + table +
			" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos.pass('commit');\n")
	}
	s.exec(sql.String())
	p := &points{s: s}
	p.connect()
	s.Cleanup(func() { _ = p.session.Close(context.Background()) })
	return p
}

func (p *points) connect() {
	p.s.Helper()
	session, err := pgx.Connect(p.s.Context(), p.s.url)
	require.NoError(p.s, err)
	p.session = session
}

// reopen disarms the point after a crash of Postgres, which ended the session of the lock and
// emptied the unlogged table.
func (p *points) reopen() {
	p.s.Helper()
	_ = p.session.Close(p.s.Context())
	p.connect()
	p.s.exec("TRUNCATE chaos.armed; INSERT INTO chaos.armed VALUES (NULL, false)")
}

// passed returns the sorted names of all points that are passed while do runs.
func (p *points) passed(do func()) (names []string) {
	p.s.Helper()
	listener, err := pgx.Connect(p.s.Context(), p.s.url)
	require.NoError(p.s, err)
	defer listener.Close(p.s.Context())
	_, err = listener.Exec(p.s.Context(), "LISTEN chaos_points")
	require.NoError(p.s, err)
	p.s.exec("UPDATE chaos.armed SET watched = true")
	do()
	p.s.exec("UPDATE chaos.armed SET watched = false")
	p.s.exec("SELECT pg_notify('chaos_points', '')") // marks the end: Postgres keeps the order
	for {
		n, err := listener.WaitForNotification(p.s.Context())
		require.NoError(p.s, err)
		if n.Payload == "" {
			break
		}
		names = append(names, n.Payload)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// arm stops the next process that reaches a point.
func (p *points) arm(point string) {
	p.s.Helper()
	_, err := p.session.Exec(p.s.Context(), "SELECT pg_advisory_lock(4711, 1)")
	require.NoError(p.s, err)
	p.s.exec("UPDATE chaos.armed SET point = $1", point)
}

// stopped waits until a process has stopped at the armed point and returns its name and its
// backend's PID. The name is empty if none stopped within patience.
func (p *points) stopped(patience time.Duration) (name string, backend int) {
	p.s.Helper()
	for deadline := time.Now().Add(patience); name == "" && time.Now().Before(deadline); {
		err := p.session.QueryRow(p.s.Context(), `
			SELECT coalesce(max(activity.application_name), ''), coalesce(max(activity.pid), 0)
			FROM pg_locks AS waits JOIN pg_stat_activity AS activity USING (pid)
			WHERE waits.locktype = 'advisory' AND NOT waits.granted AND waits.classid = 4711 AND waits.objid = 1
				AND activity.datname = current_database()`).Scan(&name, &backend)
		require.NoError(p.s, err)
		p.s.pause(2 * time.Millisecond)
	}
	return name, backend
}

// release disarms the point and lets stopped processes continue.
func (p *points) release() {
	p.s.Helper()
	p.s.exec("UPDATE chaos.armed SET point = NULL")
	_, err := p.session.Exec(p.s.Context(), "SELECT pg_advisory_unlock(4711, 1)")
	require.NoError(p.s, err)
}
