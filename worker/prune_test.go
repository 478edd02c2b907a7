package worker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/verify"
	"github.com/thawline/thaw/jobs"
)

// parts are the tables from which expired rows are removed.
var parts = []string{
	"account_signals", "allocations", "sweeps", "account_quotas", "fleet_quotas", "heals", "enrollment_events", "campaign_events",
}

// Pruning changes no explanation, breaks no invariant, and keeps the event that explains a current
// pause, however short the retention and whatever happened before.
func TestPruningKeepsNeededRows(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	m := newModelTest(t)
	_, err := m.db.Pool.Exec(t.Context(), "UPDATE thaw.settings SET keep_history = '2 days', keep_signals = '2 days'")
	require.NoError(t, err)
	actions := map[string]func(*rapid.T){
		"insert a sibling": m.insertSibling,
		"person pauses":    m.personPauses,
		"start a heal":     m.startHeal,
		"retry":            m.retry,
		"days pass":        m.letDaysPass,
		"prune":            m.prune,
		"":                 m.compare,
	}
	for i := range 2 {
		actions[fmt.Sprint("signal ", i)] = m.sendSignal
		actions[fmt.Sprint("work ", i)] = m.work
		actions[fmt.Sprint("next tick ", i)] = m.nextTick
	}
	missing := []string{"old pause event kept"}
	for _, part := range parts {
		missing = append(missing, part+" removed")
	}
	for round := 0; round < mostRounds && len(missing) > 0; round++ {
		rapid.Check(t, func(r *rapid.T) {
			m.reset(r)
			m.exec(r, `UPDATE thaw.retention SET kept_since = DEFAULT, passed_id = DEFAULT, walk_id = DEFAULT, walk_tick = DEFAULT, walk_began = DEFAULT`)
			r.Repeat(actions)
			m.bringToRest(r)
			m.letDaysPass(r)
			m.prune(r)
			m.bringToRest(r)
		})
		missing = slices.DeleteFunc(missing, func(what string) bool { return m.seen[what] > 0 })
	}
	requireEvents(t, missing, m.seen)
}

func (m *modelTest) letDaysPass(r *rapid.T) {
	m.advance(r, time.Duration(rapid.SampledFrom([]int{1, 3, 40}).Draw(r, "days"))*24*time.Hour)
}

// prune removes expired rows and compares the state before and after.
func (m *modelTest) prune(r *rapid.T) {
	counts := func() []int64 {
		return m.ids(r, `
			SELECT count(*) FROM thaw.account_signals UNION ALL SELECT count(*) FROM thaw.allocations
			UNION ALL SELECT count(*) FROM thaw.sweeps UNION ALL SELECT count(*) FROM thaw.account_quotas
			UNION ALL SELECT count(*) FROM thaw.fleet_quotas UNION ALL SELECT count(*) FROM thaw.heals
			UNION ALL SELECT count(*) FROM thaw.enrollment_events UNION ALL SELECT count(*) FROM thaw.campaign_events`)
	}
	const pauseEvents = `
		SELECT event.id FROM thaw.enrollment_events AS event
		JOIN thaw.enrollments AS e ON e.id = event.enrollment_id AND e.paused_at = event.paused_at
		WHERE e.status = 'paused' AND event.at < thaw.now() - $1::interval ORDER BY event.id`
	before, answers, reasons := counts(), m.answers(r), m.ids(r, pauseEvents, "0")
	for verdict := ""; verdict != "done"; {
		m.must(r, m.db.Pool.QueryRow(m.t.Context(), "SELECT verdict FROM thaw.prune_batch(7)").Scan(&verdict))
		if verdict == "busy" {
			r.Fatal("no other prune job is running")
		}
	}

	if diff := cmp.Diff(answers, m.answers(r)); diff != "" {
		r.Fatalf("answers before (-) and after (+):\n%s", diff)
	}
	if diff := cmp.Diff(reasons, m.ids(r, pauseEvents, "0")); diff != "" {
		r.Fatalf("events of lasting pauses before (-) and after (+):\n%s", diff)
	}
	m.verify(r)
	for i, left := range counts() {
		m.seen[parts[i]+" removed"] += int(before[i] - left)
	}
	m.seen["old pause event kept"] += len(m.ids(r, pauseEvents, "2 days"))
}

// answers returns the explanation of every paused prospect, without its history.
func (m *modelTest) answers(r *rapid.T) (all []readmodel.Explanation) {
	for _, url := range m.rows(r, "SELECT ARRAY[prospect_url] FROM thaw.enrollments WHERE status = 'paused' ORDER BY id") {
		answers, err := readmodel.Explain(m.t.Context(), store.New(m.db.Pool), url[0])
		m.must(r, err)
		for _, answer := range answers {
			answer.History = nil
			all = append(all, answer)
		}
	}
	return all
}

func (m *modelTest) verify(r *rapid.T) {
	report, err := verify.Run(m.t.Context(), m.db.Pool, verify.Options{})
	m.must(r, err)
	for _, check := range report.Checks {
		if check.Violations > 0 {
			r.Fatalf("%s: %q", check.About, check.Examples)
		}
	}
}

// Once per hour, whichever process sweeps and however often it restarts.
func TestFirstSweepOfHourInsertsPruneJob(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.start(t)
	for range 6 {
		f.sweep(t)
	}
	f.launch(t)
	f.Advance(t, 10*time.Hour)
	for range 6 {
		f.sweep(t)
	}
	hours := testdb.Value[int](t, f.DB, "SELECT count(DISTINCT date_trunc('hour', tick_at)) FROM thaw.sweeps")
	require.GreaterOrEqual(t, hours, 4)
	require.Equal(t, hours, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'prune' AND state = 'completed'"))
	require.Equal(t, hours, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.river_job WHERE kind = 'prune'"))
}

// withOldEvents inserts n events, all but the last hundred 500 days old.
func (f *fleet) withOldEvents(t *testing.T, n int) {
	t.Helper()
	f.Exec(t, `
		INSERT INTO thaw.enrollment_events (enrollment_id, at, step, kind, source, from_status, to_status, reason, paused_at)
		SELECT i, at, 0, 'paused', 'import', 'active', 'paused', 'account_issue', at
		FROM generate_series(1, $1::integer) AS i,
			LATERAL (SELECT thaw.now() - CASE WHEN i > $1 - 100 THEN '1 day' ELSE '500 days' END::interval AS at) AS moment
		ORDER BY i`, n)
}

func TestPruneJobRemovesExpiredRows(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.withOldEvents(t, 9100)
	// The first sweep of the first worker inserts the prune job. Several workers do not conflict.
	for range 3 {
		f.launch(t)
	}
	f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE kind = 'prune' AND state = 'completed'")
	f.settle(t)
	require.Equal(t, 100, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events"))
	lines := f.log.logged("expired rows removed")
	require.Len(t, lines, 1)
	require.EqualValues(t, 9000, lines[0]["rows"])
}

// Two prune jobs never run at once: the second one stops.
func TestPruneJobStopsIfAnotherRuns(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.start(t)
	f.withOldEvents(t, 300)
	prune := func(tickAgo time.Duration) {
		at := testdb.Value[time.Time](t, f.DB, "SELECT thaw.tick()").Add(-tickAgo)
		job, err := f.client(t).Insert(t.Context(), jobs.PruneArgs{TickAt: jobs.TickAt(at)}, nil)
		require.NoError(t, err)
		require.False(t, job.UniqueSkippedAsDuplicate)
		f.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE id = $1 AND state = 'completed'", job.Job.ID)
	}
	other := f.begin(t)
	_, err := other.Exec(t.Context(), "SELECT thaw.prune_batch(10)")
	require.NoError(t, err)
	prune(tick)
	require.NoError(t, other.Commit(t.Context()))
	require.Equal(t, 290, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events"))
	prune(2 * tick)
	require.Equal(t, 100, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollment_events"))
}
