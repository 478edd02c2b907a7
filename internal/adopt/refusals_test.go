package adopt

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// A plan says which constraints of the platform refuse what Thaw writes.
func TestPlanNamesConstraintsThatRefuse(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	db.Exec(t, `
		DELETE FROM app.campaign_leads WHERE state = 'paused';
		ALTER TABLE app.campaign_leads ADD COLUMN "pausedAt" timestamptz,
			ADD CONSTRAINT leads_paused_has_time CHECK ((state = 'paused') = ("pausedAt" IS NOT NULL)),
			ADD CONSTRAINT leads_step_is_positive CHECK (current_step >= 0),
			ADD CONSTRAINT leads_due_is_late CHECK (next_run_at > '2020-01-01');
		CREATE DOMAIN app.halt AS text CHECK (VALUE <> 'account_lost');
		ALTER TABLE app.campaigns ALTER halt_cause TYPE app.halt`)
	m, _ := planned(t, db, mapping)
	preview, err := m.Preview(t.Context(), db.Pool, catalogOf(t, db))
	require.NoError(t, err)
	var all []string
	for _, table := range preview.Tables {
		for _, r := range table.Refusals {
			all = append(all, string(table.Kind)+": "+r.String())
		}
	}
	const effect = "thaw adopt run cannot write it there, and records it as refused. Let the constraint allow it, or set the other columns with a trigger of your own."
	const check = `the constraint leads_paused_has_time, CHECK (((state = 'paused'::app.lead_state) = ("pausedAt" IS NOT NULL))),`
	require.Equal(t, []string{
		"campaigns: the constraint halt_check, of the type halt, refuses a pause of every row: " + effect,
		"enrollments: " + check + " refuses a pause of 2 of 2 rows, for example cl_1: " + effect,
		"enrollments: " + check + " could not be tried with a resume, because no row is in such a state. If it refuses one, " + effect,
	}, all)

	// Thaw sets and clears the time of a pause if it is mapped.
	m, err = Parse(mapping + "  paused_at: pausedAt\n")
	require.NoError(t, err)
	preview, err = m.Preview(t.Context(), db.Pool, catalogOf(t, db))
	require.NoError(t, err)
	require.Empty(t, preview.Tables[3].Refusals)
	require.Equal(t, 2, testdb.Value[int](t, db, "SELECT count(*) FROM app.campaign_leads WHERE state = 'running'"), "nothing was written")
}
