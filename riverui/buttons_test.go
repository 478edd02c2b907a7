package riverui_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A kind describes a kind of job.
type kind struct {
	name   string
	insert string // SQL that inserts the job; empty if the sweep of the current tick does
	find   string // SQL that returns its ID
	lock   string // SQL that blocks it while it runs
	want   fleet  // the result of its work, or of another job in its place
}

// A fleet has the number of prospects by status, and of events in their histories.
type fleet struct{ active, paused, resumed, newlyPaused int }

var (
	active = fleet{active: waitingProspects + activeProspects, resumed: waitingProspects}
	paused = fleet{paused: waitingProspects + activeProspects, newlyPaused: activeProspects}
)

const (
	lockAccount = "SELECT FROM thaw.accounts FOR NO KEY UPDATE"
	find        = "SELECT id FROM thaw.river_job WHERE "
)

var kinds = []kind{
	{"sweep", "SELECT thaw.sweep()", find + "kind = 'sweep' ORDER BY id LIMIT 1", "LOCK TABLE thaw.sweeps IN EXCLUSIVE MODE", active},
	{"resume by signal", "SELECT thaw.signal('linkedin', 'acc_1', 'connected')", find + "args ? 'signal_id'", lockAccount, active},
	{"resume by sweep", "", find + "kind = 'resume_account' ORDER BY id LIMIT 1", lockAccount, active},
	{"pause", "SELECT thaw.signal('linkedin', 'acc_1', 'disconnected')", find + "kind = 'pause_account' ORDER BY id LIMIT 1", lockAccount, paused},
	{"heal", "SELECT thaw.heal('acme')", find + "kind = 'heal'", lockAccount, active},
}

// pressed has the states of a job in which a button is pressed. Each brings a job of a kind into
// the state, presses the button, and checks the outcome.
var pressed = []struct {
	state string
	press func(t *testing.T, d *dashboard, k kind, button string)
}{
	{"completed", func(t *testing.T, d *dashboard, k kind, button string) {
		t.Helper()
		id := d.start(t, k)
		d.settle(t)
		require.Equal(t, "completed", d.state(t, id))
		require.Equal(t, k.want, d.fleet(t))
		d.click(t, button, id)
		d.settle(t)
		require.Equal(t, "completed", d.state(t, id))
		require.Equal(t, k.want, d.fleet(t), "a completed job changes nothing")
	}},
	{"running", func(t *testing.T, d *dashboard, k kind, button string) {
		t.Helper()
		id, release := d.held(t, k)
		d.click(t, button, id)
		if button == "cancel" {
			d.cancelled(t, id)
		}
		release()
		d.settle(t)
		d.end(t, k, id)
	}},
	{"cancelled", func(t *testing.T, d *dashboard, k kind, button string) {
		t.Helper()
		id, release := d.held(t, k)
		d.click(t, "cancel", id)
		d.cancelled(t, id)
		release()
		d.settle(t)
		d.click(t, button, id)
		d.settle(t)
		d.end(t, k, id)
	}},
	{"scheduled", func(t *testing.T, d *dashboard, k kind, button string) {
		t.Helper()
		id, release := d.held(t, k)
		// Like a failed attempt that waits for the next one.
		d.click(t, "cancel", id)
		d.cancelled(t, id)
		d.Exec(t, "UPDATE thaw.river_job SET state = 'scheduled', scheduled_at = now() + interval '1 hour', finalized_at = NULL WHERE id = $1", id)
		release()
		d.settle(t)
		d.click(t, button, id)
		d.settle(t)
		d.end(t, k, id)
	}},
}

// Retrying or cancelling any job in any state is harmless: no prospect is resumed or paused twice,
// no cap is exceeded, and in the end all prospects are in the right state. The invariants are
// checked when each test ends. The small size has each kind of job and each state, with either
// button; full size has all combinations.
func TestButtonsAreHarmless(t *testing.T) {
	t.Parallel()
	for i, k := range kinds {
		for j, p := range pressed {
			for b, button := range []string{"retry", "cancel"} {
				if !testdb.Full() && j != (i+2*b)%len(pressed) {
					continue
				}
				t.Run(button+" "+k.name+", "+p.state, func(t *testing.T) {
					t.Parallel()
					p.press(t, setup(t), k, button)
				})
			}
		}
	}
}

// cancelled waits until a job is cancelled.
func (d *dashboard) cancelled(t *testing.T, id int64) {
	t.Helper()
	d.eventually(t, 1, "SELECT count(*) FROM thaw.river_job WHERE id = $1 AND state = 'cancelled'", id)
}

// start runs a job of the kind and returns its ID.
func (d *dashboard) start(t *testing.T, k kind) (id int64) {
	t.Helper()
	if k.insert != "" {
		d.Exec(t, k.insert)
	}
	d.work(t)
	d.eventually(t, 1, "SELECT count(*) FROM ("+k.find+") AS job")
	return testdb.Value[int64](t, d.DB, k.find)
}

// held returns a job of the kind that is blocked in the middle of its work until release is called.
func (d *dashboard) held(t *testing.T, k kind) (id int64, release func()) {
	t.Helper()
	if k.insert != "" {
		d.Exec(t, k.insert)
	}
	tx, err := d.Pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), k.lock)
	require.NoError(t, err)
	d.work(t)
	d.eventually(t, 1, "SELECT count(*) FROM ("+k.find+") AS job JOIN thaw.river_job AS row USING (id) WHERE row.state = 'running'")
	id = testdb.Value[int64](t, d.DB, k.find)
	d.eventually(t, 1, "SELECT least(1, count(*)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	return id, func() { require.NoError(t, tx.Rollback(t.Context())) }
}

// end runs two ticks, which do the work of cancelled jobs, and retries the job once more.
func (d *dashboard) end(t *testing.T, k kind, id int64) {
	t.Helper()
	d.nextTick(t)
	d.nextTick(t)
	require.Equal(t, k.want, d.fleet(t))
	d.click(t, "retry", id)
	d.settle(t)
	require.Equal(t, k.want, d.fleet(t))
}

func (d *dashboard) fleet(t *testing.T) (f fleet) {
	t.Helper()
	err := d.Pool.QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM thaw.enrollments WHERE status = 'active'),
			(SELECT count(*) FROM thaw.enrollments WHERE status = 'paused'),
			(SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'resumed'),
			(SELECT count(*) FROM thaw.enrollment_events WHERE kind = 'paused')`).
		Scan(&f.active, &f.paused, &f.resumed, &f.newlyPaused)
	require.NoError(t, err)
	return f
}

func TestHealAfterACancelledHeal(t *testing.T) {
	t.Parallel()
	d := setup(t)
	k := kinds[len(kinds)-1]
	first, release := d.held(t, k)
	d.click(t, "cancel", first)
	d.cancelled(t, first)
	release()
	d.Exec(t, k.insert)
	d.settle(t)
	require.Equal(t, k.want, d.fleet(t))
	require.Equal(t, 1, testdb.Value[int](t, d.DB, "SELECT count(*) FROM thaw.heals WHERE status = 'done' AND id = (SELECT max(id) FROM thaw.heals)"))

	d.click(t, "retry", first)
	d.settle(t)
	require.Equal(t, k.want, d.fleet(t))
}
