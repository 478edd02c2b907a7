package notifier_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/notifier"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
)

// fetcher returns a notifier and a function that fetches from the queue "resume".
func fetcher(t *testing.T, db *testdb.DB) (*notifier.Notifier, func(size int) []*rivertype.JobRow) {
	t.Helper()
	n := notifier.New(notifier.Config{
		Pool: db.Pool, RiverSchema: schema.Name, ClientID: "a", Queues: []string{"resume"}, Logger: testdb.Logger(t),
	})
	exec := n.Driver().GetExecutor()
	return n, func(size int) []*rivertype.JobRow {
		result, err := exec.JobGetAvailable(t.Context(), fetchOf(size))
		require.NoError(t, err)
		require.Empty(t, result.DecodeErrors)
		return result.Jobs
	}
}

func fetchOf(size int) *riverdriver.JobGetAvailableParams {
	// The parameters of River's producer, with the kinds that its process knows.
	return &riverdriver.JobGetAvailableParams{
		ClientID: "a", Kind: []string{"other", "test"}, MaxAttemptedBy: 3, MaxToLock: size, Queue: "resume", Schema: schema.Name,
	}
}

const job = `
	INSERT INTO thaw.river_job (args, kind, queue, max_attempts, priority, scheduled_at, state, attempt, attempted_by, errors, tags, metadata)
	SELECT jsonb_build_object('n', n), 'test', 'resume', 25, 1 + n % 4, now() - n % 5 * interval '1 second', 'available', n % 3,
		CASE WHEN n % 3 > 0 THEN array_fill('b'::text, ARRAY[n]) END,
		CASE WHEN n % 3 > 0 THEN ARRAY['{"at": "2026-01-02T03:04:05Z", "attempt": 1, "error": "no", "trace": ""}'::jsonb] END,
		ARRAY['one', 'two'], '{"a": 1}'
	FROM generate_series(1, 20) AS n`

// A fetch returns the same jobs as River's, in the same state, by priority and time.
func TestFetchMatchesRiver(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	n, fetch := fetcher(t, db)
	require.Empty(t, fetch(5))
	require.NoError(t, n.LookBackOnce(t.Context()))
	db.Exec(t, job)
	db.Exec(t, "INSERT INTO thaw.river_job (args, kind, queue, max_attempts) VALUES ('{}', 'unknown', 'resume', 25)")
	db.Exec(t, "INSERT INTO thaw.river_job (args, kind, queue, max_attempts, scheduled_at) SELECT '{}', 'test', 'resume', 25, now() + interval '1 hour'")

	for _, size := range []int{7, 20} {
		var want *riverdriver.JobGetAvailableResult
		undone := errors.New("undone")
		err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) (err error) {
			want, err = riverpgxv5.New(nil).UnwrapExecutor(tx).JobGetAvailable(t.Context(), fetchOf(size))
			return errors.Join(err, undone)
		})
		require.ErrorIs(t, err, undone)
		require.NotEmpty(t, want.Jobs)
		got := fetch(size)
		for _, jobs := range [][]*rivertype.JobRow{want.Jobs, got} {
			for _, j := range jobs {
				require.NotNil(t, j.AttemptedAt)
				j.AttemptedAt = nil
			}
		}
		require.ElementsMatch(t, want.Jobs, got)
	}
	require.Empty(t, fetch(20))
}

// A look back finds a job that became due long before it became visible.
func TestFetchReachesJobsFoundByLookBack(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	n, fetch := fetcher(t, db)
	require.NoError(t, n.LookBackOnce(t.Context()))
	require.Empty(t, fetch(5))
	old := func() {
		db.Exec(t, "INSERT INTO thaw.river_job (args, kind, queue, max_attempts, scheduled_at) VALUES ('{}', 'test', 'resume', 25, now() - interval '1 hour')")
	}
	old()
	require.Empty(t, fetch(5), "the job is before the front")
	require.NoError(t, n.LookBackOnce(t.Context()))
	require.Len(t, fetch(5), 1)
	// A fetch that may leave jobs behind does not move the front.
	for range 3 {
		old()
	}
	require.NoError(t, n.LookBackOnce(t.Context()))
	require.Len(t, fetch(2), 2)
	require.Len(t, fetch(2), 1)
	old()
	require.Empty(t, fetch(5))

	// Without a successful look back, a process fetches as River does.
	_, unsure := fetcher(t, db)
	require.Empty(t, fetch(5))
	require.Len(t, unsure(5), 1)
}

// A running process looks back regularly and notifies its workers of the jobs that it finds.
func TestLookBackNotifiesOfOldJobs(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	p := start(t, db, "a", true)
	result, err := p.Driver().GetExecutor().JobGetAvailable(t.Context(), fetchOf(5))
	require.NoError(t, err)
	require.Empty(t, result.Jobs)
	// Too old for the check for new jobs.
	db.Exec(t, "INSERT INTO thaw.river_job (args, kind, queue, max_attempts, scheduled_at) VALUES ('{}', 'test', 'resume', 25, now() - interval '1 hour')")
	p.hears(t, "river_insert", inserted)
	result, err = p.Driver().GetExecutor().JobGetAvailable(t.Context(), fetchOf(5))
	require.NoError(t, err)
	require.Len(t, result.Jobs, 1)
}

// A fetch that began before a look back found an old job does not move the front past that job.
func TestFrontStaysBeforeJobFoundByLookBack(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := notifier.NewFronts(map[string]time.Time{"resume": now})
	from, known := f.From("resume")
	require.True(t, known)
	require.Equal(t, []string{"resume"}, f.LookedBack(now, "resume", time.Hour))
	f.Emptied("resume", now.Add(time.Second), from)
	from, _ = f.From("resume")
	require.Equal(t, now.Add(-time.Hour), from)
	f.Emptied("resume", now.Add(2*time.Second), from)
	from, _ = f.From("resume")
	require.Equal(t, now.Add(2*time.Second), from)

	_, known = f.From("another")
	require.False(t, known)
}

// With an old snapshot open, a fetch reads no more pages than without, however many jobs were
// completed meanwhile.
func TestFetchSkipsCompletedJobs(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	snapshot, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	t.Cleanup(func() { _ = snapshot.Rollback(context.WithoutCancel(t.Context())) })
	_, err = snapshot.Exec(t.Context(), "SELECT 1 FROM thaw.settings")
	require.NoError(t, err)

	db.Exec(t, `INSERT INTO thaw.river_job (args, kind, queue, max_attempts, scheduled_at)
		SELECT '{}', 'test', 'resume', 25, now() - (1 + random()) * interval '1 minute' FROM generate_series(1, 1000)`)
	for _, state := range []string{"running", "completed"} {
		db.Exec(t, "UPDATE thaw.river_job SET state = $1, finalized_at = CASE WHEN $1 = 'completed'::thaw.river_job_state THEN now() END", state)
	}
	db.Exec(t, "ANALYZE thaw.river_job")
	const fetch = "SELECT * FROM thaw.fetch_jobs('resume', '{test}', 'a', 8, 100, $1::interval)"
	require.Greater(t, buffers(t, db, fetch, "1 hour"), 500, "the snapshot keeps their index entries")
	require.Less(t, buffers(t, db, fetch, "5 seconds"), 100)

	// The same holds for the check for new jobs, with one waiting job and none running.
	db.Exec(t, "INSERT INTO thaw.river_job (args, kind, queue, max_attempts) VALUES ('{}', 'test', 'resume', 25)")
	require.Less(t, buffers(t, db, "SELECT * FROM thaw.waiting_queues($1::text[])", []string{"resume"}), 100)
}

// buffers returns how many pages a statement reads once its plans are cached.
func buffers(t *testing.T, db *testdb.DB, statement string, args ...any) int {
	t.Helper()
	conn, err := db.Pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	for range 2 {
		var plan []byte
		require.NoError(t, conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+statement, args...).Scan(&plan))
		require.NoError(t, json.Unmarshal(plan, &plans))
	}
	return plans[0].Plan.Hit + plans[0].Plan.Read
}
