package worker_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/internal/testdb"
)

// A cap that is too small is shared among the accounts as a sweep shares its quota, for a workspace
// and for a list: no account gets nothing while another one is drained.
func TestHealSharesItsCap(t *testing.T) {
	t.Parallel()
	backlogs := []int{90, 3, 40, 0, 90, 12, 7, 60, 1, 30}
	limits, sizes := []int{9, 100}, []int32{7, 1000}
	if testdb.Full() {
		limits, sizes = []int{1, 9, 10, 50, 100, 217, 332}, []int32{7, 100, 1000}
	}
	for _, limit := range limits {
		for _, size := range sizes {
			t.Run(fmt.Sprint(limit, " in batches of ", size), func(t *testing.T) {
				t.Parallel()
				f := setup(t)
				var accounts, listed []int64
				candidates := []plan.Candidate{}
				for i, n := range backlogs {
					id := f.account(t, account{key: fmt.Sprint("a", i)})
					accounts = append(accounts, id)
					for c := range 3 { // spread over campaigns
						campaign := f.campaign(t, campaign{key: fmt.Sprintf("c%d-%d", i, c), reason: disconnected})
						listed = append(listed, f.prospects(t, prospects{account: id, campaign: campaign, n: (n + c) / 3, reason: disconnected})...)
					}
					candidates = append(candidates, plan.Candidate{AccountID: id, WorkspaceID: 1, Backlog: n, Quota: n})
				}
				heal := f.startHeal(t, limit)
				if limit%2 == 0 {
					f.Exec(t, "SELECT thaw.stop_heal($1, 'a list instead', 'a test')", heal)
					heal = testdb.Value[int64](t, f.DB, "SELECT thaw.start_heal(NULL, NULL, $1, $2, false, 'a test')", listed, limit)
				}
				for batches := 0; f.healBatch(t, heal, size).Verdict != "done"; batches++ {
					require.Less(t, batches, 400, "the heal does not end")
				}
				require.Equal(t, [3]int{limit, 333 - limit, 0}, f.left(t, heal))

				share := map[int64]int{}
				for _, a := range plan.Allocations(candidates, limit) {
					share[a.AccountID] = a.Planned
				}
				for i, id := range accounts {
					// Which accounts get one of the last few is a matter of order.
					require.InDelta(t, share[id], f.states(t, id)["active"], 1, "account %d of %v", i, backlogs)
				}
			})
		}
	}
}

// Prospects that another transaction holds do not lose their share to other accounts for good: the
// cap is used up, and no account gets more than its share plus what the others cannot use.
func TestHealSharesWhatOthersCannotUse(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first, second := f.account(t, account{key: "a1"}), f.account(t, account{key: "a2"})
	f.waiting(t, first, 100)
	held := f.waiting(t, second, 100)
	tx := f.begin(t)
	_, err := tx.Exec(t.Context(), "SELECT FROM thaw.enrollments WHERE id = ANY ($1) FOR UPDATE", held[:80])
	require.NoError(t, err)
	heal := f.startHeal(t, 120)
	for batches := 0; ; batches++ {
		require.Less(t, batches, 50, "the heal does not end")
		if f.healBatch(t, heal, 30).Verdict == "done" {
			break
		}
	}
	require.Equal(t, 120, testdb.Value[int](t, f.DB, "SELECT resumed FROM thaw.heals"))
	require.Equal(t, []int{100, 20}, []int{f.states(t, first)["active"], f.states(t, second)["active"]})
}

// A heal of the fleet resumes in every workspace, except where auto-resume is off or an account is
// on hold, and no faster than its rate.
func TestHealOfTheFleet(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('other'), ('off')")
	a, b := f.account(t, account{key: "a"}), f.account(t, account{key: "b", workspace: "other"})
	off, held := f.account(t, account{key: "off", workspace: "off"}), f.account(t, account{key: "held"})
	for _, id := range []int64{a, b, off, held} {
		f.waiting(t, id, 50)
	}
	f.Exec(t, "SELECT thaw.set_auto_resume('off', false, 'asked'), thaw.hold('held', thaw.now() + interval '1 day', 'new device')")

	_, err := f.Pool.Exec(t.Context(), "SELECT thaw.heal_fleet(NULL)")
	require.ErrorContains(t, err, "a heal of the whole fleet has no rate")
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.heal_fleet(120, actor => 'a test', reason => 'after the incident')")
	_, err = f.Pool.Exec(t.Context(), "SELECT thaw.heal_fleet(60)")
	var refused *pgconn.PgError
	require.True(t, errors.As(err, &refused))
	require.Equal(t, "23505", refused.Code, "one at a time")
	require.Equal(t, []int{200, 120}, testdb.Value[[]int](t, f.DB, "SELECT ARRAY[cap, rate] FROM thaw.heals"), "as many as wait")

	// 120 per minute are 20 in ten seconds.
	require.Equal(t, int32(20), f.healBatch(t, heal, 1000).Resumed)
	paced := f.healBatch(t, heal, 1000)
	require.Equal(t, "paced", paced.Verdict)
	require.Positive(t, paced.RetrySeconds)
	require.LessOrEqual(t, paced.RetrySeconds, 10.0)
	resumed, minutes := 20, 0.0
	for verdict := "paced"; verdict != "done"; {
		f.Advance(t, 5*time.Second)
		minutes += 5.0 / 60
		batch := f.healBatch(t, heal, 1000)
		verdict = batch.Verdict
		resumed += int(batch.Resumed)
		require.LessOrEqual(t, float64(resumed), 40+120*minutes, "a batch more than the rate, as the clock runs on")
		require.Less(t, minutes, 10.0, "the heal does not end")
	}
	require.Equal(t, [3]int{100, 0, 0}, f.left(t, heal))
	require.Equal(t, []int{50, 50}, []int{f.states(t, a)["active"], f.states(t, b)["active"]})
	require.Equal(t, []map[string]int{{disconnected: 50}, {disconnected: 50}}, []map[string]int{f.states(t, off), f.states(t, held)})
	require.Equal(t, []string{"heal_started by a test: after the incident"},
		testdb.Column[string](t, f.DB, "SELECT format('%s by %s: %s', what, actor, reason) FROM thaw.manual_actions WHERE heal_id IS NOT NULL"))
}

// In safety mode a heal cannot start, and one that runs stops. It continues afterwards where it
// stopped.
func TestHealInSafetyMode(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.waiting(t, a, 30)
	heal := f.startHeal(t, 100)
	require.Equal(t, int32(10), f.healBatch(t, heal, 10).Resumed)
	f.Exec(t, "SELECT thaw.safety_enter('an incident', 'a test')")
	require.Equal(t, dbsqlc.HealBatchRow{Verdict: "stopped"}, f.healBatch(t, heal, 10))
	require.Equal(t, "stopped: safety mode was entered, 10", testdb.Value[string](t, f.DB,
		"SELECT format('%s: %s, %s', thaw.heal_state(h), stopped_reason, resumed) FROM thaw.heals AS h"))
	for _, sql := range []string{"SELECT thaw.heal('acme')", "SELECT thaw.resume_heal(1, 'go on', 'a test')"} {
		_, err := f.Pool.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "20 prospects wait: a heal would resume none of them")
	}
	f.Exec(t, "SELECT thaw.safety_exit('over', 'a test')")
	require.True(t, testdb.Value[bool](t, f.DB, "SELECT thaw.resume_heal($1, 'go on', 'a test')", heal))
	for f.healBatch(t, heal, 10).Verdict != "done" {
	}
	require.Equal(t, [3]int{30, 0, 0}, f.left(t, heal))
}

// A heal is stopped and continued while a worker runs it.
func TestStopAndResumeHeal(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a := f.account(t, account{key: "a1"})
	f.start(t)
	f.waiting(t, a, 40)
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.heal('acme', rate => 60)")
	f.eventually(t, 10, "SELECT resumed FROM thaw.heals")
	require.True(t, testdb.Value[bool](t, f.DB, "SELECT thaw.stop_heal($1, 'a mistake', 'a test')", heal))
	require.False(t, testdb.Value[bool](t, f.DB, "SELECT thaw.stop_heal($1, 'a mistake', 'a test')", heal))
	f.Advance(t, time.Minute)
	f.Exec(t, "UPDATE thaw.river_job SET state = 'available', scheduled_at = now() WHERE kind = 'heal' AND state = 'scheduled'")
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'heal' AND state = 'completed'")
	require.Equal(t, 10, f.states(t, a)["active"])
	require.True(t, testdb.Value[bool](t, f.DB, "SELECT thaw.resume_heal($1, 'checked', 'a test')", heal))
	require.False(t, testdb.Value[bool](t, f.DB, "SELECT thaw.resume_heal($1, 'checked', 'a test')", heal))
	f.eventually(t, 20, "SELECT resumed FROM thaw.heals")
	require.Equal(t, []string{"heal_started", "heal_stopped", "heal_resumed"}, testdb.Column[string](t, f.DB, "SELECT what FROM thaw.manual_actions WHERE heal_id = $1 ORDER BY id", heal))
	f.Exec(t, "SELECT thaw.stop_heal($1, 'enough', 'a test')", heal)

	// Another heal of the target closes a stopped one.
	f.heal(t, "SELECT thaw.heal('acme')")
	require.Equal(t, []string{"done 20", "done 20"}, testdb.Column[string](t, f.DB, "SELECT format('%s %s', status, resumed) FROM thaw.heals ORDER BY id"))
	_, err := f.Pool.Exec(t.Context(), "SELECT thaw.resume_heal($1, 'again', 'a test')", heal)
	require.ErrorContains(t, err, "is done")
}
