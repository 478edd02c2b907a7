package worker_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Each manual action, and safety mode entered and exited, is one line in the log of one of the
// worker processes, with who did it, to what, why, and how many prospects it changed.
func TestActionsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	acc := f.account(t, account{key: "acc_1", status: "disconnected"})
	f.waiting(t, acc, 3)
	f.start(t)
	f.launch(t) // a second process

	for _, action := range []string{
		"SELECT thaw.hold('acc_1', thaw.now() + interval '3 days', 'new device', 'ann')",
		"SELECT thaw.correct_hold('acc_1', NULL, 'wrong account', 'bob')",
		"SELECT thaw.pause_account('acc_1', 'asked by the customer', 'ann')",
		"SELECT thaw.set_auto_resume('acme', false, 'audit', 'ann')",
		"SELECT thaw.set_auto_resume('acme', true, 'audit is over', 'ann')",
		"SELECT thaw.safety_enter('incident', 'ann')",
		"SELECT thaw.safety_exit('it is over', 'bob')",
		"INSERT INTO thaw.manual_actions (what, actor, detail, enrollments) VALUES ('imported', 'ann', 'file fleet.csv', 7)",
		"SELECT thaw.heal('acme', actor => 'ann', reason => 'their backlog')",
	} {
		f.Exec(t, action)
	}
	// The count of an account's pause grows with its batches, so it is logged after a minute.
	f.Advance(t, 2*time.Minute)
	recorded := testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.manual_actions")
	f.eventually(t, recorded, "SELECT count(*) FROM thaw.manual_actions WHERE logged_at IS NOT NULL")
	require.Eventually(t, func() bool { return len(f.log.logged("action recorded")) >= recorded }, 10*time.Second, 5*time.Millisecond)

	lines := map[string]map[string]any{}
	for _, line := range f.log.logged("action recorded") {
		lines[line["what"].(string)] = line
		delete(line, "at")
		delete(line, "action_id")
		delete(line, "until")
	}
	require.Len(t, f.log.logged("action recorded"), recorded, "one line each, whichever process wrote it")
	require.Equal(t, map[string]any{"what": "held", "actor": "ann", "reason": "new device", "workspace": "acme", "account": "acc_1"}, lines["held"])
	require.Equal(t, map[string]any{"what": "hold_corrected", "actor": "bob", "reason": "wrong account", "workspace": "acme", "account": "acc_1"}, lines["hold_corrected"])
	require.Equal(t, map[string]any{
		"what": "paused", "actor": "ann", "reason": "asked by the customer", "workspace": "acme", "account": "acc_1", "prospects": int64(3),
	}, lines["paused"])
	require.Equal(t, map[string]any{"what": "auto_resume_off", "actor": "ann", "reason": "audit", "workspace": "acme"}, lines["auto_resume_off"])
	require.Equal(t, map[string]any{"what": "imported", "actor": "ann", "detail": "file fleet.csv", "prospects": int64(7)}, lines["imported"])
	require.EqualValues(t, 1, lines["heal_started"]["heal_id"])
	require.Equal(t, "bob", lines["safety_exited"]["actor"])
	require.Equal(t, "incident", lines["safety_entered"]["reason"])
}

// A heal has one line when it starts, one when it stops, one when it continues and one when it is
// done.
func TestHealIsLogged(t *testing.T) {
	t.Parallel()
	f := setup(t)
	acc := f.account(t, account{key: "acc_1"})
	f.start(t)
	f.waiting(t, acc, 5)
	f.Exec(t, "SELECT thaw.heal('acme', cap => 4, actor => 'ann', rate => 1, reason => 'their backlog')")
	logged := func(message string, n int) map[string]any {
		require.Eventually(t, func() bool { return len(f.log.logged(message)) == n }, 30*time.Second, 5*time.Millisecond, message)
		return f.log.logged(message)[n-1]
	}
	started := logged("heal started", 1)
	require.Equal(t, []any{"ann", "their backlog", int64(4), int64(1), int64(0)},
		[]any{started["actor"], started["reason"], started["cap"], started["rate"], started["resumed"]})
	f.eventually(t, 1, "SELECT resumed FROM thaw.heals")
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'heal' AND state = 'scheduled'")
	f.Exec(t, "SELECT thaw.stop_heal(1, 'a mistake', 'ben')")
	f.Advance(t, time.Minute) // its job is snoozed until the rate allows more
	f.Exec(t, "UPDATE thaw.river_job SET scheduled_at = now() WHERE kind = 'heal' AND state = 'scheduled'")
	stopped := logged("heal stopped", 1)
	require.Equal(t, []any{"ben: a mistake", int64(1)}, []any{stopped["reason"], stopped["resumed"]})
	f.Exec(t, "UPDATE thaw.heals SET rate = NULL; SELECT thaw.resume_heal(1, 'no mistake', 'ben')")
	require.EqualValues(t, 1, logged("heal started", 2)["resumed"])
	done := logged("heal done", 1)
	require.Equal(t, []any{"ann", int64(4), int64(4), int64(1)}, []any{done["actor"], done["cap"], done["resumed"], done["remaining"]})
}

// A pass that resumed nothing because the account is blocked is not logged as a resume.
func TestBlockedResumeIsNotLoggedAsResumed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.log.level = slog.LevelDebug
	acc := f.account(t, account{key: "acc_1", status: "disconnected"})
	f.waiting(t, acc, 3)
	f.start(t)
	f.Exec(t, "SELECT thaw.hold('acc_1', thaw.now() + interval '3 days', 'new device', 'ann')")
	f.signal(t, "acc_1", "connected")
	require.Eventually(t, func() bool { return len(f.log.logged("not resumed by signal")) == 1 }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, "account_on_hold", f.log.logged("not resumed by signal")[0]["verdict"])
	require.Empty(t, f.log.logged("resumed by signal"))
}
