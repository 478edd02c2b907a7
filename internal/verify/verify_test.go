package verify_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
)

func TestBusyFleetIsSound(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)

	// Busy means that each check has something to look at.
	flips := testdb.Column[string](t, fleet.DB, "SELECT DISTINCT kind || ' by ' || source FROM thaw.enrollment_events ORDER BY 1")
	require.Equal(t, []string{
		"paused by signal", "repointed by heal", "repointed by signal", "repointed by sweep",
		"resumed by heal", "resumed by signal", "resumed by sweep",
	}, flips)
	outcomes := testdb.Column[string](t, fleet.DB, "SELECT DISTINCT outcome::text FROM thaw.account_signals ORDER BY 1")
	require.Equal(t, []string{"applied", "duplicate", "ignored", "stale"}, outcomes)
	campaigns := testdb.Column[string](t, fleet.DB, "SELECT DISTINCT kind || ' by ' || source FROM thaw.campaign_events ORDER BY 1")
	require.Equal(t, []string{"paused by signal", "resumed by heal", "resumed by signal", "resumed by sweep"}, campaigns)
	require.Positive(t, testdb.Value[int](t, fleet.DB, "SELECT count(*) FROM thaw.grants WHERE finished_at IS NULL"))

	report, err := verify.Run(t.Context(), fleet.Pool)
	require.NoError(t, err)
	require.Len(t, report.Checks, len(checkFiles(t)))
	for _, check := range report.Checks {
		require.Zero(t, check.Violations, "%s: %v", check.Name, check.Examples)
		require.Empty(t, check.Examples, check.Name)
	}
	require.Zero(t, report.Violations())
}

// An import may wake whom a person paused, and pause at another step: neither is a flip of Thaw's.
func TestWhatAnImportSetsIsSound(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)
	const carls = "FROM thaw.enrollments AS e JOIN thaw.accounts AS a ON a.id = e.account_id WHERE a.provider_account_id = 'carl' AND e.status = 'active'"
	fleet.Exec(t, `INSERT INTO thaw.enrollment_events (enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT e.id, thaw.now(), a.id, a.id, e.step, 'resumed', 'import', 'paused', 'active', 'paused_by_user'::thaw.pause_reason, thaw.now() - interval '1 day' `+carls)
	fleet.Exec(t, `INSERT INTO thaw.enrollment_events (enrollment_id, at, from_account_id, to_account_id, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT e.id, thaw.now(), a.id, a.id, e.step + 5, 'paused', 'import', 'active', 'paused', 'linkedin_account_issue'::thaw.pause_reason, thaw.now() `+carls)
	fleet.Exec(t, `UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'linkedin_account_issue', paused_at = thaw.now()
		WHERE id IN (SELECT e.id `+carls+`)`)
	require.Equal(t, "applied", fleet.signal("carl", "connected"))
	fleet.resumeBySignal("carl")

	report, err := verify.Run(t.Context(), fleet.Pool)
	require.NoError(t, err)
	require.Empty(t, found(report))
	require.Positive(t, testdb.Value[int](t, fleet.DB, `
		SELECT count(*) FROM thaw.enrollment_events AS event
		WHERE event.kind = 'resumed' AND event.source = 'signal' AND event.id > (
			SELECT max(import.id) FROM thaw.enrollment_events AS import WHERE import.source = 'import')`))
}

func TestEmptyDatabaseIsSound(t *testing.T) {
	t.Parallel()
	report, err := verify.Run(t.Context(), testdb.New(t).Pool)
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
	report, err := verify.Run(t.Context(), db.Pool)
	require.NoError(t, err)
	text, err := json.Marshal(report)
	require.NoError(t, err)
	require.Contains(t, string(text), `{"checks":[{"name":"account_budgets_match_events","about":"The budget row of an account in a tick counts`)
	require.Contains(t, string(text), `"violations":0,"examples":[]}`)
	require.Contains(t, string(text), `{"name":"connected_means_no_error","about":"A connected account has no error left over from before.","violations":1,"examples":["account 1: connected, last error expired"]}`)
}

func TestManyViolationsHaveFewExamples(t *testing.T) {
	t.Parallel()
	fleet := newBusyFleet(t)
	fleet.Exec(t, "UPDATE thaw.enrollment_events SET reason = 'paused_by_user' WHERE kind = 'resumed'")
	woken := testdb.Value[int](t, fleet.DB, "SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed'")
	require.Greater(t, woken, 5)

	report, err := verify.Run(t.Context(), fleet.Pool)
	require.NoError(t, err)
	require.Equal(t, woken, report.Violations())
	for _, check := range report.Checks {
		if check.Name == "woken_only_from_account_reasons" {
			require.Equal(t, woken, check.Violations)
			require.Len(t, check.Examples, 5)
		}
	}
}

// A check that nothing can break proves nothing.
func TestEveryCheckCanFail(t *testing.T) {
	t.Parallel()
	var broken []string
	for _, v := range violations {
		broken = append(broken, v.check)
	}
	require.Subset(t, broken, checkFiles(t))
	require.Subset(t, checkFiles(t), broken)
}

// The SQL of a check can be run by hand too: it needs nothing around it.
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

	report, err := verify.Run(t.Context(), db.Pool)
	require.NoError(t, err)
	for _, check := range report.Checks {
		require.Regexp(t, `^[A-Z].+\.$`, check.About, "the comment at the top of %s is a sentence", check.Name)
	}
}

func TestFailingCheckIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, "DROP TABLE thaw.heal_enrollments")
	_, err := verify.Run(t.Context(), db.Pool)
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

// found returns the checks that a report says are violated, with their examples.
func found(report verify.Report) map[string]string {
	violated := map[string]string{}
	for _, check := range report.Checks {
		if check.Violations > 0 {
			violated[check.Name] = fmt.Sprint(check.Examples)
		}
	}
	return violated
}
