package adopt

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// withSending is the fixture of a platform that has the subscription of its accounts, and the kind
// of each lead's next step.
func withSending(t *testing.T) (*testdb.DB, string) {
	t.Helper()
	db := withFixture(t, "outreach")
	db.Exec(t, `
		UPDATE app.linkedin_accounts SET subscription = 'sales_nav' WHERE id = 'acc_ann';
		ALTER TABLE app.linkedin_accounts DROP CONSTRAINT linkedin_accounts_subscription_check;
		UPDATE app.linkedin_accounts SET subscription = 'gold' WHERE id = 'acc_eve';
		ALTER TABLE app.campaign_leads ADD COLUMN next_type text;
		UPDATE app.campaign_leads SET next_type = CASE id WHEN 'cl_1' THEN 'connection' WHEN 'cl_7' THEN 'fax' WHEN 'cl_3' THEN 'dm' END`)
	return db, strings.Replace(mapping, "  timezone: tz\n", "  timezone: tz\n  tier: {column: subscription, map: {basic: free, premium: premium, sales_nav: sales_navigator}}\n", 1) +
		"  next_kind: {column: next_type, map: {connection: invite, dm: message, call: phone_call}}\n"
}

func next(t *testing.T, db *testdb.DB, lead string) string {
	t.Helper()
	return testdb.Value[string](t, db, `
		SELECT concat_ws(' ', e.status, e.step, e.next_kind, to_char(e.next_action_at AT TIME ZONE 'UTC', 'DD HH24:MI'), e.due_at IS NOT NULL)
		FROM thaw.enrollments AS e WHERE e.external_id = $1`, lead)
}

// The subscription of an account and the next action of a lead are copied, also while the lead
// runs.
func TestSendingIsAdopted(t *testing.T) {
	t.Parallel()
	db, source := withSending(t)
	p := adoptedWith(t, db, source)
	tiers := func() []string {
		return testdb.Column[string](t, db, "SELECT a.external_id || ' ' || a.tier FROM thaw.accounts AS a ORDER BY a.external_id")
	}
	require.Equal(t, []string{"acc_ann sales_navigator", "acc_bob free", "acc_eve free"}, tiers())
	require.Equal(t, "active 2 invite 31 10:00 t", next(t, db, "cl_1"))
	require.Equal(t, "active 1 31 11:00 f", next(t, db, "cl_7"), "a word without a meaning is not scheduled")
	require.Equal(t, "paused 1 message 30 10:00 f", next(t, db, "cl_3"))
	require.Zero(t, compared(t, db, p, false).Drift)

	db.Exec(t, "UPDATE app.linkedin_accounts SET subscription = 'premium' WHERE id = 'acc_eve'; UPDATE app.linkedin_accounts SET subscription = 'x' WHERE id = 'acc_ann'")
	require.Equal(t, []string{"acc_ann free", "acc_bob free", "acc_eve premium"}, tiers())
	db.Exec(t, "UPDATE app.campaign_leads SET current_step = 3, next_type = 'dm', next_run_at = '2026-02-03 09:00Z' WHERE id = 'cl_1'")
	require.Equal(t, "active 3 message 03 09:00 t", next(t, db, "cl_1"))
	db.Exec(t, "UPDATE app.campaign_leads SET next_run_at = NULL WHERE id = 'cl_1'")
	require.Equal(t, "active 3 message f", next(t, db, "cl_1"))
	db.Exec(t, "UPDATE app.campaign_leads SET next_type = 'fax' WHERE id = 'cl_1'")
	require.Equal(t, "active 3 f", next(t, db, "cl_1"))

	// A comparison finds a difference of a running lead, and copies step, kind and time.
	db.Exec(t, `ALTER TABLE app.campaign_leads_2026_01 DISABLE TRIGGER USER; ALTER TABLE app.campaign_leads DISABLE TRIGGER USER;
		UPDATE app.campaign_leads SET current_step = 4, next_type = 'connection', next_run_at = '2026-02-04 09:00Z' WHERE id = 'cl_1';
		ALTER TABLE app.campaign_leads ENABLE TRIGGER USER; ALTER TABLE app.campaign_leads_2026_01 ENABLE TRIGGER USER`)
	require.EqualValues(t, 1, compared(t, db, p, true).Fixed)
	require.Equal(t, "active 4 invite 04 09:00 t", next(t, db, "cl_1"))
	require.Zero(t, compared(t, db, p, false).Drift)
}

// An account that sent before it came to Thaw does not begin with ramp week 1. Once Thaw has sent
// something, the date of the platform does not change the ramp any more.
func TestRampIsAdopted(t *testing.T) {
	t.Parallel()
	for columnType, given := range map[string]string{"date": "2025-10-01", "timestamptz": "2025-10-01 21:30Z", "timestamp": "2025-10-01 21:30"} {
		t.Run(columnType, func(t *testing.T) {
			t.Parallel()
			db := withFixture(t, "outreach")
			db.Exec(t, "ALTER TABLE app.linkedin_accounts ADD COLUMN first_invite "+columnType)
			db.Exec(t, "UPDATE app.linkedin_accounts SET first_invite = '"+given+"' WHERE id = 'acc_ann'; UPDATE app.linkedin_accounts SET first_invite = 'infinity' WHERE id = 'acc_eve'")
			p := adoptedWith(t, db, strings.Replace(mapping, "  timezone: tz\n", "  timezone: tz\n  ramp_started_on: first_invite\n", 1))
			week := func(account string) int {
				return testdb.Value[int](t, db, "SELECT min(g.ramp_week) FROM thaw.accounts AS a, thaw.kind_gates(ARRAY[a.id]) AS g WHERE a.external_id = $1", account)
			}
			started := func() string {
				return testdb.Value[string](t, db, `
					SELECT to_char(s.ramp_started_at AT TIME ZONE a.timezone, 'YYYY-MM-DD HH24:MI')
					FROM thaw.accounts AS a JOIN thaw.sending_accounts AS x ON x.account_id = a.id JOIN thaw.senders AS s ON s.id = x.sender_id
					WHERE a.external_id = 'acc_ann'`)
			}
			require.Equal(t, "2025-10-01 00:00", started())
			require.Equal(t, []int{6, 1, 1}, []int{week("acc_ann"), week("acc_bob"), week("acc_eve")})
			require.Zero(t, compared(t, db, p, false).Drift)

			db.Exec(t, "UPDATE app.linkedin_accounts SET first_invite = thaw.now() - interval '8 days' WHERE id = 'acc_ann'")
			require.Equal(t, 2, week("acc_ann"))
			db.Exec(t, "UPDATE thaw.senders SET last_sent_at = thaw.now()")
			db.Exec(t, "UPDATE app.linkedin_accounts SET first_invite = '2025-10-01' WHERE id = 'acc_ann'")
			require.Equal(t, 2, week("acc_ann"))
			require.Zero(t, compared(t, db, p, false).Drift)
		})
	}
}

// A pause and a resume by Thaw keep the next action, and the platform settles with its own step.
func TestAdoptedLeadIsSent(t *testing.T) {
	t.Parallel()
	db, source := withSending(t)
	p := adoptedWith(t, db, source)
	_, err := SetShadow(t.Context(), db.Pool, "", false, "test", "test")
	require.NoError(t, err)
	db.Exec(t, `UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '00:00', closes = '24:00';
		UPDATE app.campaign_leads SET next_run_at = thaw.now() - interval '1 hour' WHERE id = 'cl_1'`)
	id := testdb.Value[int64](t, db, "SELECT coalesce(r.id, 0) FROM thaw.enrollments AS e, thaw.reserve(e.id) AS r WHERE e.external_id = 'cl_1'")
	require.NotZero(t, id)
	db.Exec(t, "SELECT thaw.start($1)", id)
	db.Exec(t, "SELECT thaw.settle($1, 'sent', provider_ref => 'inv_1', next_kind => 'message', next_at => thaw.now() + interval '1 day')", id)
	require.Contains(t, next(t, db, "cl_1"), "active 3 message")
	db.Exec(t, "UPDATE app.campaign_leads SET current_step = 3, next_type = 'dm', next_run_at = '2030-01-01' WHERE id = 'cl_1'")
	require.Equal(t, "active 3 message 01 00:00 t", next(t, db, "cl_1"))
	require.Zero(t, compared(t, db, p, false).Drift)
}

// The plan counts rows whose words mean nothing, and the status the accounts that send nothing for
// lack of a time zone.
func TestSendingIsPlanned(t *testing.T) {
	t.Parallel()
	db, source := withSending(t)
	db.Exec(t, "UPDATE app.campaign_leads SET next_type = 'call' WHERE id = 'cl_2'; UPDATE app.linkedin_accounts SET tz = 'Mars/Base' WHERE id = 'acc_ann'")
	m, err := Parse(source)
	require.NoError(t, err)
	p, err := m.Prepare(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	preview, err := m.Preview(t.Context(), db.Pool, p.Catalog)
	require.NoError(t, err)
	found := map[string]Violation{}
	for _, table := range preview.Tables {
		for _, v := range table.Violations {
			found[v.Rule] = v
		}
	}
	require.Equal(t, Violation{"the word for the subscription is no tier of Thaw", "Thaw sends within the lowest caps (free)", 1, "acc_eve"}, found["the word for the subscription is no tier of Thaw"])
	require.Equal(t, Violation{"the word for the next step means no kind of action", "Thaw does not schedule the step", 1, "cl_7"}, found["the word for the next step means no kind of action"])
	require.Equal(t, Violation{"the kind of the next step is not in thaw.action_kinds", "nothing is sent until it is added there, with limits", 1, "cl_2"}, found["the kind of the next step is not in thaw.action_kinds"])
	require.EqualValues(t, 1, found["the time zone is unknown to Postgres"].Rows)

	require.Zero(t, zoneless(t, db))
	adoptedWith(t, db, source)
	require.EqualValues(t, 1, zoneless(t, db), "acc_ann has a lead that is due")
	db.Exec(t, "UPDATE thaw.sending_windows SET timezone = 'Europe/Paris'")
	require.Zero(t, zoneless(t, db))
}

func zoneless(t *testing.T, db *testdb.DB) int64 {
	t.Helper()
	n, err := WithoutZone(t.Context(), db.Pool)
	require.NoError(t, err)
	return n
}

// Words in the mapping that mean nothing to Thaw are problems with their line.
func TestWordsOfSendingAreChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to, problem string }{
		{"  timezone: tz\n", "  timezone: tz\n  tier: {column: subscription, map: {gold: platinum}}\n", `accounts.tier.map.gold: "platinum" is not possible here. Use free, premium, sales_navigator, recruiter.`},
		{"  timezone: tz\n", "  timezone: {column: tz, map: {a: b}}\n", `accounts.timezone: "map" is no field here`},
		{"  step: current_step\n", "  step: current_step\n  next_kind: {column: state, map: {a: Send Invite}}\n", `enrollments.next_kind.map.a: "Send Invite" is no kind of action`},
		{"  step: current_step\n", "  step: current_step\n  next_kind: {map: {a: invite}}\n", "enrollments.next_kind: a value in another table needs table, by and column"},
	} {
		require.Contains(t, mapping, c.from)
		_, err := Parse(strings.Replace(mapping, c.from, c.to, 1))
		require.ErrorContains(t, err, c.problem)
	}
	m, err := Parse(strings.Replace(mapping, "  timezone: tz\n", "  timezone: tz\n  tier: subscription\n", 1))
	require.NoError(t, err)
	require.Equal(t, "subscription", m.Entity(Accounts).Values["tier"].Column)
}
