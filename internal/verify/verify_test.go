package verify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
)

func TestBusyFleetIsSound(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)

	// The fleet is busy enough that every check has rows to examine.
	transitions := testdb.Column[string](t, fleet.DB, "SELECT DISTINCT kind || ' by ' || source FROM thaw.enrollment_events ORDER BY 1")
	require.Equal(t, []string{
		"moved by heal", "moved by signal", "moved by sweep", "paused by platform", "paused by signal",
		"resumed by heal", "resumed by signal", "resumed by sweep",
	}, transitions)
	outcomes := testdb.Column[string](t, fleet.DB, "SELECT DISTINCT outcome::text FROM thaw.account_signals ORDER BY 1")
	require.Equal(t, []string{"applied", "duplicate", "ignored", "stale"}, outcomes)
	campaigns := testdb.Column[string](t, fleet.DB, "SELECT DISTINCT kind || ' by ' || source FROM thaw.campaign_events ORDER BY 1")
	require.Equal(t, []string{"paused by signal", "resumed by heal", "resumed by signal", "resumed by sweep"}, campaigns)
	require.Positive(t, testdb.Value[int](t, fleet.DB, "SELECT count(*) FROM thaw.allocations WHERE finished_at IS NULL"))
	states := testdb.Column[string](t, fleet.DB, "SELECT DISTINCT state::text FROM thaw.actions ORDER BY 1")
	require.Equal(t, []string{"already", "expired", "refused", "released", "reserved", "sent", "started", "unknown"}, states)

	report, err := verify.Run(t.Context(), fleet.Pool, verify.Options{})
	require.NoError(t, err)
	require.Len(t, report.Checks, len(checkFiles(t)))
	for _, check := range report.Checks {
		require.Zero(t, check.Violations, "%s: %v", check.Name, check.Examples)
		require.Empty(t, check.Examples, check.Name)
	}
	require.Zero(t, report.Violations())
}

// An import may resume manually paused prospects and change steps; these are not transitions by
// Thaw.
func TestImportedRowsAreSound(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)
	const carls = "FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id WHERE a.provider_account_id = 'carl' AND e.status = 'active'"
	fleet.Exec(t, `INSERT INTO thaw.enrollment_events (enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT e.id, thaw.now(), a.id, a.id, e.step, 'resumed', 'import', 'paused', 'active', 'paused_by_user'::thaw.pause_reason, thaw.now() - interval '1 day' `+carls)
	fleet.Exec(t, `INSERT INTO thaw.enrollment_events (enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT e.id, thaw.now(), a.id, a.id, e.step + 5, 'paused', 'import', 'active', 'paused', 'account_issue'::thaw.pause_reason, thaw.now() `+carls)
	fleet.Exec(t, `UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'account_issue', paused_at = thaw.now()
		WHERE id IN (SELECT e.id `+carls+`)`)
	require.Equal(t, "applied", fleet.signal("carl", "connected"))
	fleet.resumeBySignal("carl")

	report, err := verify.Run(t.Context(), fleet.Pool, verify.Options{})
	require.NoError(t, err)
	require.Empty(t, found(report))
	require.Positive(t, testdb.Value[int](t, fleet.DB, `
		SELECT count(*) FROM thaw.enrollment_events AS event
		WHERE event.kind = 'resumed' AND event.source = 'signal' AND event.id > (
			SELECT max(import.id) FROM thaw.enrollment_events AS import WHERE import.source = 'import')`))
}

func TestEmptyDatabaseIsSound(t *testing.T) {
	t.Parallel()
	report, err := verify.Run(t.Context(), testdb.New(t).Pool, verify.Options{})
	require.NoError(t, err)
	require.Zero(t, report.Violations())
}

func TestReportIsJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status) VALUES (1, 'ann', 'connected');
		ALTER TABLE thaw.accounts DROP CONSTRAINT accounts_connected_has_no_error;
		UPDATE thaw.accounts SET last_error = 'expired'`)
	report, err := verify.Run(t.Context(), db.Pool, verify.Options{})
	require.NoError(t, err)
	text, err := json.Marshal(report)
	require.NoError(t, err)
	require.Contains(t, string(text), `{"checks":[{"name":"account_caps_hold","about":"No account exceeds`)
	require.Contains(t, string(text), `"violations":0,"examples":[]}`)
	require.Contains(t, string(text), `{"name":"connected_means_no_error","about":"A connected account has no error.","violations":1,"examples":["account 1: connected, last error expired"]}`)
}

func TestManyViolationsHaveFewExamples(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)
	fleet.Exec(t, "UPDATE thaw.enrollment_events SET reason = 'paused_by_user' WHERE kind = 'resumed'")
	resumed := testdb.Value[int](t, fleet.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed'")
	require.Greater(t, resumed, 5)

	report, err := verify.Run(t.Context(), fleet.Pool, verify.Options{})
	require.NoError(t, err)
	require.Equal(t, resumed, report.Violations())
	for _, check := range report.Checks {
		if check.Name == "resumed_only_from_account_reasons" {
			require.Equal(t, resumed, check.Violations)
			require.Len(t, check.Examples, 5)
		}
	}
}

// A check processes a large table in ranges, finds the same violations as without them, and reports
// progress.
func TestRangesFindSameViolations(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)
	fleet.Exec(t, "UPDATE thaw.enrollment_events SET reason = 'paused_by_user' WHERE kind = 'resumed'")
	whole, err := verify.Run(t.Context(), fleet.Pool, verify.Options{})
	require.NoError(t, err)

	var seen []verify.Progress
	ranged, err := verify.Run(t.Context(), fleet.Pool, verify.Options{Range: 10, Progress: func(p verify.Progress) { seen = append(seen, p) }})
	require.NoError(t, err)
	require.Equal(t, whole, ranged)
	require.Len(t, whole.Checks, len(checkFiles(t)))
	parts := map[string]int{}
	for i, p := range seen {
		require.Equal(t, len(checkFiles(t)), p.Checks)
		require.True(t, 0 <= p.Part && p.Part <= 1, "%v", p)
		if i > 0 {
			before := seen[i-1]
			require.GreaterOrEqual(t, float64(p.Done)+p.Part, float64(before.Done)+before.Part, "%v after %v", p, before)
		}
		parts[p.Check]++
	}
	require.Len(t, parts, len(checkFiles(t)))
	require.Greater(t, parts["resumed_only_from_account_reasons"], 5)
	require.Equal(t, 1, parts["account_caps_hold"])
}

// Each check has its own snapshot for all of its ranges, and changes nothing.
func TestEveryCheckHasItsOwnSnapshot(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)
	config := fleet.Pool.Config()
	config.MaxConns = 1
	config.ConnConfig.RuntimeParams["application_name"] = "verify-test"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()

	// Between statements a check is in a read-only transaction. In READ COMMITTED it would have no
	// snapshot there.
	began := map[string]time.Time{}
	_, err = verify.Run(t.Context(), pool, verify.Options{Range: 50, Progress: func(p verify.Progress) {
		began[p.Check] = testdb.Value[time.Time](t, fleet.DB,
			"SELECT xact_start FROM pg_stat_activity WHERE application_name = 'verify-test' AND state = 'idle in transaction'")
		if p.Part > 0 {
			require.True(t, testdb.Value[bool](t, fleet.DB,
				"SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE application_name = 'verify-test'"), "%s keeps its snapshot", p.Check)
		}
		require.Zero(t, testdb.Value[int](t, fleet.DB, `SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
			WHERE a.application_name = 'verify-test' AND l.mode NOT IN ('AccessShareLock', 'ExclusiveLock') `), "a reader's locks only")
		require.Less(t, testdb.Value[int](t, fleet.DB, `SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
			WHERE a.application_name = 'verify-test'`), 60, "locks of a few tables")
	}})
	require.NoError(t, err)
	different := map[time.Time]bool{}
	for _, at := range began {
		different[at] = true
	}
	require.Len(t, different, len(checkFiles(t)))
}

// An interrupted audit reports what it has found so far.
func TestInterruptedAuditReportsPartialResult(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	report, err := verify.Run(ctx, testdb.New(t).Pool, verify.Options{Progress: func(p verify.Progress) {
		if p.Done == 3 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, report.Checks, 3)
}

// A check that cannot fail proves nothing.
func TestEveryCheckCanFail(t *testing.T) {
	t.Parallel()
	var broken []string
	for _, v := range violations {
		broken = append(broken, v.check)
	}
	require.Subset(t, broken, checkFiles(t))
	require.Subset(t, checkFiles(t), broken)
}

// The SQL of a check can also be run manually.
func TestChecksAreSelectsOfOneTextColumn(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	conn, err := pgx.Connect(t.Context(), db.Direct)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	for _, name := range checkFiles(t) {
		sql, err := os.ReadFile(filepath.Join("checks", name+".sql"))
		require.NoError(t, err)
		description, err := conn.Prepare(t.Context(), name, string(sql))
		require.NoError(t, err, name)
		require.Len(t, description.Fields, 1, name)
		require.EqualValues(t, pgtype.TextOID, description.Fields[0].DataTypeOID, name)
	}

	report, err := verify.Run(t.Context(), db.Pool, verify.Options{})
	require.NoError(t, err)
	for _, check := range report.Checks {
		require.Regexp(t, `^[A-Z].+\.$`, check.About, "the comment at the top of %s consists of sentences", check.Name)
	}
}

func TestFailingCheckIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, "DROP TABLE thaw.heal_enrollments")
	_, err := verify.Run(t.Context(), db.Pool, verify.Options{})
	require.ErrorContains(t, err, "check heals_stay_in_scope")
}

// checkFiles returns the names of all checks.
func checkFiles(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("checks/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = strings.TrimSuffix(filepath.Base(path), ".sql")
	}
	return names
}

// found returns the violated checks of a report, with their examples.
func found(report verify.Report) map[string]string {
	violated := map[string]string{}
	for _, check := range report.Checks {
		if check.Violations > 0 {
			violated[check.Name] = fmt.Sprint(check.Examples)
		}
	}
	return violated
}
