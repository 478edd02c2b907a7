package jobstest

import (
	"context"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/jobs"
)

// committed runs do in a transaction of its own.
func committed[T any](t *testing.T, db *testdb.DB, do func(ctx context.Context, tx pgx.Tx) (T, error)) (T, error) {
	t.Helper()
	var result T
	err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) (err error) {
		result, err = do(t.Context(), tx)
		return err
	})
	return result, err
}

// withSender has an account in Berlin with two active prospects, on a Tuesday at ten
// in the morning.
func withSender(t *testing.T) *testdb.DB {
	t.Helper()
	db := testdb.New(t)
	db.Advance(t, testdb.Value[time.Duration](t, db, "SELECT '2026-03-03 09:00:00+00'::timestamptz - thaw.now()"))
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key, external_id) VALUES ('acme', 'w-1');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, status, timezone, tier) VALUES (1, 'ann', 'connected', 'Europe/Berlin', 'premium');
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind, delay) VALUES (1, 0, 'invite', '0'), (1, 1, 'message', '1 day');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url, external_id)
		SELECT 1, 1, 1, 'active', thaw.now() - interval '1 hour', 'https://www.linkedin.com/in/p' || n, 'lead-' || n FROM generate_series(1, 2) AS n;`)
	return db
}

func TestSenderInGo(t *testing.T) {
	t.Parallel()
	db := withSender(t)
	reserve := func(id int64, o jobs.ReserveOptions) (jobs.Reservation, error) {
		return committed(t, db, func(ctx context.Context, tx pgx.Tx) (jobs.Reservation, error) { return jobs.Reserve(ctx, tx, id, o) })
	}
	start := func(id int64) (jobs.Reservation, error) {
		return committed(t, db, func(ctx context.Context, tx pgx.Tx) (jobs.Reservation, error) { return jobs.Start(ctx, tx, id) })
	}
	settle := func(id int64, s jobs.Settlement) (jobs.ActionState, error) {
		return committed(t, db, func(ctx context.Context, tx pgx.Tx) (jobs.ActionState, error) { return jobs.Settle(ctx, tx, id, s) })
	}

	now := db.Now(t)
	reserved, err := reserve(1, jobs.ReserveOptions{Lease: time.Minute, Actor: "sender-1"})
	require.NoError(t, err)
	require.Equal(t, time.Minute, testdb.Value[time.Duration](t, db, "SELECT $1 - reserved_at FROM thaw.actions", *reserved.LeaseUntil))
	require.Equal(t, jobs.Reservation{ID: 1, Kind: "invite", LeaseUntil: reserved.LeaseUntil}, reserved)
	refused, err := reserve(2, jobs.ReserveOptions{})
	require.NoError(t, err)
	require.Equal(t, jobs.CodeCooldown, refused.Code)
	require.Zero(t, refused.ID)
	require.True(t, refused.OpensAt.After(now))
	refused, err = reserve(2, jobs.ReserveOptions{Kind: "message"})
	require.NoError(t, err)
	require.Equal(t, jobs.CodeNoSuchStep, refused.Code)

	started, err := start(1)
	require.NoError(t, err)
	require.Equal(t, int64(1), started.ID)
	require.Empty(t, started.Code)
	twice, err := start(1)
	require.NoError(t, err)
	require.Equal(t, jobs.Reservation{Code: jobs.CodeAlreadyStarted, Kind: "invite"}, twice)
	for range 2 { // a repeated settlement is harmless
		state, err := settle(1, jobs.Settlement{Outcome: jobs.OutcomeSent, ProviderRef: "inv_1"})
		require.NoError(t, err)
		require.Equal(t, jobs.ActionSent, state)
	}
	_, err = settle(1, jobs.Settlement{Outcome: jobs.OutcomeUnknown})
	require.ErrorIs(t, err, jobs.ErrConflict)
	var raised *pgconn.PgError
	require.ErrorAs(t, err, &raised)
	require.NotEmpty(t, raised.Hint)
	_, err = settle(1, jobs.Settlement{Outcome: "done"})
	require.ErrorIs(t, err, jobs.ErrInvalid)
	_, err = settle(9, jobs.Settlement{Outcome: jobs.OutcomeSent})
	require.ErrorIs(t, err, jobs.ErrNotFound)
	_, err = reserve(99, jobs.ReserveOptions{})
	require.ErrorIs(t, err, jobs.ErrNotFound)
	_, err = reserve(2, jobs.ReserveOptions{Lease: time.Second})
	require.ErrorIs(t, err, jobs.ErrInvalid)
	_, err = start(99)
	require.ErrorIs(t, err, jobs.ErrNotFound)

	for _, isChanged := range []bool{true, false} {
		changed, err := committed(t, db, func(ctx context.Context, tx pgx.Tx) (bool, error) {
			return jobs.CloseInvite(ctx, tx, 1, jobs.InviteAccepted)
		})
		require.NoError(t, err)
		require.Equal(t, isChanged, changed)
	}
	require.Equal(t, "sender-1", testdb.Value[string](t, db, "SELECT actor FROM thaw.actions"))
}

// The times of a settlement reach the database.
func TestTimesOfASettlementInGo(t *testing.T) {
	t.Parallel()
	db := withSender(t)
	settle := func(enrollmentID int64, s jobs.Settlement) {
		t.Helper()
		_, err := committed(t, db, func(ctx context.Context, tx pgx.Tx) (jobs.ActionState, error) {
			reserved, err := jobs.Reserve(ctx, tx, enrollmentID, jobs.ReserveOptions{})
			require.NoError(t, err)
			require.Empty(t, reserved.Code)
			_, err = jobs.Start(ctx, tx, reserved.ID)
			require.NoError(t, err)
			return jobs.Settle(ctx, tx, reserved.ID, s)
		})
		require.NoError(t, err)
	}
	next := db.Now(t).Add(72 * time.Hour)
	settle(1, jobs.Settlement{Outcome: jobs.OutcomeRefused, IfRefused: jobs.KeepIfRefused, NextAt: next})
	require.WithinDuration(t, next, testdb.Value[time.Time](t, db, "SELECT next_action_at FROM thaw.enrollments WHERE id = 1"), 0)
	db.Advance(t, time.Hour)
	until := db.Now(t).Add(48 * time.Hour)
	settle(2, jobs.Settlement{Outcome: jobs.OutcomeLimited, Until: until})
	require.WithinDuration(t, until, testdb.Value[time.Time](t, db, "SELECT until FROM thaw.action_holds"), 0)
}

func TestClaimInGo(t *testing.T) {
	t.Parallel()
	db := withSender(t)
	db.Exec(t, "SELECT thaw.take_nudges()")
	claim := func(o jobs.ClaimOptions) ([]jobs.Claimed, error) {
		return committed(t, db, func(ctx context.Context, tx pgx.Tx) ([]jobs.Claimed, error) { return jobs.Claim(ctx, tx, o) })
	}
	_, err := claim(jobs.ClaimOptions{Limit: 1001})
	require.ErrorIs(t, err, jobs.ErrInvalid)
	_, err = claim(jobs.ClaimOptions{Workspace: "globex"})
	require.ErrorIs(t, err, jobs.ErrNotFound)
	due, err := claim(jobs.ClaimOptions{Workspace: "w-1", Actor: "sender-1"})
	require.NoError(t, err)
	require.Len(t, due, 1)
	require.Equal(t, jobs.Claimed{
		ID: 1, LeaseUntil: due[0].LeaseUntil, Kind: "invite", Workspace: "acme", WorkspaceExternalID: "w-1", Provider: "linkedin", Account: "ann",
		Campaign: "spring", EnrollmentID: 1, EnrollmentExternalID: "lead-1", ProspectURL: "https://www.linkedin.com/in/p1",
	}, due[0])
	due, err = claim(jobs.ClaimOptions{})
	require.NoError(t, err)
	require.Empty(t, due, "the account is at its cooldown")
}

// A program that reads the provider's own list settles what is unknown. Senders cannot.
func TestVerifyInGo(t *testing.T) {
	t.Parallel()
	db := withSender(t)
	db.Exec(t, "DELETE FROM thaw.campaign_steps; UPDATE thaw.enrollments SET next_kind = 'invite'; SELECT thaw.reserve(1); SELECT thaw.start(1); SELECT thaw.settle(1, 'unknown')")
	verify := func(v jobs.Verification) (jobs.ActionState, error) {
		return committed(t, db, func(ctx context.Context, tx pgx.Tx) (jobs.ActionState, error) { return jobs.Verify(ctx, tx, 1, v) })
	}
	_, err := committed(t, db, func(ctx context.Context, tx pgx.Tx) (jobs.ActionState, error) {
		return jobs.Settle(ctx, tx, 1, jobs.Settlement{Outcome: jobs.OutcomeVerifiedAbsent})
	})
	require.ErrorIs(t, err, jobs.ErrInvalid)
	_, err = verify(jobs.Verification{Outcome: jobs.OutcomeVerifiedSent})
	require.ErrorIs(t, err, jobs.ErrInvalid, "without a reason")
	next := db.Now(t).Add(48 * time.Hour)
	state, err := verify(jobs.Verification{
		Outcome: jobs.OutcomeVerifiedSent, Reason: "in the list", ProviderRef: "inv_1", Actor: "list reader", NextKind: "message", NextAt: next,
	})
	require.NoError(t, err)
	require.Equal(t, jobs.ActionSent, state)
	require.Equal(t, "list reader: in the list", testdb.Value[string](t, db, "SELECT concat_ws(': ', actor, reason) FROM thaw.manual_actions"))
	require.Equal(t, "inv_1 message", testdb.Value[string](t, db, "SELECT concat_ws(' ', a.provider_ref, e.next_kind) FROM thaw.actions AS a JOIN thaw.enrollments AS e ON e.id = a.enrollment_id"))
	require.WithinDuration(t, next, testdb.Value[time.Time](t, db, "SELECT next_action_at FROM thaw.enrollments WHERE id = 1"), time.Millisecond)
	_, err = verify(jobs.Verification{Outcome: jobs.OutcomeVerifiedAbsent, Reason: "not in the list"})
	require.ErrorIs(t, err, jobs.ErrConflict)
}

// The constants of the package are all words of the database.
func TestWordsOfSending(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	require.ElementsMatch(t, testdb.Column[string](t, db, "SELECT unnest(enum_range(NULL::thaw.action_outcome))::text"), []string{
		string(jobs.OutcomeSent), string(jobs.OutcomeAlready), string(jobs.OutcomeRefused), string(jobs.OutcomeLimited), string(jobs.OutcomeThrottled),
		string(jobs.OutcomeAccountLost), string(jobs.OutcomeRestricted), string(jobs.OutcomeUnknown), string(jobs.OutcomeReleased),
		string(jobs.OutcomeVerifiedSent), string(jobs.OutcomeVerifiedAbsent),
	})
	require.ElementsMatch(t, testdb.Column[string](t, db, "SELECT unnest(enum_range(NULL::thaw.action_state))::text"), []string{
		string(jobs.ActionReserved), string(jobs.ActionStarted), string(jobs.ActionSent), string(jobs.ActionAlready), string(jobs.ActionRefused),
		string(jobs.ActionReleased), string(jobs.ActionExpired), string(jobs.ActionUnknown),
	})
}

// The codes of the package are the gates that are explained, but for that of what Thaw itself gives
// out, and what Start adds to them.
func TestCodesAreThoseOfTheGates(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../jobs/send.go")
	require.NoError(t, err)
	var codes []string
	for _, found := range regexp.MustCompile(`(?m)^\tCode\w+ +Code = "(\w+)"`).FindAllSubmatch(source, -1) {
		codes = append(codes, string(found[1]))
	}
	gates := slices.DeleteFunc(enum.Names(explain.GateCodes), func(code string) bool { return code == string(explain.GateShadowMode) })
	require.Equal(t, append(gates, "lease_expired", "released"), codes)
}
