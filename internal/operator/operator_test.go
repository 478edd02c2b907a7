package operator_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// fleet has two workspaces. Two providers use the account ID "same".
const fleet = `
INSERT INTO thaw.workspaces (key) VALUES ('acme'), ('umbrella');
INSERT INTO thaw.campaigns (workspace_id, key, status) SELECT id, 'spring', 'running' FROM thaw.workspaces;
INSERT INTO thaw.accounts (workspace_id, provider, provider_account_id, status)
SELECT w.id, a.provider, a.id, 'connected'
FROM (VALUES ('acme', 'linkedin', 'jane'), ('acme', 'linkedin', 'same'), ('acme', 'mock', 'same'), ('umbrella', 'linkedin', 'zoe')) AS a (workspace, provider, id)
JOIN thaw.workspaces AS w ON w.key = a.workspace;
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, paused_reason, paused_at, prospect_url)
SELECT a.workspace_id, c.id, a.id, 'paused', 'account_disconnected', thaw.now(), format('https://www.linkedin.com/in/%s-%s-%s', a.provider_account_id, a.provider, n)
FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id, generate_series(1, 3) AS n;`

func setup(t *testing.T) (*testdb.DB, *operator.Operator) {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, fleet)
	return db, operator.New(store.New(db.Pool), readmodel.Everything(), "a test")
}

// problem requires that an action is refused, and returns the problem.
func problem(t *testing.T, err error) operator.Problem {
	t.Helper()
	found := operator.AsProblem(err)
	require.NotNil(t, found, "%v", err)
	return operator.Problem{Kind: found.Kind, Message: found.Message, Fix: found.Fix}
}

// Every action refuses an account that is not unique and names the providers.
func TestAmbiguousAccount(t *testing.T) {
	t.Parallel()
	db, o := setup(t)
	ctx, tomorrow := t.Context(), time.Now().Add(24*time.Hour)
	want := operator.Problem{Kind: operator.Invalid, Message: `2 providers have an account "same": linkedin, mock`, Fix: "Name the provider too."}
	for name, act := range map[string]func(operator.Account) error{
		"heal": func(a operator.Account) error {
			heal := operator.Heal{Account: a.ID, Provider: a.Provider, Workspace: a.Workspace}
			if _, err := o.PreviewHeal(ctx, heal); err != nil {
				return err
			}
			_, err := o.StartHeal(ctx, heal)
			return err
		},
		"pause":   func(a operator.Account) error { _, err := o.PauseAccount(ctx, a, "x", nil); return err },
		"release": func(a operator.Account) error { _, err := o.ReleaseAccount(ctx, a, "x", true, nil); return err },
		"hold":    func(a operator.Account) error { _, err := o.Hold(ctx, a, tomorrow, "x"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, want, problem(t, act(operator.Account{ID: "same"})))
			require.Equal(t, want, problem(t, act(operator.Account{ID: "same", Workspace: "acme"})))
			require.Equal(t, operator.NotFound, problem(t, act(operator.Account{ID: "unknown"})).Kind)
			require.Equal(t, `account "zoe" is in workspace "umbrella", not in "acme"`, problem(t, act(operator.Account{ID: "zoe", Workspace: "acme"})).Message)
			require.Equal(t, `account "zoe" is an account of linkedin, not of mock`, problem(t, act(operator.Account{ID: "zoe", Provider: "mock"})).Message)
			require.NoError(t, act(operator.Account{ID: "same", Provider: "mock"}))
		})
	}
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.manual_actions WHERE account_id NOT IN (SELECT id FROM thaw.accounts WHERE provider = 'mock')"))
}

// A tenant sees only its workspace, and takes no action but heals.
func TestTenant(t *testing.T) {
	t.Parallel()
	db, _ := setup(t)
	o := operator.New(store.New(db.Pool), readmodel.OfWorkspace(1), "token:1")
	ctx := t.Context()
	_, err := o.StartHeal(ctx, operator.Heal{Account: "zoe"})
	require.Equal(t, operator.Problem{Kind: operator.NotFound, Message: `there is no account "zoe"`, Fix: "Use its provider account ID or the platform's own ID."}, problem(t, err))
	_, err = o.StartHeal(ctx, operator.Heal{Workspace: "umbrella"})
	require.Equal(t, operator.NotFound, problem(t, err).Kind)
	_, err = o.StartHeal(ctx, operator.Heal{Workspace: "acme", EvenIfOff: true})
	require.Equal(t, operator.Forbidden, problem(t, err).Kind)
	_, err = o.PauseAccount(ctx, operator.Account{ID: "jane"}, "x", nil)
	require.Equal(t, operator.Forbidden, problem(t, err).Kind)
	_, err = o.EnterSafety(ctx, "x", false)
	require.Equal(t, operator.Forbidden, problem(t, err).Kind)
	_, err = o.StartHeal(ctx, operator.Heal{Account: "jane"})
	require.NoError(t, err)
}

// A heal finds listed prospects under any spelling, and nothing is healed if one is unknown.
func TestHealOfSpelledProspects(t *testing.T) {
	t.Parallel()
	db, o := setup(t)
	preview, err := o.PreviewHeal(t.Context(), operator.Heal{Prospects: []string{"linkedin.com/in/jane-linkedin-1", "https://www.linkedin.com/in/zoe-linkedin-2"}})
	require.NoError(t, err)
	require.Equal(t, []int64{2, 2}, []int64{preview.Resumable, preview.WouldResume})
	_, err = o.StartHeal(t.Context(), operator.Heal{Prospects: []string{"linkedin.com/in/jane-linkedin-1", "linkedin.com/in/unknown"}})
	require.Equal(t, "1 of 2 prospects not found, for example linkedin.com/in/unknown", problem(t, err).Message)
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.heals"))
}

// An error of the database is a problem for people only if a function of the schema raised it.
func TestAsProblem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want operator.Kind
	}{
		{&pgconn.PgError{Code: "22023"}, operator.Invalid},
		{&pgconn.PgError{Code: "22021"}, operator.Invalid},
		{&pgconn.PgError{Code: "P0002"}, operator.NotFound},
		{&pgconn.PgError{Code: "55000"}, operator.Conflict},
		{&pgconn.PgError{Code: "23505"}, operator.Conflict},
		{&pgconn.PgError{Code: "23505", ConstraintName: "accounts_pkey"}, 0},
		{&pgconn.PgError{Code: "23514", Hint: "Set a later end."}, operator.Conflict},
		{&pgconn.PgError{Code: "23514", ConstraintName: "accounts_times_are_in_range"}, 0},
		{&pgconn.PgError{Code: "TH003"}, operator.Forbidden},
		{&pgconn.PgError{Code: "57014"}, operator.Unavailable},
		{&pgconn.PgError{Code: "42P01"}, 0},
		{&pgconn.ConnectError{}, operator.Unavailable},
		{context.DeadlineExceeded, operator.Unavailable},
		{errors.New("secret"), 0},
	} {
		found := operator.AsProblem(fmt.Errorf("acting: %w", c.err))
		if c.want == 0 {
			require.Nil(t, found, "%+v", c.err)
			continue
		}
		require.NotNil(t, found, "%+v", c.err)
		require.Equal(t, c.want, found.Kind, "%+v", c.err)
	}
	require.Equal(t, "No reason was given. Give a reason.", (&operator.Problem{Message: "no reason was given", Fix: "Give a reason."}).Sentences())
	require.Equal(t, `if_refused is "x".`, (&operator.Problem{Message: `if_refused is "x"`}).Sentences(), "the name of a parameter")
}

// The preview says what the cap leaves to the sweeps, what cannot resume, and how long a rate
// takes.
func TestHealPreview(t *testing.T) {
	t.Parallel()
	db, o := setup(t)
	db.Exec(t, `UPDATE thaw.settings SET account_cap = 1;
		SELECT thaw.hold('zoe', thaw.now() + interval '1 day', 'new device');`)
	limit, rate := int32(4), int32(2)
	preview, err := o.PreviewHeal(t.Context(), operator.Heal{Fleet: true, Cap: &limit, Rate: &rate})
	require.NoError(t, err)
	require.Equal(t, operator.HealPreview{
		Cap: 4, Rate: 2, Resumable: 9, WouldResume: 4, Accounts: 3, Remaining: 5, Ticks: 2, Tick: 15 * time.Minute, Blocked: 3,
	}, preview)
	require.Equal(t, 2*time.Minute, preview.Lasts())

	all, err := o.PreviewHeal(t.Context(), operator.Heal{Fleet: true, Rate: &rate})
	require.NoError(t, err)
	require.Equal(t, []int64{12, 9, 0}, []int64{int64(all.Cap), all.WouldResume, all.Ticks}, "as many as wait")
	workspace, err := o.PreviewHeal(t.Context(), operator.Heal{Workspace: "acme"})
	require.NoError(t, err)
	require.Equal(t, int32(operator.DefaultHealCap), workspace.Cap, "the default of Go is that of SQL")
	_, err = o.PreviewHeal(t.Context(), operator.Heal{Fleet: true, Workspace: "acme", Rate: &rate})
	require.Equal(t, operator.Invalid, problem(t, err).Kind)
	_, err = o.PreviewHeal(t.Context(), operator.Heal{Fleet: true})
	require.Equal(t, "a heal of the whole fleet has no rate", problem(t, err).Message)
}

// An undo in batches restores everything, and says how many.
func TestUndo(t *testing.T) {
	t.Parallel()
	db, o := setup(t)
	db.Exec(t, `
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url)
		SELECT a.workspace_id, c.id, a.id, 'active', 'active-' || n
		FROM thaw.accounts AS a JOIN thaw.campaigns AS c ON c.workspace_id = a.workspace_id, generate_series(1, 2100) AS n
		WHERE a.provider_account_id = 'jane'`)
	done, err := o.PauseAccount(t.Context(), operator.Account{ID: "jane"}, "the wrong one", nil)
	require.NoError(t, err)
	require.Equal(t, int64(2103), done.Changed)
	preview, err := o.PreviewUndo(t.Context(), done.ID)
	require.NoError(t, err)
	require.Equal(t, operator.UndoPreview{Prospects: 2103}, preview)
	undone, err := o.Undo(t.Context(), done.ID, "a mistake", nil)
	require.NoError(t, err)
	require.Equal(t, int64(2103), undone.Changed)
	require.Equal(t, 2103, testdb.Value[int](t, db, "SELECT enrollments FROM thaw.manual_actions WHERE id = $1", undone.ID))
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments WHERE paused_reason = 'paused_by_user'"))
	_, err = o.Undo(t.Context(), done.ID, "again", nil)
	require.Equal(t, operator.Conflict, problem(t, err).Kind)
}
