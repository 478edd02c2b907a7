package readmodel

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/testdb"
)

// enrollmentKey identifies one enrollment of a prospect.
type enrollmentKey struct{ Workspace, Campaign, Prospect string }

// prospects is the number of prospects per campaign. The caps are of an account and of the fleet,
// and such that the fleet takes many ticks at full size.
var (
	prospects  = testdb.Size(14, 30)
	accountCap = testdb.Size(8, 4)
	fleetCap   = testdb.Size(50, 25)
)

func prospectURL(n int) string { return fmt.Sprintf("https://linkedin.com/in/p%d", n) }

// fill creates 60 accounts in 7 workspaces, with every case of waiting and not waiting; the last
// workspace has opted out. Each prospect is in each of the 28 campaigns, on some account of the
// workspace. Small numbers are more likely, so some accounts have far more waiting prospects than
// others.
func fill(t *testing.T, f fleet, random *rand.Rand) {
	t.Helper()
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	f.Exec(t, fmt.Sprintf(`UPDATE thaw.settings SET account_cap = %d, fleet_cap = %d;
		INSERT INTO thaw.workspaces (key, auto_resume) SELECT 'w' || n, n < 7 FROM generate_series(1, 7) AS n`, accountCap, fleetCap))
	accounts := make(map[int][]int64)
	for n := range 60 {
		w := 1 + min(random.IntN(7), random.IntN(7))
		accounts[w] = append(accounts[w], testdb.Value[int64](t, f.DB, `
			INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, connected_at, hold_until, hold_reason)
			SELECT $1, $2, nullif($3, ''), $4::text::thaw.account_status, thaw.now() - make_interval(mins => $5),
				CASE WHEN $6 THEN thaw.now() + interval '30 days' END, CASE WHEN $6 THEN 'new device' END
			RETURNING id`,
			w, fmt.Sprintf("acc_%d", n), pick("", "", "jane", "john", "mary"), pick("connected", "connected", "connected", "connected", "disconnected", "removed", "error"),
			random.IntN(5), random.IntN(12) == 0))
	}
	type enrollment struct {
		Workspace int    `json:"workspace"`
		Campaign  int64  `json:"campaign"`
		Account   int64  `json:"account"`
		Prospect  string `json:"prospect"`
		Reason    string `json:"reason"`
		Hours     int    `json:"hours"`
	}
	var in []enrollment
	for w, ids := range accounts {
		for c := range 4 {
			campaign := testdb.Value[int64](t, f.DB, `
				INSERT INTO thaw.campaigns (workspace_id, key, status, paused_reason, paused_at)
				SELECT $1, $2, CASE WHEN $3 = '' THEN 'running' ELSE 'paused' END::thaw.campaign_status,
					nullif($3, '')::thaw.pause_reason, CASE WHEN $3 <> '' THEN thaw.now() END
				RETURNING id`,
				w, fmt.Sprintf("c%d", c), pick("", "", "", "", "account_disconnected", "account_issue", "paused_by_user"))
			for p := range prospects {
				in = append(in, enrollment{
					Workspace: w, Campaign: campaign, Account: ids[min(random.IntN(len(ids)), random.IntN(len(ids)))], Prospect: prospectURL(p),
					Reason: pick("", "account_disconnected", "account_disconnected", "account_issue", "paused_by_user"),
					Hours:  random.IntN(10),
				})
			}
		}
	}
	rows, err := json.Marshal(in)
	require.NoError(t, err)
	f.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, paused_reason, paused_at)
		SELECT e.workspace, e.campaign, e.account, e.prospect, CASE WHEN e.reason = '' THEN 'active' ELSE 'paused' END::thaw.enrollment_status,
			nullif(e.reason, '')::thaw.pause_reason, CASE WHEN e.reason <> '' THEN thaw.now() - make_interval(hours => e.hours) END
		FROM jsonb_to_recordset($1) AS e (workspace bigint, campaign bigint, account bigint, prospect text, reason text, hours integer)`, rows)
}

// resumedSince returns the tick in which a sweep resumed each enrollment, for events after the
// given one.
func resumedSince(t *testing.T, f fleet, event int64) map[enrollmentKey]time.Time {
	t.Helper()
	rows, err := f.Pool.Query(t.Context(), `
		SELECT h.workspace, h.campaign, h.prospect_url, h.tick_at FROM thaw.history AS h
		WHERE h.kind = 'resumed' AND h.source = 'sweep' AND h.event_id > $1`, event)
	require.NoError(t, err)
	resumed := make(map[enrollmentKey]time.Time)
	var p enrollmentKey
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&p.Workspace, &p.Campaign, &p.Prospect, &at}, func() error {
		resumed[p] = at.UTC()
		return nil
	})
	require.NoError(t, err)
	return resumed
}

// TestForecastMatchesSweeps reads the expected tick of every prospect of a random fleet, and of the
// last prospect of each account. Then it lets the sweeps drain the fleet tick by tick: each
// enrollment must resume in exactly the expected tick, and no other enrollment may resume.
func TestForecastMatchesSweeps(t *testing.T) {
	t.Parallel()
	// Each case takes the forecast in a different state of the current tick. begin brings the fleet
	// into that state and returns the accounts whose jobs are still to run in the tick. If begin is
	// nil, the tick has no plan yet.
	tests := []struct {
		name  string
		begin func(*testing.T, fleet) (open []int64)
	}{
		{"before the first sweep", nil},
		{"after a finished sweep", func(t *testing.T, f fleet) []int64 {
			t.Helper()
			f.run(t, f.plan(t))
			return nil
		}},
		{"during a sweep", func(t *testing.T, f fleet) []int64 {
			t.Helper()
			accounts := f.plan(t)
			f.run(t, accounts[:len(accounts)/2])
			return accounts[len(accounts)/2:]
		}},
		{"after a few sweeps, during the next one, with some quota of its accounts used by signals",
			func(t *testing.T, f fleet) []int64 {
				t.Helper()
				for range testdb.Size(1, 3) {
					f.run(t, f.plan(t))
					f.nextTick(t)
				}
				// Less than the quota of the third signal.
				f.Exec(t, fmt.Sprint("UPDATE thaw.settings SET signal_cap = ", 2*accountCap+1))
				accounts := f.plan(t)
				for _, account := range accounts[:3] {
					f.signal(t, account)
				}
				return accounts
			}},
	}
	if !testdb.Full() {
		tests = slices.Delete(tests, 1, 3) // the last case has sweeps before it, and one that is not done
	}
	for n, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			random := rand.New(rand.NewPCG(uint64(n), 60))
			fill(t, f, random)

			var open []int64
			if tt.begin != nil {
				open = tt.begin(t, f)
			}
			since := testdb.Value[int64](t, f.DB, "SELECT coalesce(max(id), 0) FROM thaw.enrollment_events")
			expected := make(map[enrollmentKey]time.Time)
			var urls []string
			for p := range prospects {
				urls = append(urls, prospectURL(p))
			}
			together, err := NewExplainer(f.store, Everything()).Explain(t.Context(), urls)
			require.NoError(t, err)
			for p := range prospects {
				explanations, err := Explain(t.Context(), f.store, prospectURL(p))
				require.NoError(t, err)
				require.Equal(t, explanations, together[p].Explanations, "explained alone and with others")
				for _, e := range explanations {
					if e.Code == explain.WaitingForSweep {
						require.NotNil(t, e.ExpectedAt)
						expected[enrollmentKey{e.Workspace, e.Campaign, e.ProspectURL}] = *e.ExpectedAt
					}
				}
			}
			status, err := Status(t.Context(), f.store, 0)
			require.NoError(t, err)
			require.Greater(t, len(expected), testdb.Size(5, 100), "the fleet must have prospects to resume")
			require.EqualValues(t, len(expected), *status.Backlog.Resumable)

			if tt.begin == nil {
				open = f.plan(t)
			}
			random.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
			f.run(t, open)
			for resumed := 1; resumed > 0; {
				f.nextTick(t)
				resumed = f.run(t, f.plan(t))
			}

			require.Equal(t, expected, resumedSince(t, f, since))
			for _, account := range status.Accounts {
				last := testdb.Value[*time.Time](t, f.DB, `
					SELECT max(through.tick_at) FROM thaw.history AS own
					JOIN thaw.history AS through ON through.to_account = own.to_account
					WHERE own.from_account = $1 AND own.kind = 'resumed' AND own.source = 'sweep' AND own.event_id > $2
						AND through.kind = 'resumed' AND through.source = 'sweep'`, account.Account, since)
				require.Equal(t, utc(last), account.ETA, "account %s", account.Account)
			}
		})
	}
}

// TestForecastEndsAtItsHorizon has more prospects waiting on one account than four weeks can
// resume.
func TestForecastEndsAtItsHorizon(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect+`
		UPDATE thaw.settings SET account_cap = 1;
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
		SELECT e.workspace_id, e.campaign_id, e.account_id, 'paused', 'account_issue', e.paused_at + n * interval '1 second', 'p' || n
		FROM thaw.enrollments AS e, generate_series(2, 2689) AS n`)

	last := f.explainOne(t, "p2688")
	require.Equal(t, explain.WaitingForSweep, last.Code)
	require.Equal(t, f.tick(t).Add(4*7*24*time.Hour-15*time.Minute).UTC(), *last.ExpectedAt)

	beyond := f.explainOne(t, "p2689")
	require.Equal(t, explain.WaitingForSweep, beyond.Code)
	require.Contains(t, beyond.Sentence, "number 2,689 in the queue. ")
	require.Contains(t, beyond.Sentence, "It resumes automatically, but not before the sweep at ")
	require.Nil(t, beyond.ExpectedAt)
	require.Equal(t, f.tick(t).Add(4*7*24*time.Hour).UTC(), *beyond.NotBefore, "the account is alone, so the bound is exact")

	status, err := Status(t.Context(), f.store, 0)
	require.NoError(t, err)
	require.Nil(t, status.Accounts[0].ETA)

	forecast, err := Forecast(t.Context(), f.store)
	require.NoError(t, err)
	account := testdb.Value[int64](t, f.DB, "SELECT id FROM thaw.accounts")
	first, ok := forecast.TickOf(account, 1)
	require.True(t, ok)
	require.True(t, first.Equal(f.tick(t)))
}
