package readmodel

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/testdb"
)

// twoTenants has two workspaces: north with five accounts, two of which belong to one person, and
// south with two. The account with ID n has n waiting prospects and one that was paused manually.
const twoTenants = `
INSERT INTO thaw.workspaces (key, name) VALUES ('north', 'North Pole'), ('south', '');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name, member_id, status, connected_at)
	SELECT 1, 'N' || n, 'Nadja ' || n, CASE WHEN n > 3 THEN 'nadja' END, CASE WHEN n = 5 THEN 'removed' ELSE 'connected' END::thaw.account_status,
		thaw.now() - interval '1 day' FROM generate_series(1, 5) AS n;
INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, connected_at)
	SELECT 2, 'S' || n, 'connected', thaw.now() - interval '1 day' FROM generate_series(1, 2) AS n;
INSERT INTO thaw.campaigns (workspace_id, key, name, status)
	SELECT w, 'spring-' || n, 'Spring', 'running' FROM generate_series(1, 2) AS w, generate_series(1, 3) AS n;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
	SELECT a.workspace_id, c.id, a.id, 'paused', CASE WHEN n = 0 THEN 'paused_by_user' ELSE 'account_issue' END::thaw.pause_reason,
		thaw.now() - interval '1 hour' - n % 3 * interval '1 minute', format('https://www.linkedin.com/in/%s-%s', lower(a.provider_account_id), n)
	FROM thaw.accounts AS a, LATERAL generate_series(0, a.id) AS n
	JOIN LATERAL (SELECT c.id FROM thaw.campaigns AS c WHERE c.workspace_id = a.workspace_id ORDER BY c.id OFFSET n % 3 LIMIT 1) AS c ON true;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
	SELECT 1, 1 + n % 3, 1, 'active', format('https://www.linkedin.com/in/active-%s', n) FROM generate_series(1, 7) AS n;
`

// all reads a list to its end, page by page, and returns the names of its items.
func all[T any](t *testing.T, limit int, list func(Paging) (Page[T], error), name func(T) string) []string {
	t.Helper()
	names := []string{}
	for p := (Paging{Limit: limit}); ; {
		page, err := list(p)
		require.NoError(t, err)
		require.NotNil(t, page.Items)
		require.LessOrEqual(t, len(page.Items), p.limit())
		for _, item := range page.Items {
			names = append(names, name(item))
		}
		if page.NextCursor == nil {
			return names
		}
		require.Len(t, page.Items, p.limit(), "only the last page may be short")
		p.Cursor = *page.NextCursor
	}
}

func accountName(a Account) string { return a.Account }

func TestAccountPages(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, twoTenants)
	list := func(s Scope, filter AccountFilter) func(Paging) (Page[Account], error) {
		return func(p Paging) (Page[Account], error) { return Accounts(t.Context(), f.store, s, filter, p) }
	}
	for _, limit := range []int{1, 2, 3, 7, 0} {
		accounts := []string{"N1", "N2", "N3", "N4", "N5", "S1", "S2"}
		require.Equal(t, accounts, all(t, limit, list(Everything(), AccountFilter{}), accountName))
		require.Equal(t, accounts[:5], all(t, limit, list(OfWorkspace(1), AccountFilter{}), accountName))
		require.Equal(t, accounts[5:], all(t, limit, list(OfWorkspace(2), AccountFilter{}), accountName))
		require.Empty(t, all(t, limit, list(Scope{}, AccountFilter{}), accountName), "the zero scope sees nothing")
		require.Equal(t, []string{"N5"}, all(t, limit, list(Everything(), AccountFilter{Status: "removed"}), accountName))
	}
	require.Equal(t, []string{"N2"}, all(t, 0, list(Everything(), AccountFilter{Account: "N2"}), accountName))
	require.Empty(t, all(t, 0, list(Everything(), AccountFilter{Account: "n2"}), accountName), "an account ID is case-sensitive")
	require.Empty(t, all(t, 0, list(OfWorkspace(2), AccountFilter{Account: "N2"}), accountName))
	require.Empty(t, all(t, 0, list(Everything(), AccountFilter{Account: "N2", Status: "removed"}), accountName))

	f.Exec(t, "DELETE FROM thaw.enrollments WHERE account_id <> 2 AND waits_for_account")
	require.Equal(t, []string{"N2"}, all(t, 1, list(Everything(), AccountFilter{HasBacklog: true}), accountName))
}

// A list that changes between two pages returns every row that existed throughout exactly once.
func TestPagesAreStableUnderInserts(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, twoTenants)
	var seen []string
	for p := (Paging{Limit: 2}); ; {
		page, err := Accounts(t.Context(), f.store, Everything(), AccountFilter{}, p)
		require.NoError(t, err)
		for _, a := range page.Items {
			seen = append(seen, a.Account)
		}
		if page.NextCursor == nil {
			break
		}
		p.Cursor = *page.NextCursor
		f.Exec(t, "INSERT INTO thaw.accounts (workspace_id, provider_account_id) SELECT 1, 'new' || count(*) FROM thaw.accounts")
	}
	var old []string
	for _, name := range seen {
		if name[0] != 'n' {
			old = append(old, name)
		}
	}
	require.Equal(t, []string{"N1", "N2", "N3", "N4", "N5", "S1", "S2"}, old)
}

func TestAccountByID(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, twoTenants+"UPDATE thaw.settings SET account_cap = 4;")

	four, err := NewReader(f.store).AccountByID(t.Context(), OfWorkspace(1), 4)
	require.NoError(t, err)
	require.EqualValues(t, 5, four.Paused)
	require.Equal(t, map[string]int64{"paused_by_user": 1, "account_issue": 4}, four.ByReason)
	require.EqualValues(t, 4, four.Resumable)
	require.EqualValues(t, 4, *four.ResumesThrough)
	require.Len(t, four.Siblings, 1)

	five := four.Siblings[0]
	require.Equal(t, "N5", five.Account)
	require.EqualValues(t, 5, five.Resumable)
	require.EqualValues(t, 4, *five.ResumesThrough, "through the connected sibling")

	tick := f.tick(t).UTC()
	require.Equal(t, []ExpectedTick{{tick, 4}, {tick.Add(15 * time.Minute), 4}, {tick.Add(30 * time.Minute), 1}}, four.Expected)
	require.Equal(t, tick.Add(30*time.Minute), *four.DrainedAt)

	f.Exec(t, hold)
	held, err := NewReader(f.store).AccountByID(t.Context(), Everything(), 4)
	require.NoError(t, err)
	require.Equal(t, "account_on_hold", *held.BlockedBy)
	require.Empty(t, held.Expected)
	require.Zero(t, held.Resumable)

	for name, s := range map[string]Scope{"another tenant": OfWorkspace(2), "zero scope": {}} {
		_, err = NewReader(f.store).AccountByID(t.Context(), s, 4)
		require.ErrorIs(t, err, ErrNotFound, name)
	}
	_, err = NewReader(f.store).AccountByID(t.Context(), Everything(), 99)
	require.ErrorIs(t, err, ErrNotFound)
}

// A lock and the products of an account do not change its status.
func TestAccountLockAndProducts(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, oneProspect)
	reader := NewReader(f.store)
	account := func() AccountDetail {
		detail, err := reader.AccountByID(t.Context(), Everything(), 1)
		require.NoError(t, err)
		return detail
	}
	plain := account()
	require.Nil(t, plain.LockedAt)
	require.NotNil(t, plain.Products, "must be an empty array in JSON")
	require.Empty(t, plain.Products)
	got := f.explainOne(t, ada)
	require.Nil(t, got.LockedAt)
	require.Empty(t, got.Products)

	start := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	for i, s := range []struct{ status, raw, product string }{
		{"disconnected", "account.status.disconnected", "sales_navigator"}, {"error", "account.status.errored", "sales_navigator"},
		{"connected", "account.status.running", "classic"},
	} {
		f.Exec(t, "SELECT thaw.receive_signal('linkedin', 'acc_1', $2, $1, $3, NULL, NULL, false, NULL, $4)",
			s.status, s.raw, start.Add(time.Duration(i)*time.Hour), s.product)
	}
	products := []Product{
		{"classic", "connected", "account.status.running", start.Add(2 * time.Hour), nil},
		{"sales_navigator", "error", "account.status.errored", start.Add(time.Hour), &start},
	}
	require.Equal(t, products, account().Products)
	require.Equal(t, "connected", account().Status)
	got = f.explainOne(t, ada)
	require.Equal(t, products, got.Products)
	require.Contains(t, got.Sentence, "sales_navigator (error since 2026-01-31T09:00Z)")
	require.NotContains(t, got.Sentence, "classic", "this product works")

	f.Exec(t, "SELECT thaw.signal('linkedin', 'acc_1', 'locked', $1)", start.Add(3*time.Hour))
	locked := account()
	require.Equal(t, "connected", locked.Status)
	require.Equal(t, start.Add(3*time.Hour), *locked.LockedAt)
	require.Equal(t, "locked", *locked.LockedReason)
	got = f.explainOne(t, ada)
	require.Equal(t, explain.AccountLocked, got.Code)
	require.Equal(t, locked.LockedAt, got.LockedAt)
	require.Equal(t, "locked", got.LockedReason)

	f.Exec(t, disconnect)
	got = f.explainOne(t, ada)
	require.Equal(t, explain.AccountNotConnected, got.Code)
	require.Contains(t, got.Sentence, "also waits for the provider to unlock account acc_1")
	require.Contains(t, got.Obstacles[1].Sentence, "The provider locked account acc_1 at 2026-01-31T12:00Z (locked)")
	require.Contains(t, got.Sentence, "sales_navigator")
}

func TestEnrollmentPages(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, twoTenants)
	list := func(status string, account int64, s Scope) func(Paging) (Page[Enrollment], error) {
		return func(p Paging) (Page[Enrollment], error) {
			return Enrollments(t.Context(), f.store, s, account, status, p)
		}
	}
	name := func(e Enrollment) string {
		return e.Campaign + " " + e.ProspectURL[len("https://www.linkedin.com/in/"):]
	}
	for limit := range 9 {
		require.Equal(t, []string{"spring-1 n5-3", "spring-2 n5-1", "spring-2 n5-4", "spring-3 n5-2", "spring-3 n5-5", "spring-1 n5-0"},
			all(t, limit, list("paused", 5, Everything()), name))
		require.Equal(t, []string{"spring-1 active-3", "spring-1 active-6", "spring-2 active-1", "spring-2 active-4", "spring-2 active-7",
			"spring-3 active-2", "spring-3 active-5"}, all(t, limit, list("active", 1, OfWorkspace(1)), name))
	}
	_, err := list("replied", 1, Everything())(Paging{})
	require.ErrorIs(t, err, ErrStatus)
	_, err = list("paused", 1, OfWorkspace(2))(Paging{})
	require.ErrorIs(t, err, ErrNotFound)
}

// Sweeps and heals are listed newest first, and a workspace sees only its own part.
func TestSweepAndHealPages(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, twoTenants+"UPDATE thaw.settings SET account_cap = 2, fleet_cap = 6;")
	for range 3 {
		f.run(t, f.plan(t))
		f.nextTick(t)
	}
	f.Exec(t, `SELECT thaw.start_heal(1, NULL, NULL, 10, false, 'test'); SELECT thaw.start_heal(NULL, 6, NULL, 10, false, 'test');
		SELECT thaw.start_heal(NULL, NULL, ARRAY[1, 2], 10, false, 'test')`)
	ticks := testdb.Column[time.Time](t, f.DB, "SELECT tick_at FROM thaw.sweeps ORDER BY tick_at DESC")
	sweepName := func(e SweepEntry) string {
		return fmt.Sprintf("%t %d %t", e.TickAt.Equal(ticks[0]), e.Resumed, e.Remaining == nil)
	}
	healName := func(h Heal) string { return fmt.Sprintf("%d %s %s", h.ID, deref(h.Workspace), deref(h.Account)) }
	for limit := range 4 {
		sweeps := func(s Scope) []string {
			return all(t, limit, func(p Paging) (Page[SweepEntry], error) { return Sweeps(t.Context(), f.store, s, p) }, sweepName)
		}
		require.Equal(t, []string{"true 6 false", "false 6 false", "false 6 false"}, sweeps(Everything()))
		north, south := sweeps(OfWorkspace(1)), sweeps(OfWorkspace(2))
		require.Equal(t, []string{"true 3 true", "false 3 true", "false 3 true"}, north)
		require.Equal(t, north, south, "the fleet cap is shared evenly")

		heals := func(s Scope) []string {
			return all(t, limit, func(p Paging) (Page[Heal], error) { return Heals(t.Context(), f.store, s, "", p) }, healName)
		}
		require.Equal(t, []string{"3  ", "2 south S1", "1 north "}, heals(Everything()))
		require.Equal(t, []string{"1 north "}, heals(OfWorkspace(1)))
		require.Equal(t, []string{"2 south S1"}, heals(OfWorkspace(2)))
	}
	_, err := HealByID(t.Context(), f.store, OfWorkspace(1), 2)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = HealByID(t.Context(), f.store, OfWorkspace(2), 3)
	require.ErrorIs(t, err, ErrNotFound, "a heal of listed prospects belongs to no workspace")
	two, err := HealByID(t.Context(), f.store, OfWorkspace(2), 2)
	require.NoError(t, err)
	require.Equal(t, "S1", *two.Account)

	fleet, err := NewReader(f.store).Fleet(t.Context(), Everything())
	require.NoError(t, err)
	require.Equal(t, ticks[0].UTC(), fleet.LastSweep.TickAt)
	require.Equal(t, &Quotas{Sweep: Quota{Cap: 6}, Signal: Quota{Cap: 2000}}, fleet.Quotas)
	var resumable int64
	for workspace := range int64(2) {
		own, err := NewReader(f.store).Fleet(t.Context(), OfWorkspace(workspace+1))
		require.NoError(t, err)
		require.Nil(t, own.Quotas)
		resumable += own.Backlog.Resumable
	}
	require.Equal(t, fleet.Backlog.Resumable, resumable)
	require.EqualValues(t, testdb.Value[int](t, f.DB, "SELECT sum(resumable) FROM thaw.backlog"), resumable)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestSearch(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, twoTenants)
	find := func(s Scope, q string) Found {
		found, err := Search(t.Context(), f.store, s, q, SearchFilter{})
		require.NoError(t, err)
		return found
	}
	require.Len(t, find(Everything(), "linkedin.com/in/N4-2/?x=1").Prospects, 1)
	require.Empty(t, find(OfWorkspace(2), "linkedin.com/in/N4-2/?x=1").Prospects)
	require.Len(t, find(Everything(), "nadja").Accounts, 5)
	require.Len(t, find(Everything(), "NADJA 3").Accounts, 1)
	require.Len(t, find(Everything(), " s1 ").Accounts, 1)
	require.Empty(t, find(OfWorkspace(1), "s1").Accounts)
	require.Len(t, find(Everything(), "spring").Campaigns, 6)
	require.Len(t, find(OfWorkspace(2), "spring-2").Campaigns, 1)
	require.Len(t, find(Everything(), "NORTH").Workspaces, 1)
	require.Empty(t, find(OfWorkspace(2), "north").Workspaces)
	for _, nothing := range []string{"", "  ", "%", "_", "adja", `\`, "'"} {
		found := find(Everything(), nothing)
		require.Empty(t, found.Accounts, nothing)
		require.Empty(t, found.Campaigns, nothing)
		require.Empty(t, found.Workspaces, nothing)
	}
}

func TestInvalidCursorsAreRejected(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.Exec(t, twoTenants)
	page, err := Campaigns(t.Context(), f.store, Everything(), "", Paging{Limit: 1})
	require.NoError(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	for name, cursor := range map[string]string{
		"another list":     *page.NextCursor,
		"not base64":       "%%%",
		"not JSON":         encode([]byte("accounts")),
		"extra field":      encode([]byte(`{"list":"accounts","last":{"workspace":1,"id":1},"more":1}`)),
		"trailing value":   encode([]byte(`{"list":"accounts","last":{"workspace":1,"id":1}}{}`)),
		"wrong type":       encode([]byte(`{"list":"accounts","last":{"workspace":"1"}}`)),
		"trailing bytes":   *page.NextCursor + "AAAA",
		"number too large": encode([]byte(`{"list":"accounts","last":{"workspace":99999999999999999999,"id":1}}`)),
	} {
		_, err := Accounts(t.Context(), f.store, Everything(), AccountFilter{}, Paging{Cursor: cursor})
		require.ErrorIs(t, err, ErrCursor, name)
	}
	// A forged cursor does not extend the scope of the caller.
	forged := encode([]byte(`{"list":"accounts","last":{"workspace":0,"id":0}}`))
	own, err := Accounts(t.Context(), f.store, OfWorkspace(2), AccountFilter{}, Paging{Cursor: forged})
	require.NoError(t, err)
	require.Len(t, own.Items, 2)
}
