package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A copy of a database, started with everything that the original has: its signals, sweeps and
// heals resume nothing, and its messages are not delivered, until it is adopted. Messages that the
// original wrote are not delivered even then.
func TestCopyOfADatabaseDoesNothingOutward(t *testing.T) {
	t.Parallel()
	original := setup(t)
	p := newPlatform(t, nil)
	original.registerPlatform(t, p)
	a := original.account(t, account{key: "ann"})
	original.waiting(t, a, 30)
	_, stop := original.launchUntilStopped(t, context.WithoutCancel(t.Context()))
	original.eventually(t, 1, "SELECT count(*) FROM thaw.instance")
	original.eventually(t, 30, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'")
	stop()
	written := testdb.Value[int](t, original.DB, "SELECT count(*) FROM thaw.webhook_deliveries WHERE state = 'waiting'")
	require.Positive(t, written, "no process delivers for the original")

	f := &fleet{DB: original.Copy(t), log: original.log}
	t.Cleanup(func() { f.checkEnd(t) })
	b := f.account(t, account{key: "bob"})
	f.waiting(t, b, 20)
	f.deliver(t, f.registerPlatform(t, p))
	f.Exec(t, "SELECT thaw.check_instance()") // as a process does at its start
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.safety WHERE entered_by = 'instance' AND manual_exit"))

	f.signal(t, "bob", "connected")
	require.Zero(t, f.sweep(t))
	require.Equal(t, map[string]int{disconnected: 20}, f.states(t, b))
	require.Equal(t, "safety_mode", testdb.Value[string](t, f.DB, "SELECT thaw.sending_held_by('bob')"))
	_, err := f.Pool.Exec(t.Context(), "SELECT thaw.heal('acme')")
	require.ErrorContains(t, err, "this database is a copy: instance "+original.name())
	_, err = f.Pool.Exec(t.Context(), "SELECT thaw.safety_exit('it is fine', 'jane')")
	require.ErrorContains(t, err, "this database is a copy")
	f.eventually(t, 0, "SELECT count(*) FROM thaw.river_job WHERE kind = 'deliver' AND state IN ('available', 'running')")
	require.Empty(t, p.got())

	require.True(t, testdb.Value[bool](t, f.DB, "SELECT thaw.adopt_instance('staging', 'restored for a test', 'jane')"))
	require.Equal(t, 20, f.sweep(t))
	require.Empty(t, testdb.Value[string](t, f.DB, "SELECT thaw.sending_held_by('bob')"))
	f.eventually(t, 1, deliveries, "safety.exited", "delivered")
	for _, m := range p.got() {
		require.Equal(t, "staging", m.Instance, m.Type)
	}
	require.LessOrEqual(t, written, testdb.Value[int](t, f.DB, `
		SELECT count(*) FROM thaw.webhook_deliveries WHERE state = 'failed' AND last_error LIKE 'not sent: written before%'`))
}

// A pass checks the database itself: between the start of a copy and its safety mode, nothing is
// resumed either.
func TestPassesCheckTheInstance(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "SELECT thaw.check_instance('production')")
	f.Exec(t, "UPDATE thaw.instance SET system_identifier = system_identifier + 1")
	require.Equal(t, 0, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.safety WHERE since IS NOT NULL"))
	a := f.account(t, account{key: "ann"})
	f.waiting(t, a, 3)
	require.Equal(t, "safety_mode", testdb.Value[string](t, f.DB, "SELECT thaw.blocked_by(a) FROM thaw.accounts AS a WHERE a.id = $1", a))
	require.Equal(t, "safety_mode", testdb.Value[string](t, f.DB, "SELECT thaw.sending_held_by('ann')"))
	require.Contains(t, testdb.Value[string](t, f.DB, "SELECT thaw.check_instance()"), "thaw instance adopt --as NAME")
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.safety WHERE entered_by = 'instance'"))
}

// A promoted replica has a new timeline and goes on. It is said once that what happened after the
// promotion point is unknown. If Thaw was last seen long before, it may be a restored backup.
func TestNewTimeline(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Exec(t, "SELECT thaw.check_instance('production')")
	promote := func() { f.Exec(t, "UPDATE thaw.instance SET timeline = timeline + 1") }
	check := func() string { return testdb.Value[string](t, f.DB, "SELECT coalesce(thaw.check_instance(), '')") }

	promote()
	require.Contains(t, check(), "Thaw cannot know what happened after")
	require.Empty(t, check(), "said once")
	require.Equal(t, 1, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.manual_actions WHERE what = 'server_changed'"))
	require.Equal(t, 0, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.safety WHERE since IS NOT NULL"))

	f.Advance(t, 2*time.Hour)
	require.Empty(t, check(), "a pause of Thaw alone is no reason for doubt")
	promote()
	f.Advance(t, 2*time.Hour)
	require.Contains(t, check(), "this database may be a restored backup")
	require.Contains(t, check(), "this database may be a restored backup")
	require.True(t, testdb.Value[bool](t, f.DB, "SELECT thaw.adopt_instance('production', 'it was promoted after a long outage', 'jane')"))
	require.Empty(t, check())
	require.Equal(t, 0, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.safety WHERE since IS NOT NULL"))
}

// name returns the name of the fleet's database as that of an instance.
func (f *fleet) name() string { return f.Pool.Config().ConnConfig.Database }
