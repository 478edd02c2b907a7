package worker_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
)

// adopted gives the fleet the tables of a platform, connected as thaw adopt apply does it, with
// live workspaces.
func (f *fleet) adopted(t *testing.T) *adopt.Mapping {
	t.Helper()
	tables, err := os.ReadFile("../internal/adopt/testdata/outreach.sql")
	require.NoError(t, err)
	f.Exec(t, string(tables))
	proposal, err := os.ReadFile("../internal/adopt/testdata/outreach.yaml")
	require.NoError(t, err)
	m, err := adopt.Parse(strings.NewReplacer(`on_vacation: "?"`, "on_vacation: pending", `"?": account_disconnected`, "account_lost: account_disconnected").Replace(string(proposal)))
	require.NoError(t, err)
	require.NoError(t, m.Start(t.Context(), f.Pool))
	p, err := m.Prepare(t.Context(), f.Pool, schema.Name)
	require.NoError(t, err)
	require.NoError(t, p.Install(t.Context(), f.Pool))
	_, err = p.Backfill(t.Context(), f.Pool, func(adopt.Kind, int64) {})
	require.NoError(t, err)
	require.NoError(t, adopt.Running(t.Context(), f.Pool))
	_, err = adopt.SetShadow(t.Context(), f.Pool, "", false, "test", "test")
	require.NoError(t, err)
	return m
}

// The platform changes its tables beneath a running worker. Its statements go on. Within a minute,
// nothing is resumed through the accounts whose prospects may be copied wrongly, and only through
// them, until the tables fit again and a check has found no difference.
func TestAccountsAreHeldWhileTheMappingDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, change, problem, undo string }{
		{
			"dropped trigger", "DROP TRIGGER thaw_enrollments_update ON app.campaign_leads",
			"the trigger thaw_enrollments_update on app.campaign_leads is missing", "",
		},
		{
			"renamed column", "ALTER TABLE app.campaign_leads RENAME pause_cause TO stop_cause",
			`enrollments.reason.column: app.campaign_leads has no column "pause_cause"`, "ALTER TABLE app.campaign_leads RENAME stop_cause TO pause_cause",
		},
		{
			"changed type", "DROP VIEW app.running_leads; ALTER TABLE app.campaign_leads ALTER state TYPE text",
			"state of app.campaign_leads is text, and was app.lead_state when the mapping was applied", "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			m := f.adopted(t)
			f.Exec(t, "UPDATE app.campaign_leads SET state = 'answered' WHERE sender_account_id = 'acc_eve'") // it has no open lead
			own := f.account(t, account{key: "own", status: "disconnected"})                                  // not the platform's
			f.waiting(t, own, 2)
			f.start(t)
			held := func() []string {
				return testdb.Column[string](t, f.DB, "SELECT coalesce(a.external_id, a.provider_account_id) FROM thaw.accounts AS a WHERE a.parked_reason IS NOT NULL ORDER BY 1")
			}
			problems := func() []string {
				return testdb.Column[string](t, f.DB, "SELECT unnest(s.problems) FROM thaw.adopt_state AS s")
			}
			// The job is done before it looks: the check for lost accounts comes first.
			look := func(done func() bool) {
				f.Advance(t, time.Minute)
				f.Exec(t, "SELECT thaw.request_watch()")
				require.Eventually(t, done, 30*time.Second, 10*time.Millisecond)
			}
			f.Exec(t, c.change)
			look(func() bool { return len(held()) > 0 })
			require.Equal(t, []string{"acc_ann", "acc_bob"}, held())
			found := problems()
			require.Contains(t, strings.Join(found, "\n"), c.problem)

			// The platform goes on, and so does everything else.
			f.Exec(t, "UPDATE app.campaign_leads SET state = 'running', current_step = 4 WHERE id = 'cl_2'")
			f.signal(t, "up_bob", "connected")
			f.signal(t, "own", "connected")
			f.settle(t)
			f.Advance(t, tick)
			f.sweep(t)
			state := func(id string) string {
				return testdb.Value[string](t, f.DB, "SELECT e.status::text FROM thaw.enrollments AS e WHERE e.external_id = $1", id)
			}
			require.Equal(t, "paused", state("cl_3"))
			require.Equal(t, map[string]int{"active": 2}, f.states(t, own))

			// The tables fit again, but changes may have been missed: only a check releases.
			if c.undo != "" {
				f.Exec(t, c.undo)
			}
			p, err := m.Prepare(t.Context(), f.Pool, schema.Name)
			require.NoError(t, err)
			require.NoError(t, p.Install(t.Context(), f.Pool))
			look(func() bool {
				return len(f.log.logged("the platform's tables fit the mapping again; thaw adopt check releases the accounts that are held")) == 1
			})
			require.Empty(t, problems())
			require.Len(t, f.log.logged("the platform's tables no longer fit the mapping"), len(found), "logged once")
			require.Equal(t, []string{"acc_ann", "acc_bob"}, held())
			fixed, err := p.Compare(t.Context(), f.Pool, true, func(adopt.Kind, int64) {})
			require.NoError(t, err)
			require.Equal(t, fixed.Drift, fixed.Fixed)
			released, err := adopt.Note(t.Context(), f.Pool, nil, true)
			require.NoError(t, err)
			require.Zero(t, released.Held)
			require.Empty(t, held())
			require.Equal(t, "active", state("cl_2"))
			f.Exec(t, "DELETE FROM thaw.adopt_errors WHERE external_id IS NULL") // as thaw.note_check does
			f.Advance(t, tick)
			f.sweep(t)
			f.settle(t)
			require.Equal(t, "active", state("cl_3"))
		})
	}
}
