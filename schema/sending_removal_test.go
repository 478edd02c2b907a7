package schema_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// An erased person leaves no trace in the ledger, and what a sender used stays used.
func TestErasureCoversTheLedger(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com')")
	send(t, db, 1)
	id := reserve(t, db, 2)
	require.Equal(t, "go", start(t, db, id))
	settle(t, db, id, "unknown", "error_code => 'no answer for https://www.linkedin.com/in/p1-2'")
	for _, prospect := range []string{"https://www.linkedin.com/in/p1-1", "https://www.linkedin.com/in/p1-2"} {
		require.Equal(t, int64(0), testdb.Value[int64](t, db, "SELECT sum(remaining)::bigint FROM thaw.erase_prospect($1, 'request 17', 'jo')", prospect))
	}
	require.NotRegexp(t, regexp.MustCompile(`linkedin\.com/in/p1-[12]\D`), dump(t, db, "--data-only"))
	require.Equal(t, 2, used(t, db))
	require.Zero(t, violations(t, db))
	require.Equal(t, []string{"[erased 1]", "[erased 2]"}, testdb.Column[string](t, db, "SELECT prospect_url FROM thaw.actions ORDER BY id"))
	require.Equal(t, "sent", settle(t, db, id, "verified_sent"), "the action can still be settled")
}

// A removed workspace leaves nothing in the tables of sending, but what a person used through it
// stays used in another workspace, until no cap counts it.
func TestRemovalKeepsWhatAPersonUsed(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		UPDATE thaw.action_limits SET per_day = 3;
		INSERT INTO thaw.workspaces (key) VALUES ('globex');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (2, 'autumn', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone) VALUES (2, 'ann-2', 'm-ann', 'connected', 'Europe/Berlin');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url) VALUES (2, 2, 4, 'active', thaw.now(), 'https://www.linkedin.com/in/eve');
		INSERT INTO thaw.action_overrides (workspace_id, account_id, kind, per_day, reason, actor) VALUES (1, 1, 'message', 1, 'x', 'x'), (1, NULL, 'view', 1, 'x', 'x');
		INSERT INTO thaw.sending_windows (workspace_id, account_id, weekdays, opens, closes) VALUES (1, 1, '{1,2,3,4,5,6,7}', '00:00', '23:59');
		SELECT thaw.hold_kind(1, 'email', thaw.now() + interval '1 day', 'limited', 'a limit', 'x')`)
	send(t, db, 1)
	started, reserved := reserve(t, db, 2), reserve(t, db, 3)
	require.Equal(t, "go", start(t, db, started))
	send(t, db, 11)
	require.Equal(t, "daily_cap", reserve(t, db, 31))
	require.NotEmpty(t, reserved)

	for batches, done := 0, false; !done; batches++ {
		require.Less(t, batches, 500)
		done = testdb.Value[bool](t, db, "SELECT done FROM thaw.remove_workspace('acme', 'the contract ended', 'jo', 5)")
	}
	require.Zero(t, violations(t, db))
	for _, table := range []string{"action_overrides", "sending_accounts"} {
		require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw."+table+" WHERE workspace_id = 1"), table)
	}
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.action_holds"))
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.campaign_steps WHERE campaign_id = 1"))
	require.Equal(t, []string{"sent [removed 1] [removed] [removed]", "sent [removed 4] [removed] [removed]", "unknown [removed 2] [removed]"},
		testdb.Column[string](t, db, "SELECT concat_ws(' ', state, prospect_url, actor, member_id, provider_ref, error_code) FROM thaw.actions ORDER BY 1"))
	require.Equal(t, "already_unknown", start(t, db, started), "the account is gone")
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT used_today FROM thaw.kind_gates('{4}', '{invite}')"))
	send(t, db, 31)

	db.Exec(t, "UPDATE thaw.settings SET keep_history = '50 hours'")
	db.Advance(t, 7*days)
	prune(t, db, 3)
	require.Equal(t, 3, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions WHERE workspace_id = 1"))
	db.Exec(t, "UPDATE thaw.retention SET walk_id = 0")
	db.Advance(t, 2*days)
	prune(t, db, 3)
	require.Equal(t, []int{2}, testdb.Column[int](t, db, "SELECT workspace_id FROM thaw.actions"), "the open invite of the other workspace")
	require.Equal(t, []string{"member:m-ann"}, testdb.Column[string](t, db, "SELECT key FROM thaw.senders"))
}

// A phase that a later table registers runs once, after the one that it follows. Then the removal
// goes on.
func TestRemovalDoesRegisteredPhases(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, twoTenants+`;
		CREATE FUNCTION thaw.remove_texts(INOUT p_removal thaw.workspace_removals, p_size integer, OUT is_over boolean) LANGUAGE plpgsql AS $$
		BEGIN
			p_removal.at_id := p_removal.at_id + 1;
			is_over := p_removal.at_id = 3;
		END $$;
		INSERT INTO thaw.removal_phases (phase, follows) VALUES ('texts', 'actions')`)
	phases := []string{"messages"}
	for done := false; !done; {
		require.Less(t, len(phases), 100)
		var phase string
		require.NoError(t, db.Pool.QueryRow(t.Context(), "SELECT phase, done FROM thaw.remove_workspace('acme', 'why', 'jo')").Scan(&phase, &done))
		phases = append(phases, phase)
	}
	batches := 0
	for _, phase := range phases {
		if phase == "texts" {
			batches++
		}
	}
	require.Equal(t, 3, batches)
	require.Equal(t, []string{"messages", "enrollments", "events", "kept", "actions", "texts", "accounts", "plans", "quotas", "heals", "campaigns", "seats",
		"changes", "senders", "rest", "done"}, slices.Compact(phases))
}

// Retention removes actions that nothing needs any more. It keeps what caps count, unknown actions,
// open and accepted invites, and the actions of a step that is not over.
func TestOldActionsAreRemoved(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+"UPDATE thaw.action_limits SET per_day = 100, per_week = 100; UPDATE thaw.settings SET keep_history = '50 hours'")
	invite := send(t, db, 1)
	accepted := send(t, db, 2)
	db.Exec(t, "SELECT thaw.close_invite($1::bigint, 'accepted')", accepted)
	withdrawn := send(t, db, 3)
	db.Exec(t, "SELECT thaw.close_invite($1::bigint, 'withdrawn')", withdrawn)
	refused, unknown := reserve(t, db, 4), reserve(t, db, 5)
	require.Equal(t, "go", start(t, db, refused))
	settle(t, db, refused, "refused")
	require.Equal(t, "go", start(t, db, unknown))
	settle(t, db, unknown, "unknown")
	db.Exec(t, "DELETE FROM thaw.campaign_steps; UPDATE thaw.enrollments SET next_kind = 'message' WHERE id IN (6, 7)")
	message, step := send(t, db, 6), reserve(t, db, 7)
	require.Equal(t, "go", start(t, db, step))
	settle(t, db, step, "sent", "'ref'")
	db.Exec(t, "UPDATE thaw.enrollments SET step = 0 WHERE id = 7")
	all := testdb.Column[string](t, db, "SELECT id::text FROM thaw.actions ORDER BY id")
	left := func() []string { return pruned(t, db, "actions", "id") }

	db.Advance(t, 7*days)
	require.Equal(t, all, left(), "a cap may count them")
	db.Advance(t, 31*days)
	db.Exec(t, "UPDATE thaw.retention SET walk_id = 0")
	require.ElementsMatch(t, []string{invite, accepted, unknown, step}, left())
	require.NotContains(t, left(), message)
	settle(t, db, unknown, "verified_absent")
	db.Exec(t, "UPDATE thaw.retention SET walk_id = 0")
	require.NotContains(t, left(), unknown)
}

// Each walk and each batch of retention is bounded by its size.
func TestRetentionOfActionsIsBounded(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, `
		INSERT INTO thaw.senders (provider, key) VALUES ('linkedin', 'account:9');
		INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, state, actor, reserved_at, settled_at, used_at, local_day, gap, next_of_kind_at)
		SELECT 1, 9, 1, 9, n, 'linkedin', 'https://example.com/' || n, 0, 'message', 'expired', 'x', thaw.now() - interval '2 years', thaw.now(), thaw.now() - interval '2 years', '2024-01-01', '1 minute', thaw.now()
		FROM generate_series(1, 100) AS n`)
	removed := prune(t, db, 30)
	require.Equal(t, []int{30, 30, 30, 10}, removed)
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.senders"))
	require.Less(t, time.Duration(0), testdb.Value[time.Duration](t, db, "SELECT thaw.now() - kept_since FROM thaw.retention WHERE part = 'actions'"))
}
