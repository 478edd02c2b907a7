package worker_test

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/testdb"
)

// startHeal starts a heal of workspace acme.
func (f *fleet) startHeal(t *testing.T, limit int) (heal int64) {
	t.Helper()
	return testdb.Value[int64](t, f.DB, "SELECT thaw.heal('acme', cap => $1)", limit)
}

// count runs the heal's second batch, which counts what the heal may resume and resumes nothing.
func (f *fleet) count(t *testing.T, heal int64) {
	t.Helper()
	require.Nil(t, testdb.Value[*int](t, f.DB, "SELECT found FROM thaw.heals WHERE id = $1", heal))
	require.Equal(t, dbsqlc.HealBatchRow{Verdict: "more"}, f.healBatch(t, heal, 1))
	require.NotNil(t, testdb.Value[*int](t, f.DB, "SELECT found FROM thaw.heals WHERE id = $1", heal))
}

// small inserts accounts with one prospect in each of several shared campaigns.
func (f *fleet) small(t *testing.T, accounts, campaigns int) (ids []int64) {
	t.Helper()
	shared := make([]int64, campaigns)
	for i := range shared {
		shared[i] = f.campaign(t, campaign{key: fmt.Sprint("shared ", i)})
	}
	for i := range accounts {
		a := f.account(t, account{key: fmt.Sprint("small ", i)})
		ids = append(ids, a)
		for _, c := range shared {
			f.prospects(t, prospects{account: a, campaign: c, n: 1, reason: disconnected})
		}
	}
	return ids
}

// left returns how many prospects a finished heal resumed, how many remain, and how many remain
// because they were locked.
func (f *fleet) left(t *testing.T, heal int64) [3]int {
	t.Helper()
	return [3]int(testdb.Value[[]int](t, f.DB, "SELECT ARRAY[resumed, remaining, skipped] FROM thaw.heals WHERE id = $1 AND status = 'done'", heal))
}

// Batches are full, however few prospects an account has in a campaign.
func TestHealBatchesAreFullAcrossSmallAccounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cap   int
		sizes []int32
	}{
		"cap high enough": {1000, []int32{50, 0, 50, 20}}, // the second batch counts
		// The first batch counts. Two of each account are its share; then one of each until the cap.
		"cap too low": {110, []int32{0, 50, 30, 30}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.small(t, 40, 3)
			heal := f.startHeal(t, c.cap)
			var sizes []int32
			for verdict := "more"; verdict == "more"; {
				batch := f.healBatch(t, heal, 50)
				verdict, sizes = batch.Verdict, append(sizes, batch.Resumed)
			}
			require.Equal(t, c.sizes, sizes)
			want := min(c.cap, 120)
			require.Equal(t, [3]int{want, 120 - want, 0}, f.left(t, heal))
			require.Equal(t, 40, testdb.Value[int](t, f.DB, "SELECT accounts FROM thaw.heals"))
		})
	}
}

// A list is stored in rows of 200 prospects. Batches that end inside, at or beyond the end of a row
// resume every prospect once, whatever the order of the list, and the last full batch ends the
// heal.
func TestHealOfListStoredInSeveralRows(t *testing.T) {
	t.Parallel()
	for _, size := range []int32{150, 200, 450, 1000} {
		t.Run(strconv.Itoa(int(size)), func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			ids := f.waiting(t, f.account(t, account{key: "a1"}), 450)
			heal := testdb.Value[int64](t, f.DB, `
				SELECT thaw.start_heal(NULL, NULL, (SELECT array_agg(id ORDER BY md5(id::text)) FROM unnest($1::bigint[] || $1) AS given (id)),
					1000, false, 'a test')`, ids)
			require.Equal(t, []int{200, 200, 50}, testdb.Column[int](t, f.DB, "SELECT cardinality(enrollment_ids) FROM thaw.heal_enrollments ORDER BY last_id"))
			// A person pauses one after the heal was started.
			f.Exec(t, "UPDATE thaw.enrollments SET paused_reason = 'paused_by_user' WHERE id = $1", ids[300])
			var resumed int32
			for verdict := "more"; verdict == "more"; {
				batch := f.healBatch(t, heal, size)
				verdict, resumed = batch.Verdict, resumed+batch.Resumed
			}
			require.Equal(t, int32(449), resumed)
			require.Equal(t, [3]int{449, 0, 0}, f.left(t, heal))
			require.Equal(t, []int{449, 1, 1}, testdb.Value[[]int](t, f.DB, "SELECT ARRAY[found, accounts, accounts_done] FROM thaw.heals"))
			require.Equal(t, 449, testdb.Value[int](t, f.DB, "SELECT count(DISTINCT enrollment_id) FROM thaw.enrollment_events WHERE kind = 'resumed'"))
			require.Zero(t, testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.heal_order"))
		})
	}
}

// interleaved inserts accounts with prospects whose IDs alternate between the accounts.
func (f *fleet) interleaved(t *testing.T, accounts, each int) (accountIDs, ids []int64) {
	t.Helper()
	c := f.campaign(t, campaign{key: "shared"})
	for i := range accounts {
		accountIDs = append(accountIDs, f.account(t, account{key: fmt.Sprint("small ", i)}))
	}
	for range each {
		for _, a := range accountIDs {
			ids = append(ids, f.prospects(t, prospects{account: a, campaign: c, n: 1, reason: disconnected})...)
		}
	}
	return accountIDs, ids
}

// The first batch does not wait for the count of a long list. Then the list is ordered by account,
// so that a batch touches few accounts.
func TestHealOfLongListIsOrderedByAccount(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, ids := f.interleaved(t, 10, 8)
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.start_heal(NULL, NULL, $1, 1000, false, 'a test')", ids)
	require.Equal(t, dbsqlc.HealBatchRow{Verdict: "more", Resumed: 20}, f.healBatch(t, heal, 20))
	f.count(t, heal)
	require.Equal(t, []int{80, 10}, testdb.Value[[]int](t, f.DB, "SELECT ARRAY[found, accounts] FROM thaw.heals"))
	for verdict := "more"; verdict == "more"; {
		verdict = f.healBatch(t, heal, 20).Verdict
	}
	require.Equal(t, [3]int{80, 0, 0}, f.left(t, heal))
	accounts := testdb.Column[int](t, f.DB, `
		SELECT count(DISTINCT from_account_id) FROM thaw.enrollment_events WHERE kind = 'resumed' GROUP BY xmin::text ORDER BY min(id)`)
	require.Equal(t, 10, accounts[0])
	for _, of := range accounts[1:] {
		require.LessOrEqual(t, of, 4, "a batch of 20 with six or more per account")
	}
}

// Prospects that change after the list was ordered are resumed, or not, by their state at that
// moment.
func TestHealOfListChangedAfterOrdering(t *testing.T) {
	t.Parallel()
	f := setup(t)
	accounts, ids := f.interleaved(t, 5, 8)
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.start_heal(NULL, NULL, $1, 1000, false, 'a test')", ids)
	require.Equal(t, int32(5), f.healBatch(t, heal, 5).Resumed)
	f.healBatch(t, heal, 5)
	// The platform moves prospects of the last account to the first and vice versa; one is
	// completed.
	f.Exec(t, `
		UPDATE thaw.enrollments SET account_id = CASE account_id WHEN $1 THEN $2 ELSE $1 END
		WHERE account_id IN ($1, $2) AND status = 'paused'`, accounts[0], accounts[4])
	f.Exec(t, "UPDATE thaw.enrollments SET paused_reason = 'paused_by_user' WHERE id = $1", ids[39])
	for verdict := "more"; verdict == "more"; {
		verdict = f.healBatch(t, heal, 5).Verdict
	}
	require.Equal(t, [3]int{39, 1, 0}, [3]int(testdb.Value[[]int](t, f.DB, "SELECT ARRAY[resumed, found - resumed, remaining] FROM thaw.heals")))
	require.Equal(t, 39, testdb.Value[int](t, f.DB, "SELECT count(DISTINCT enrollment_id) FROM thaw.enrollment_events WHERE kind = 'resumed'"))
}

// A cap below the length of a list is exact: inside the first batch, at its end, or after it.
func TestHealOfLongListKeepsItsCap(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{7, 10, 33} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			_, ids := f.interleaved(t, 5, 8)
			heal := testdb.Value[int64](t, f.DB, "SELECT thaw.start_heal(NULL, NULL, $1, $2, false, 'a test')", ids, limit)
			for verdict := "more"; verdict == "more"; {
				verdict = f.healBatch(t, heal, 10).Verdict
			}
			require.Equal(t, [3]int{limit, 40 - limit, 0}, f.left(t, heal))
			require.Equal(t, []int{40, 5}, testdb.Value[[]int](t, f.DB, "SELECT ARRAY[found, accounts] FROM thaw.heals"))
		})
	}
}

// The order of a list is rolled back with its transaction. The next attempt orders it again.
func TestHealOrdersAListAgainAfterACrash(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, ids := f.interleaved(t, 5, 8)
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.start_heal(NULL, NULL, $1, 1000, false, 'a test')", ids)
	f.healBatch(t, heal, 10)
	lost := f.begin(t)
	_, err := dbsqlc.New(lost).HealBatch(t.Context(), dbsqlc.HealBatchParams{HealID: heal, Size: 10, JobID: 1})
	require.NoError(t, err)
	require.NoError(t, lost.Rollback(t.Context()))
	for verdict := "more"; verdict == "more"; {
		verdict = f.healBatch(t, heal, 10).Verdict
	}
	require.Equal(t, [3]int{40, 0, 0}, f.left(t, heal))
}

// What remains of a list is counted if some of it could not be resumed.
func TestHealCountsRemainingOfList(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ids := f.waiting(t, f.account(t, account{key: "a1"}), 450)
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.start_heal(NULL, NULL, $1, 310, false, 'a test')", ids)
	for verdict := "more"; verdict == "more"; {
		verdict = f.healBatch(t, heal, 100).Verdict
	}
	require.Equal(t, [3]int{310, 140, 0}, f.left(t, heal))
}

// A batch is rolled back, as when its process or the server dies: the next attempt handles the same
// rows, none twice.
func TestHealRepeatsRolledBackBatch(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.small(t, 20, 2)
	heal := f.startHeal(t, 1000)
	f.healBatch(t, heal, 15)
	f.count(t, heal)

	lost := f.begin(t)
	batch, err := dbsqlc.New(lost).HealBatch(t.Context(), dbsqlc.HealBatchParams{HealID: heal, Size: 15, JobID: 1})
	require.NoError(t, err)
	require.Equal(t, int32(15), batch.Resumed)
	require.NoError(t, lost.Rollback(t.Context()))

	require.Equal(t, int32(15), f.healBatch(t, heal, 15).Resumed)
	require.Equal(t, dbsqlc.HealBatchRow{Verdict: "done", Resumed: 10}, f.healBatch(t, heal, 15))
	require.Equal(t, [3]int{40, 0, 0}, f.left(t, heal))
	require.Equal(t, 3, testdb.Value[int](t, f.DB, "SELECT batch FROM thaw.heals"))
}

// Another transaction locks some of a heal's rows. The heal resumes the others first and retries
// the locked ones.
func TestHealRetriesLockedRows(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]string{
		"a workspace": "SELECT thaw.heal('acme')", "an account": "SELECT thaw.heal('acme', 'a1')",
		"listed": "SELECT thaw.start_heal(NULL, NULL, ARRAY(SELECT id FROM thaw.enrollments), 100, false, 'a test')",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			ids := f.waiting(t, f.account(t, account{key: "a1"}), 10)
			heal := testdb.Value[int64](t, f.DB, start)
			platform := f.begin(t)
			_, err := platform.Exec(t.Context(), "SELECT FROM thaw.enrollments WHERE id = ANY ($1) FOR UPDATE", ids[1:4])
			require.NoError(t, err)
			require.Equal(t, dbsqlc.HealBatchRow{Verdict: "more", Resumed: 1}, f.healBatch(t, heal, 4))
			f.count(t, heal)
			if name == "listed" { // a list reaches the locked rows again in its own order
				require.Equal(t, dbsqlc.HealBatchRow{Verdict: "more"}, f.healBatch(t, heal, 4))
			}
			require.Equal(t, dbsqlc.HealBatchRow{Verdict: "more", Resumed: 4}, f.healBatch(t, heal, 4))
			require.Equal(t, dbsqlc.HealBatchRow{Verdict: "busy", Resumed: 2, RetrySeconds: 1}, f.healBatch(t, heal, 4))
			require.Equal(t, dbsqlc.HealBatchRow{Verdict: "busy", RetrySeconds: 2}, f.healBatch(t, heal, 100))
			require.NoError(t, platform.Rollback(t.Context()))
			require.Equal(t, dbsqlc.HealBatchRow{Verdict: "done", Resumed: 3}, f.healBatch(t, heal, 100))
			require.Equal(t, [3]int{10, 0, 0}, f.left(t, heal))
		})
	}
}

// A heal leaves rows that stay locked longer than it retries, and reports them.
func TestHealReportsRowsLockedToTheEnd(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ids := f.waiting(t, f.account(t, account{key: "a1"}), 10)
	heal := f.startHeal(t, 100)
	platform := f.begin(t)
	_, err := platform.Exec(t.Context(), "SELECT FROM thaw.enrollments WHERE id = ANY ($1) FOR UPDATE", ids[1:4])
	require.NoError(t, err)
	var waits []float64
	for verdict := ""; verdict != "done"; {
		batch := f.healBatch(t, heal, 100)
		verdict = batch.Verdict
		waits = append(waits, batch.RetrySeconds)
	}
	require.Equal(t, []float64{1, 0, 2, 4, 8, 15, 0}, waits, "the second batch counts")
	require.Equal(t, [3]int{7, 3, 3}, f.left(t, heal))
}

// More than a batch of a heal's next rows are locked: it continues with the rows after them.
func TestHealContinuesAfterLockedRows(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ids := f.waiting(t, f.account(t, account{key: "a1"}), 20)
	heal := f.startHeal(t, 100)
	platform := f.begin(t)
	_, err := platform.Exec(t.Context(), "SELECT FROM thaw.enrollments WHERE id = ANY ($1) FOR UPDATE", ids[:12])
	require.NoError(t, err)
	var sizes []int32
	for range 6 {
		sizes = append(sizes, f.healBatch(t, heal, 4).Resumed)
	}
	require.Equal(t, []int32{0, 0, 0, 0, 4, 4}, sizes, "the second batch counts")
	require.NoError(t, platform.Rollback(t.Context()))
}

// A batch of many accounts does not wait for a locked account or campaign while it holds the
// others, because their signals would wait too.
func TestHealBatchWaitsForNoLock(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]string{
		"an account":                  "SELECT FROM thaw.accounts WHERE provider_account_id = 'small 1' FOR UPDATE",
		"a campaign":                  "SELECT FROM thaw.campaigns WHERE key = 'shared 1' FOR NO KEY UPDATE",
		"a paused campaign":           "UPDATE thaw.campaigns SET status = 'paused', paused_reason = 'account_issue', paused_at = thaw.now() WHERE key = 'shared 1'",
		"a prospect of each campaign": "SELECT FROM thaw.enrollments WHERE account_id = (SELECT id FROM thaw.accounts WHERE provider_account_id = 'small 1') FOR UPDATE",
		"a campaign to start":         "SELECT FROM thaw.campaigns WHERE key = 'waits' FOR NO KEY UPDATE",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			accounts := f.small(t, 4, 2)
			f.prospects(t, prospects{account: accounts[3], campaign: f.campaign(t, campaign{key: "waits", reason: disconnected}), n: 1, reason: disconnected})
			heal := f.startHeal(t, 100)
			platform := f.begin(t)
			_, err := platform.Exec(t.Context(), hold)
			require.NoError(t, err)
			first := f.healBatch(t, heal, 100)
			require.Equal(t, "busy", first.Verdict)
			require.Positive(t, first.Resumed)
			require.Less(t, first.Resumed, int32(9))
			require.NoError(t, platform.Commit(t.Context()))
			f.count(t, heal)
			require.Equal(t, dbsqlc.HealBatchRow{Verdict: "done", Resumed: 9 - first.Resumed}, f.healBatch(t, heal, 100))
			require.Equal(t, [3]int{9, 0, 0}, f.left(t, heal))
		})
	}
}

// A running campaign is paused after the heal was counted, or a paused one is started. The heal
// resumes each prospect that may be resumed at its turn, no others, and reports what remains.
func TestHealOfCampaignsChangedAfterCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after string
		want          [3]int
	}{
		"one stops":  {"SELECT", "SELECT thaw.pause_campaign('acme', 'shared 1', 'a test', 'a test')", [3]int{42, 0, 0}},
		"all stop":   {"SELECT", "SELECT thaw.pause_campaign('acme', key, 'a test', 'a test') FROM thaw.campaigns", [3]int{5, 0, 0}},
		"one starts": {"SELECT thaw.pause_campaign('acme', 'shared 1', 'a test', 'a test')", "SELECT thaw.resume_campaign('acme', 'shared 1', 'a test', 'a test')", [3]int{58, 2, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.small(t, 20, 3)
			f.Exec(t, c.before)
			heal := f.startHeal(t, 1000)
			f.healBatch(t, heal, 5)
			f.count(t, heal)
			f.Exec(t, c.after)
			for verdict := ""; verdict != "done"; {
				verdict = f.healBatch(t, heal, 7).Verdict
			}
			require.Equal(t, c.want, f.left(t, heal))
			require.Equal(t, c.want[0], testdb.Value[int](t, f.DB, "SELECT count(*) FROM thaw.enrollments WHERE status = 'active'"))
		})
	}
}

// More prospects are paused than the cap, but fewer may be resumed: the cap needs no sharing. The
// heal decides before the count whether the oldest come first, and keeps that order. No prospect is
// left out.
func TestHealKeepsOrderWhenCountIsBelowCap(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.small(t, 10, 4)
	f.Exec(t, "SELECT thaw.pause_campaign('acme', 'shared 2', 'a test', 'a test')")
	heal := f.startHeal(t, 35)
	f.count(t, heal)
	require.Equal(t, dbsqlc.HealBatchRow{Verdict: "more", Resumed: 8}, f.healBatch(t, heal, 8))
	require.Equal(t, []int{30, 10}, testdb.Value[[]int](t, f.DB, "SELECT ARRAY[found, accounts] FROM thaw.heals WHERE oldest_first"))
	for verdict := "more"; verdict == "more"; {
		verdict = f.healBatch(t, heal, 8).Verdict
	}
	require.Equal(t, [3]int{30, 0, 0}, f.left(t, heal))
}

// A batch looks up the siblings of an account a fixed number of times, however many changes are not
// folded yet.
func TestHealLooksUpSiblingsOncePerBatch(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.waiting(t, f.account(t, account{key: "a1"}), 10)
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.heal('acme', 'a1')")
	f.Exec(t, `
		INSERT INTO thaw.paused_deltas (account_id, campaign_id, reason, waits_for_account, delta)
		SELECT 1000000 + i, 1, 'account_disconnected', true, 1 FROM generate_series(1, 2000) AS i`)
	tx := f.begin(t)
	_, err := tx.Exec(t.Context(), "SET LOCAL track_functions = 'pl'")
	require.NoError(t, err)
	for _, size := range []int32{4, 1, 100} { // the second batch counts
		_, err := dbsqlc.New(tx).HealBatch(t.Context(), dbsqlc.HealBatchParams{HealID: heal, Size: size, JobID: 1})
		require.NoError(t, err)
	}
	var calls int
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'sources_of'").Scan(&calls))
	require.LessOrEqual(t, calls, 9)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, [3]int{10, 0, 0}, f.left(t, heal))
	f.Exec(t, "DELETE FROM thaw.paused_deltas WHERE account_id > 1000000")
}

// An account is blocked between the choice of a batch and its locks.
func TestHealRechecksUnderLock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		want   dbsqlc.HealBatchRow
		after  map[string]int // on account "new"
	}{
		"put on hold": {
			"SELECT thaw.hold('new', thaw.now() + interval '1 day', 'a test', 'a test', 'linkedin')",
			dbsqlc.HealBatchRow{Verdict: "done"}, map[string]int{disconnected: 5},
		},
		"disconnected": {
			"SELECT thaw.signal('linkedin', 'new', 'disconnected')",
			dbsqlc.HealBatchRow{Verdict: "done"}, map[string]int{disconnected: 5},
		},
		"a sibling connected": {
			`SELECT FROM thaw.accounts WHERE provider_account_id = 'new' FOR NO KEY UPDATE;
			UPDATE thaw.accounts SET status = 'connected' WHERE provider_account_id IN ('old')`,
			dbsqlc.HealBatchRow{Verdict: "busy", Resumed: 5, RetrySeconds: 1}, map[string]int{"active": 5},
		},
		"a campaign paused by a person": {
			`SELECT thaw.pause_campaign('acme', 'of account 2', 'a test', 'a test')`,
			dbsqlc.HealBatchRow{Verdict: "done", Resumed: 5}, map[string]int{disconnected: 5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			old := f.account(t, account{key: "old", member: "jane", status: "disconnected"})
			renewed := f.account(t, account{key: "new", member: "jane"})
			f.waiting(t, old, 5)
			f.waiting(t, renewed, 5)
			heal := f.startHeal(t, 100)
			first := f.begin(t)
			_, err := first.Exec(t.Context(), c.change)
			require.NoError(t, err)
			m := meet(t, f, first, func() (dbsqlc.HealBatchRow, error) {
				return dbsqlc.New(f.Pool).HealBatch(t.Context(), dbsqlc.HealBatchParams{HealID: heal, Size: 100, JobID: 1})
			})
			require.NoError(t, m.err)
			require.True(t, m.waited)
			require.Equal(t, c.want, m.value)
			if name == "a campaign paused by a person" { // the sibling's prospects were moved here
				c.after["active"] = 5
			}
			require.Equal(t, c.after, f.states(t, renewed))
			if c.want.Verdict == "busy" {
				f.count(t, heal)
				require.Equal(t, dbsqlc.HealBatchRow{Verdict: "done", Resumed: 5}, f.healBatch(t, heal, 100))
				require.Equal(t, map[string]int{"active": 5}, f.states(t, old))
			}
		})
	}
}

func TestHealOfListWithDuplicates(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ids := f.waiting(t, f.account(t, account{key: "a1"}), 5)
	heal := testdb.Value[int64](t, f.DB, "SELECT thaw.start_heal(NULL, NULL, $1, 100, false, 'a test')", append(ids, ids...))
	for f.healBatch(t, heal, 2).Verdict != "done" {
	}
	require.Equal(t, [3]int{5, 0, 0}, f.left(t, heal))
	require.Equal(t, 5, testdb.Value[int](t, f.DB, "SELECT found FROM thaw.heals"))
}

// Two heals of the same prospects, passes, pauses and the platform's writes run at once: no
// deadlock, and no prospect is resumed twice.
func TestHealsPassesAndPausesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	const accounts, campaigns = 12, 4
	turns := testdb.Size(2, 12)
	f := setup(t)
	f.Exec(t, "UPDATE thaw.settings SET safety_accounts = 1000000, account_cap = 1000000, fleet_cap = 10000000, signal_cap = 10000000")
	for i := range accounts {
		f.account(t, account{key: fmt.Sprint("a", i), member: fmt.Sprint("m", i/2)})
	}
	for i := range campaigns {
		f.campaign(t, campaign{key: fmt.Sprint("c", i)})
	}
	f.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
		SELECT a.workspace_id, c.id, a.id, 'paused', 'account_disconnected', thaw.now() - interval '1 hour', format('%s-%s-%s', a.id, c.id, i)
		FROM thaw.accounts AS a, thaw.campaigns AS c, generate_series(1, 8) AS i`)
	f.launch(t)
	var all errgroup.Group
	var over atomic.Bool
	loop := func(sql string, args func(i int) []any) {
		all.Go(func() error {
			for i := 0; !over.Load(); i++ {
				if _, err := f.Pool.Exec(t.Context(), sql, args(i)...); err != nil {
					return fmt.Errorf("%s: %w", sql, err)
				}
			}
			return nil
		})
	}
	one := func(i int) []any { return []any{fmt.Sprint("a", i%accounts)} }
	loop("SELECT thaw.signal('linkedin', $1, 'disconnected')", one)
	loop("SELECT thaw.signal('linkedin', $1, 'connected')", func(i int) []any { return one(i * 5) })
	loop("UPDATE thaw.campaigns SET name = name || 'x' WHERE key = $1", func(i int) []any { return []any{fmt.Sprint("c", i%campaigns)} })
	loop("UPDATE thaw.enrollments SET step = step + 1 WHERE account_id = (SELECT id FROM thaw.accounts WHERE provider_account_id = $1) AND status = 'active'", one)
	for range turns {
		var heals []int64
		for _, start := range []string{
			"SELECT thaw.heal('acme')",
			"SELECT thaw.start_heal(NULL, NULL, ARRAY(SELECT id FROM thaw.enrollments ORDER BY id DESC), 1000, false, 'a test')",
		} {
			heals = append(heals, testdb.Value[int64](t, f.DB, start))
		}
		// The worker runs its job too; this speeds it up.
		for _, heal := range heals {
			deadline := time.Now().Add(30 * time.Second)
			for f.healBatch(t, heal, 40).Verdict != "done" {
				require.True(t, time.Now().Before(deadline), "a heal does not end")
			}
		}
	}
	over.Store(true)
	require.NoError(t, all.Wait())
	for i := range accounts {
		f.signal(t, fmt.Sprint("a", i), "connected")
	}
	f.settle(t)
	f.noDeadlock(t)
	f.verify(t)
}
