package adopt

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// texts are the messages of problems.
func texts(problems []SchemaProblem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Message)
	}
	return all
}

// fits compares the schema with what a mapping needs.
func fits(t *testing.T, db *testdb.DB, p *Prepared) []SchemaProblem {
	t.Helper()
	problems, _, err := p.Mapping.SchemaProblems(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	return problems
}

// Which accounts are held depends on whose rows may be wrong. Those that are parked because of
// their own row stay parked.
func TestOnlyAffectedAccountsAreHeld(t *testing.T) {
	t.Parallel()
	db, p := adopted(t)
	db.Exec(t, `
		UPDATE app.campaign_leads SET state = 'answered' WHERE sender_account_id IN ('acc_eve', 'acc_bob');
		INSERT INTO app.linkedin_accounts VALUES ('acc_ann_2', 'ws_acme', 'up_ann_2', 'urn:li:ann', 'Ann Lee')`)
	parked := func() []string {
		return testdb.Column[string](t, db, "SELECT a.external_id FROM thaw.accounts AS a WHERE a.parked_reason IS NOT NULL ORDER BY 1")
	}
	for _, c := range []struct {
		name, change, undo string
		held               []string
	}{
		{"new rows only", "DROP TRIGGER thaw_enrollments_insert ON app.campaign_leads", "", []string{}},
		{"names of workspaces", "DROP TRIGGER thaw_workspaces_update ON app.workspaces", "", []string{}},
		{"prospects", "DROP TRIGGER thaw_enrollments_update ON app.campaign_leads", "", []string{"acc_ann", "acc_ann_2"}},
		{"the URL of prospects", "DROP TRIGGER thaw_enrollments_prospect_url_update ON app.leads", "", []string{"acc_ann", "acc_ann_2"}},
		{"campaigns", "ALTER TABLE app.campaigns DISABLE TRIGGER thaw_campaigns_update", "", []string{"acc_ann", "acc_ann_2"}},
		{"accounts", "ALTER TABLE app.linkedin_accounts RENAME tz TO zone", "ALTER TABLE app.linkedin_accounts RENAME zone TO tz", []string{"acc_ann", "acc_ann_2", "acc_bob", "acc_eve"}},
	} {
		db.Exec(t, c.change)
		problems := fits(t, db, p)
		require.Len(t, problems, 1, c.name)
		look, err := Note(t.Context(), db.Pool, problems, true)
		require.NoError(t, err)
		require.True(t, look.IsNew)
		require.EqualValues(t, len(c.held), look.Held, c.name)
		require.Equal(t, c.held, parked(), c.name)
		look, err = Note(t.Context(), db.Pool, problems, false)
		require.NoError(t, err)
		require.False(t, look.IsNew)

		if c.undo != "" {
			db.Exec(t, c.undo)
		}
		again, err := p.Mapping.Prepare(t.Context(), db.Pool, "thaw")
		require.NoError(t, err)
		require.NoError(t, again.Install(t.Context(), db.Pool))
		require.Empty(t, fits(t, db, p))
		look, err = Note(t.Context(), db.Pool, nil, false)
		require.NoError(t, err)
		require.EqualValues(t, len(c.held), look.Held, "a check has to find no difference")
		_, err = Note(t.Context(), db.Pool, nil, true)
		require.NoError(t, err)
		require.Equal(t, []string{}, parked(), c.name)
	}

	db.Exec(t, "UPDATE app.linkedin_accounts SET state = 'ok', unipile_account_id = E'a\\u200bb' WHERE id = 'acc_eve'")
	require.Equal(t, []string{"acc_eve"}, parked())
	_, err := Note(t.Context(), db.Pool, nil, true)
	require.NoError(t, err)
	require.Equal(t, []string{"acc_eve"}, parked())
	state, err := ReadState(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Zero(t, state.HeldAccounts)
	require.Nil(t, state.CheckDueAt)
}

// A changed length of a type changes no value.
func TestChangedTypes(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	db.Exec(t, "ALTER TABLE app.campaigns ALTER halt_cause TYPE varchar(20)")
	p := adoptedWith(t, db, mapping)
	db.Exec(t, "ALTER TABLE app.campaigns ALTER halt_cause TYPE varchar(40)")
	require.Empty(t, fits(t, db, p))
	db.Exec(t, "DROP VIEW app.running_leads; ALTER TABLE app.leads ALTER linkedin_url TYPE varchar; ALTER TABLE app.linkedin_accounts ALTER tz TYPE varchar")
	require.Equal(t, []string{
		"tz of app.linkedin_accounts is character varying, and was text when the mapping was applied",
		"linkedin_url of app.leads is character varying, and was text when the mapping was applied",
	}, texts(fits(t, db, p)))
	again, err := p.Mapping.Prepare(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	require.NoError(t, again.Install(t.Context(), db.Pool))
	require.Empty(t, fits(t, db, p), "the types are accepted")
}

// The last error of a consumer is kept, with its end.
func TestConsumerErrorsAreNoted(t *testing.T) {
	t.Parallel()
	db, p := adopted(t)
	consumer := quiet(p)
	noted := func() ConsumerError {
		state, err := ReadState(t.Context(), db.Pool)
		require.NoError(t, err)
		return state.Consumer
	}
	write(t, db, consumer)
	require.Equal(t, ConsumerError{}, noted())
	db.Exec(t, "ALTER FUNCTION thaw.take_changes RENAME TO taken_away")
	_, err := consumer.Batch(t.Context(), db.Pool)
	require.Error(t, err)
	found := noted()
	require.Equal(t, "test", *found.Name)
	require.Contains(t, *found.Error, "function thaw.take_changes(")
	require.NotNil(t, found.At)
	require.Nil(t, found.EndedAt)

	db.Exec(t, "ALTER FUNCTION thaw.taken_away RENAME TO take_changes")
	write(t, db, quiet(p)) // another process
	require.NotNil(t, noted().EndedAt)
	require.Equal(t, found.Error, noted().Error)

	consumer.note(t.Context(), db.Pool, errors.New("two\nlines"))
	require.Equal(t, "two lines", *noted().Error)
	require.Nil(t, noted().EndedAt)
}

// Parked rows are listed by cause, each with what to do.
func TestParkedRows(t *testing.T) {
	t.Parallel()
	db, _ := adopted(t)
	db.Exec(t, "UPDATE app.campaign_leads SET sender_account_id = NULL, state = 'on_vacation' WHERE id = 'cl_5'")
	db.Exec(t, "UPDATE app.leads SET linkedin_url = E'https://www.linkedin.com/in/a\\u200bb' WHERE id = 'lead_1'")
	parked, err := ParkedRows(t.Context(), db.Pool)
	require.NoError(t, err)
	var all []string
	for _, p := range parked {
		all = append(all, p.String())
	}
	require.Equal(t, []string{
		`2 enrollments are not copied, for example cl_5: the mapping has no status for "on_vacation". Add the word to the mapping, then run "thaw adopt apply".`,
		`1 enrollment is not copied, for example cl_1: new row for relation "enrollments" violates check constraint "enrollments_prospect_url_is_visible". Correct the value in the platform's table, then run "thaw adopt check --fix".`,
	}, all)
}
