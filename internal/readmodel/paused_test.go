package readmodel_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// severalLines has paused prospects of all reasons on three accounts in two workspaces, with equal
// pause times in different lines.
const severalLines = `
INSERT INTO thaw.workspaces (key) VALUES ('one'), ('two');
INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT w.id, 'c' || n, 'running' FROM thaw.workspaces AS w, generate_series(1, 2) AS n;
INSERT INTO thaw.accounts (workspace_id, provider_account_id, status)
SELECT w.id, w.key || '-' || n, 'connected' FROM thaw.workspaces AS w, generate_series(1, 2) AS n WHERE w.key = 'one' OR n = 1;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
SELECT a.workspace_id, c.id, a.id, 'paused', (ARRAY['account_disconnected', 'account_issue', 'account_restricted', 'paused_by_user'])[1 + n % 4]::thaw.pause_reason,
	thaw.now() - (n % 5) * interval '1 hour', format('https://example.com/in/%s-%s-%s', a.provider_account_id, c.key, n)
FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id CROSS JOIN generate_series(1, 11) AS n;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
SELECT a.workspace_id, c.id, a.id, 'active', format('https://example.com/in/%s-%s-active', a.provider_account_id, c.key)
FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id`

// Every filter in every order returns exactly the prospects that match, page by page, and counts
// them.
// Each case reads the list page by page.
var _ = testdb.RandomCases(25)

func TestPausedProspectsByFilter(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, severalLines)
	accounts := testdb.Column[int64](t, db, "SELECT id FROM thaw.accounts ORDER BY id")
	campaign := testdb.Value[int64](t, db, "SELECT min(id) FROM thaw.campaigns")
	workspaces := testdb.Column[int64](t, db, "SELECT id FROM thaw.workspaces ORDER BY id")
	rapid.Check(t, func(r *rapid.T) {
		f := readmodel.PausedFilter{
			Reason:       rapid.SampledFrom([]string{"", "account_issue", "paused_by_user", "subscription_inactive"}).Draw(r, "reason"),
			LongestFirst: rapid.Bool().Draw(r, "longest first"),
			OlderThan:    rapid.SampledFrom([]time.Duration{0, 90 * time.Minute, 30 * time.Hour}).Draw(r, "age"),
		}
		if rapid.Bool().Draw(r, "of accounts") {
			f.AccountIDs = accounts[:2]
		}
		if rapid.Bool().Draw(r, "of a campaign") {
			f.CampaignID = &campaign
		}
		scope, workspace := readmodel.Everything(), int64(0)
		if rapid.Bool().Draw(r, "of a workspace") {
			workspace = workspaces[1]
			scope = readmodel.OfWorkspace(workspace)
		}
		if f.OlderThan > 0 && f.AccountIDs == nil && workspace == 0 {
			_, err := readmodel.PausedProspects(t.Context(), store.New(db.Pool), scope, f, readmodel.Paging{})
			if _, counting := readmodel.CountPaused(t.Context(), store.New(db.Pool), scope, f); !errors.Is(err, readmodel.ErrWholeFleet) || !errors.Is(counting, readmodel.ErrWholeFleet) {
				r.Fatalf("a list of the whole fleet by age: %v, %v", err, counting)
			}
			return
		}
		order := "e.account_id, e.campaign_id, e.paused_reason, e.paused_at, e.id"
		if f.LongestFirst {
			order = "e.paused_at, e.id"
		}
		want := testdb.Column[int64](t, db, `
			SELECT e.id FROM thaw.enrollments AS e
			WHERE e.status = 'paused' AND ($1 = '' OR e.paused_reason::text = $1) AND ($2 = 0 OR e.workspace_id = $2)
				AND ($3::bigint[] IS NULL OR e.account_id = ANY ($3)) AND ($4::bigint IS NULL OR e.campaign_id = $4)
				AND e.paused_at <= thaw.now() - $5::interval
			ORDER BY `+order, f.Reason, workspace, f.AccountIDs, f.CampaignID, f.OlderThan)

		size := rapid.IntRange(1, 60).Draw(r, "size")
		var got []int64
		for p := (readmodel.Paging{Limit: size}); ; {
			page, err := readmodel.PausedProspects(t.Context(), store.New(db.Pool), scope, f, p)
			if err != nil {
				r.Fatal(err)
			}
			for _, item := range page.Items {
				got = append(got, item.EnrollmentID)
			}
			if page.NextCursor == nil {
				break
			}
			p.Cursor = *page.NextCursor
		}
		if !slices.Equal(want, got) {
			r.Fatalf("want %v, got %v", want, got)
		}
		counts, err := readmodel.CountPaused(t.Context(), store.New(db.Pool), scope, f)
		if err != nil {
			r.Fatal(err)
		}
		if counts.Matching != int64(len(want)) || counts.IsMore {
			r.Fatalf("counted %d of %d", counts.Matching, len(want))
		}
	})
}

// The timeline has every part once, newest first, in pages of any size.
func TestTimeline(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, severalLines)
	account := testdb.Value[int64](t, db, "SELECT min(id) FROM thaw.accounts")
	for range 3 {
		db.Exec(t, "SELECT thaw.signal('linkedin', 'one-1', 'disconnected')")
		db.Advance(t, time.Minute)
		db.Exec(t, "SELECT thaw.signal('linkedin', 'one-1', 'connected')")
		db.Advance(t, time.Minute)
		db.Exec(t, "SELECT thaw.hold('one-1', thaw.now() + interval '1 hour', 'a new device', 'ann')")
		db.Exec(t, "SELECT thaw.correct_hold('one-1', NULL, 'it works', 'ann')")
	}
	db.Exec(t, `
		INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, planned, resumed, accounts_planned, accounts_processed, finished_at)
		SELECT thaw.tick() - n * interval '15 minutes', 200, 2000, 10, 5, 1, 1, thaw.now() FROM generate_series(1, 3) AS n;
		INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned, resumed, verdict, finished_at)
		SELECT s.tick_at, a.id, a.workspace_id, 10, 5, 'resumed', thaw.now() FROM thaw.sweeps AS s, thaw.accounts AS a WHERE a.provider_account_id = 'one-1';
		INSERT INTO thaw.heals (workspace_id, account_id, target, cap, actor, status, finished_at, remaining)
		SELECT NULL::bigint, a.id, 'a', 10, 'ann', 'done'::thaw.heal_status, thaw.now(), 0 FROM thaw.accounts AS a WHERE a.provider_account_id = 'one-1'
		UNION ALL SELECT w.id, NULL, 'w', 10, 'ann', 'done', thaw.now(), 0 FROM thaw.workspaces AS w`)
	// Times that are not in the order of the IDs lose no entry.
	db.Exec(t, "UPDATE thaw.account_events SET at = at + interval '5 minutes' WHERE id % 2 = 0")

	all, err := readmodel.Timeline(t.Context(), store.New(db.Pool), readmodel.Everything(), account, nil, readmodel.Paging{Limit: readmodel.MaxLimit})
	require.NoError(t, err)
	count := map[string]int{}
	for _, entry := range all.Items {
		count[entry.Part]++
	}
	require.Equal(t, map[string]int{"status": 6, "signal": 6, "action": 6, "sweep": 3, "heal": 2}, count)
	for _, size := range []int{1, 2, 7} {
		var got []readmodel.TimelineEntry
		for p := (readmodel.Paging{Limit: size}); ; {
			page, err := readmodel.Timeline(t.Context(), store.New(db.Pool), readmodel.Everything(), account, nil, p)
			require.NoError(t, err)
			got = append(got, page.Items...)
			if page.NextCursor == nil {
				break
			}
			p.Cursor = *page.NextCursor
		}
		require.Equal(t, all.Items, got)
	}
	only, err := readmodel.Timeline(t.Context(), store.New(db.Pool), readmodel.Everything(), account, []string{"action"}, readmodel.Paging{})
	require.NoError(t, err)
	require.Len(t, only.Items, 6)
	_, err = readmodel.Timeline(t.Context(), store.New(db.Pool), readmodel.OfWorkspace(2), account, nil, readmodel.Paging{})
	require.ErrorIs(t, err, readmodel.ErrNotFound)
}
