package adopt

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

func ignore(Kind, int64) {}

// adopted returns a database with the fixture, its triggers and a complete copy. All workspaces are
// in shadow mode.
func adopted(t *testing.T) (*testdb.DB, *Prepared) {
	t.Helper()
	db := withFixture(t, "outreach")
	return db, adoptedWith(t, db, mapping)
}

// adoptedWith applies a mapping, as thaw adopt apply does.
func adoptedWith(t *testing.T, db *testdb.DB, source string) *Prepared {
	t.Helper()
	m, err := Parse(source)
	require.NoError(t, err)
	p, err := m.Prepare(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	require.NoError(t, m.Start(t.Context(), db.Pool))
	require.NoError(t, p.Install(t.Context(), db.Pool))
	_, err = p.Backfill(t.Context(), db.Pool, ignore)
	require.NoError(t, err)
	require.NoError(t, Running(t.Context(), db.Pool))
	return p
}

func compared(t *testing.T, db *testdb.DB, p *Prepared, fix bool) Comparison {
	t.Helper()
	c, err := p.Compare(t.Context(), db.Pool, fix, ignore)
	require.NoError(t, err)
	return c
}

func copies(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	return testdb.Column[string](t, db, `
		SELECT concat_ws(' ', e.external_id, e.status, e.paused_reason, e.own_reason, e.step, coalesce(a.external_id, '-'))
		FROM thaw.enrollments AS e LEFT JOIN thaw.accounts AS a ON a.id = e.account_id ORDER BY e.external_id`)
}

func TestBackfillCopiesRows(t *testing.T) {
	t.Parallel()
	db, p := adopted(t)
	require.Equal(t, []string{
		"cl_1 active 2 acc_ann", "cl_2 pending 0 acc_ann", "cl_3 paused account_disconnected 1 acc_bob",
		"cl_4 paused paused_by_user holiday 3 acc_bob", "cl_5 pending 0 -", "cl_6 replied 2 acc_ann", "cl_7 active 1 acc_eve",
	}, copies(t, db), "the row with an unknown word is kept back")
	require.Equal(t, []string{"acc_ann connected", "acc_bob disconnected", "acc_eve connected"}, testdb.Column[string](t, db,
		"SELECT a.external_id || ' ' || a.status FROM thaw.accounts AS a ORDER BY a.external_id"))
	require.Equal(t, []string{"unknown_word"}, testdb.Column[string](t, db, "SELECT x.code FROM thaw.adopt_errors AS x"))

	c := compared(t, db, p, false)
	require.Equal(t, Comparison{Rows: 16, Waiting: 1, Examples: []Difference{}}, c)
	require.Empty(t, fits(t, db, p))

	state, err := ReadState(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Equal(t, "running", state.Phase)
	m, err := Applied(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Equal(t, mapping, m.Source)
}

// A backfill that was interrupted continues, and does not overwrite what the triggers have copied.
func TestBackfillContinues(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	m, err := Parse(mapping)
	require.NoError(t, err)
	p, err := m.Prepare(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	require.NoError(t, m.Start(t.Context(), db.Pool))
	require.NoError(t, p.Plan.Install(t.Context(), db.Pool))
	db.Exec(t, "SELECT thaw.set_adopt_phase('backfilling', $1)", `{"workspaces": {"rows": 1, "after": "ws_acme"}}`)
	db.Exec(t, "UPDATE app.campaign_leads SET state = 'paused', pause_cause = 'travel' WHERE id = 'cl_1'")
	copied, err := p.Backfill(t.Context(), db.Pool, ignore)
	require.NoError(t, err)
	require.Equal(t, Backfilled{Rows: 2, After: "ws_globex", Done: true}, copied[Workspaces])
	require.Equal(t, []string{"ws_globex"}, testdb.Column[string](t, db, "SELECT w.external_id FROM thaw.workspaces AS w"))

	// From the start, everything is there.
	db.Exec(t, "SELECT thaw.set_adopt_phase('installing', '{}')")
	_, err = p.Backfill(t.Context(), db.Pool, ignore)
	require.NoError(t, err)
	require.NoError(t, Running(t.Context(), db.Pool))
	db.Exec(t, "SELECT thaw.retry_adoption(1000, true)")
	require.Contains(t, copies(t, db), "cl_1 paused paused_by_user travel 2 acc_ann")
	require.Zero(t, compared(t, db, p, false).Drift)
}

// A page without rows, at the end or of an empty table, is no failure.
func TestBackfillOfNoRows(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	db.Exec(t, "TRUNCATE app.campaign_leads, app.campaigns")
	m, err := Parse(mapping)
	require.NoError(t, err)
	p, err := m.Prepare(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	require.NoError(t, m.Start(t.Context(), db.Pool))
	require.NoError(t, p.Install(t.Context(), db.Pool))
	copied, err := p.Backfill(t.Context(), db.Pool, ignore)
	require.NoError(t, err)
	require.Equal(t, Backfilled{Done: true}, copied[Enrollments])
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.adopt_errors"))
}

// A mapping that is applied again may give a word another meaning. Rows that have the word get it,
// unless Thaw has a newer status from the provider; and rows that were parked for a word that is in
// the map now are copied.
func TestChangedMeaningsAreApplied(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	db.Exec(t, "UPDATE app.linkedin_accounts SET state = 'stopped' WHERE id IN ('acc_ann', 'acc_eve')")
	p := adoptedWith(t, db, mapping)
	db.Exec(t, "SELECT thaw.signal('linkedin', 'up_eve', 'connected')")
	accounts := func() []string {
		return testdb.Column[string](t, db, "SELECT a.external_id || ' ' || a.status FROM thaw.accounts AS a ORDER BY a.external_id")
	}
	require.Equal(t, []string{"acc_ann error", "acc_bob disconnected", "acc_eve connected"}, accounts())
	require.EqualValues(t, 1, compared(t, db, p, false).Waiting)

	changed := strings.NewReplacer("stopped: error", "stopped: restricted", "queued: pending", "queued: pending, on_vacation: pending").Replace(mapping)
	m, err := Parse(changed)
	require.NoError(t, err)
	// Interrupted after the new mapping was recorded.
	require.NoError(t, m.Start(t.Context(), db.Pool))
	adoptedWith(t, db, changed)
	require.Equal(t, []string{"acc_ann restricted", "acc_bob disconnected", "acc_eve connected"}, accounts())
	require.Contains(t, copies(t, db), "cl_8 pending 1 acc_ann")
	require.Empty(t, testdb.Column[string](t, db, "SELECT x.problem FROM thaw.adopt_errors AS x"))
	progress := testdb.Value[string](t, db, "SELECT s.progress::text FROM thaw.adopt_state AS s")
	require.NotContains(t, progress, "was")
}

func TestCompareFindsAndFixesDrift(t *testing.T) {
	t.Parallel()
	db, p := adopted(t)
	db.Exec(t, `
		SET session_replication_role = replica;
		UPDATE app.campaign_leads SET state = 'answered' WHERE id = 'cl_1';
		UPDATE app.campaign_leads SET current_step = 9, next_run_at = '2026-03-01 00:00Z' WHERE id = 'cl_3';
		UPDATE app.campaign_leads SET current_step = 9 WHERE id = 'cl_7';
		UPDATE app.campaign_leads SET pause_cause = 'travel' WHERE id = 'cl_4';
		DELETE FROM app.campaign_leads WHERE id = 'cl_2';
		INSERT INTO app.campaign_leads (id, campaign_id, lead_id, sender_account_id) VALUES ('cl_new', 'cmp_spring', 'lead_1', 'acc_bob');
		UPDATE app.leads SET linkedin_url = 'https://www.linkedin.com/in/other' WHERE id = 'lead_5';
		UPDATE app.linkedin_accounts SET full_name = 'Robert Ray', urn = 'urn:li:bob' WHERE id = 'acc_bob';
		UPDATE app.campaigns SET state = 'done' WHERE id = 'cmp_fall';
		UPDATE app.workspaces SET title = 'ACME' WHERE id = 'ws_acme';
		SET session_replication_role = DEFAULT`)
	c := compared(t, db, p, false)
	var found []string
	for _, d := range c.Examples {
		found = append(found, d.String())
	}
	require.Equal(t, []string{
		"workspace ws_acme: name is ACME on the platform and Acme in Thaw",
		"account acc_bob: member_id is urn:li:bob on the platform and null in Thaw",
		"account acc_bob: name is Robert Ray on the platform and Bob Ray in Thaw",
		"campaign cmp_fall: status is completed on the platform and running in Thaw",
		"enrollment cl_1: status is replied on the platform and active in Thaw",
		"enrollment cl_3: step is 9 on the platform and 1 in Thaw",
		"enrollment cl_3: next_action_at is 2026-03-01T00:00:00+00:00 on the platform and 2026-01-30T10:00:00+00:00 in Thaw",
		"enrollment cl_4: own_reason is travel on the platform and holiday in Thaw",
		"enrollment cl_5: prospect_url is https://www.linkedin.com/in/other on the platform and https://www.linkedin.com/in/lead-5 in Thaw",
		"enrollment cl_new: the platform has a row, Thaw has none",
		"enrollment cl_2: the platform has no row, Thaw has pending",
	}, found)
	require.EqualValues(t, 9, c.Drift)

	fixed := compared(t, db, p, true)
	require.EqualValues(t, 9, fixed.Fixed)
	require.Zero(t, fixed.Failed)
	require.Equal(t, Comparison{Rows: 16, Waiting: 1, Examples: []Difference{}}, compared(t, db, p, false))
}

func TestDifferencesOfTriggers(t *testing.T) {
	t.Parallel()
	db, p := adopted(t)
	db.Exec(t, `
		DROP TRIGGER thaw_enrollments_update ON app.campaign_leads_2026_01;
		ALTER TABLE app.linkedin_accounts DISABLE TRIGGER thaw_accounts_update;
		CREATE TABLE app.campaign_leads_2026_03 PARTITION OF app.campaign_leads FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
		CREATE TRIGGER thaw_extra AFTER INSERT ON app.leads REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION thaw_adopt.enrollments_insert()`)
	again, err := p.Mapping.Prepare(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	require.Equal(t, []string{
		"the trigger thaw_accounts_update on app.linkedin_accounts is disabled",
		"the trigger thaw_enrollments_update on app.campaign_leads_2026_01 is missing",
		"the trigger thaw_enrollments_insert on app.campaign_leads_2026_03 is missing",
		"the trigger thaw_enrollments_update on app.campaign_leads_2026_03 is missing",
		"the trigger thaw_enrollments_delete on app.campaign_leads_2026_03 is missing",
		"the trigger thaw_enrollments_truncate on app.campaign_leads_2026_03 is missing",
		"the trigger thaw_extra on app.leads is not in the mapping",
	}, texts(fits(t, db, p)))
	require.NoError(t, again.Plan.Install(t.Context(), db.Pool))
	require.Empty(t, fits(t, db, p))

	db.Exec(t, "ALTER TABLE app.campaign_leads RENAME current_step TO step_number")
	_, err = p.Mapping.Prepare(t.Context(), db.Pool, "thaw")
	require.ErrorContains(t, err, `enrollments.step: app.campaign_leads has no column "current_step"`)
}

func TestUninstallLeavesNothing(t *testing.T) {
	t.Parallel()
	db, _ := adopted(t)
	require.NoError(t, Uninstall(t.Context(), db.Pool))
	require.Empty(t, testdb.Column[string](t, db, `
		SELECT t.tgname::text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
		WHERE c.relnamespace = 'app'::regnamespace AND NOT t.tgisinternal`))
	require.Nil(t, testdb.Value[*string](t, db, "SELECT to_regnamespace('thaw_adopt')::text"))
	require.NoError(t, Uninstall(t.Context(), db.Pool))
}

// quiet is a consumer without logs.
func quiet(p *Prepared) *Consumer {
	return p.NewConsumer("test", slog.New(slog.DiscardHandler))
}

// write writes all changes that wait.
func write(t *testing.T, db *testdb.DB, c *Consumer) Written {
	t.Helper()
	var total Written
	for {
		done, err := c.Batch(t.Context(), db.Pool)
		require.NoError(t, err)
		if done.Taken == 0 {
			return total
		}
		total.Taken, total.Written, total.Refused = total.Taken+done.Taken, total.Written+done.Written, total.Refused+done.Refused
	}
}

func leads(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	return testdb.Column[string](t, db, `
		SELECT concat_ws(' ', l.id, l.state, l.pause_cause, l.current_step, coalesce(l.sender_account_id, '-'))
		FROM app.campaign_leads AS l WHERE l.id IN ('cl_1', 'cl_2', 'cl_3', 'cl_4') ORDER BY l.id`)
}

func TestConsumerWritesWhatThawChanged(t *testing.T) {
	t.Parallel()
	db, p := adopted(t)
	_, err := SetShadow(t.Context(), db.Pool, "", false, "test", "test")
	require.NoError(t, err)
	consumer := quiet(p)
	write(t, db, consumer)
	require.Zero(t, compared(t, db, p, false).Drift)

	// The sender moves on; Thaw does not copy the step.
	db.Exec(t, "UPDATE app.campaign_leads SET current_step = 5, next_run_at = '2030-01-01 00:00Z' WHERE id = 'cl_1'")
	// Thaw learns of a disconnect and pauses.
	require.Equal(t, "applied", testdb.Value[string](t, db, "SELECT thaw.signal('linkedin', 'up_ann', 'disconnected')"))
	db.Exec(t, "SELECT thaw.pause_batch((SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = 'acc_ann'), 100, 1, NULL, 1)")
	require.Equal(t, Written{Taken: 3, Written: 3}, write(t, db, consumer))
	require.Equal(t, "halted account_lost", testdb.Value[string](t, db, "SELECT c.state || ' ' || c.halt_cause FROM app.campaigns AS c WHERE c.id = 'cmp_spring'"))
	require.Equal(t, []string{
		"cl_1 paused account_lost 5 acc_ann", "cl_2 queued 0 acc_ann", "cl_3 paused account_lost 1 acc_bob", "cl_4 paused holiday 3 acc_bob",
	}, leads(t, db))
	require.Equal(t, "credentials", testdb.Value[string](t, db, "SELECT a.state::text FROM app.linkedin_accounts AS a WHERE a.id = 'acc_ann'"))
	require.Contains(t, copies(t, db), "cl_1 paused account_disconnected 5 acc_ann", "the pause took the step along")
	require.Zero(t, compared(t, db, p, false).Drift)
	require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.adopt_errors AS x WHERE x.code <> 'unknown_word'"))

	// A resume keeps a due time that is later, and the step.
	db.Exec(t, `UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL, next_action_at = '2026-01-31 10:00Z' WHERE external_id = 'cl_1'`)
	db.Exec(t, "SELECT thaw.queue_changes('enrollment', ARRAY(SELECT e.id FROM thaw.enrollments AS e WHERE e.external_id = 'cl_1'), 'paused', 'sweep')")
	write(t, db, consumer)
	require.Equal(t, "running 5 2030-01-01", testdb.Value[string](t, db,
		"SELECT concat_ws(' ', l.state, l.pause_cause, l.current_step, (l.next_run_at AT TIME ZONE 'UTC')::date) FROM app.campaign_leads AS l WHERE l.id = 'cl_1'"))
}

// A mapped time of a pause is set with the pause and cleared with the resume. That of a person's
// pause stays as it is.
func TestConsumerWritesTheTimeOfAPause(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	db.Exec(t, `
		ALTER TABLE app.campaign_leads ADD COLUMN held_at timestamp;
		UPDATE app.campaign_leads SET held_at = '2026-01-01' WHERE state = 'paused';
		ALTER TABLE app.campaign_leads ADD CONSTRAINT held_has_time CHECK ((state = 'paused') = (held_at IS NOT NULL))`)
	p := adoptedWith(t, db, mapping+"  paused_at: held_at\n")
	_, err := SetShadow(t.Context(), db.Pool, "", false, "test", "test")
	require.NoError(t, err)
	consumer := quiet(p)
	db.Exec(t, "SELECT thaw.signal('linkedin', 'up_ann', 'disconnected')")
	db.Exec(t, "SELECT thaw.pause_batch((SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = 'acc_ann'), 100, 1, NULL, 1)")
	require.Zero(t, write(t, db, consumer).Refused)
	require.True(t, testdb.Value[bool](t, db, `
		SELECT l.state = 'paused' AND l.held_at = e.paused_at AT TIME ZONE 'UTC'
		FROM app.campaign_leads AS l JOIN thaw.enrollments AS e ON e.external_id = l.id WHERE l.id = 'cl_1'`))
	require.Zero(t, compared(t, db, p, false).Drift)

	db.Exec(t, "UPDATE thaw.enrollments SET status = 'active', paused_reason = NULL, paused_at = NULL WHERE external_id IN ('cl_1', 'cl_3')")
	db.Exec(t, "SELECT thaw.queue_changes('enrollment', ARRAY(SELECT e.id FROM thaw.enrollments AS e), 'paused', 'sweep')")
	require.Zero(t, write(t, db, consumer).Refused)
	require.Equal(t, []string{"cl_1 running", "cl_3 running", "cl_4 paused 2026-01-01 00:00:00"}, testdb.Column[string](t, db,
		"SELECT concat_ws(' ', l.id, l.state, l.held_at) FROM app.campaign_leads AS l WHERE l.id IN ('cl_1', 'cl_3', 'cl_4') ORDER BY 1"))
}

// A move spreads overdue times. The platform gets them too, so that nothing differs.
func TestConsumerWritesMovesOfPendingRows(t *testing.T) {
	t.Parallel()
	db, p := adopted(t)
	_, err := SetShadow(t.Context(), db.Pool, "", false, "test", "test")
	require.NoError(t, err)
	consumer := quiet(p)
	write(t, db, consumer)
	db.Exec(t, "UPDATE app.campaign_leads SET next_run_at = now() - interval '1 day' WHERE id = 'cl_2'")
	db.Exec(t, `
		SELECT thaw.move_rows(ROW('sweep', date_trunc('hour', now()), NULL, NULL, 1)::thaw.cause, ARRAY[e.ctid], ARRAY[e.account_id],
			ARRAY[(SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = 'acc_bob')])
		FROM thaw.enrollments AS e WHERE e.external_id = 'cl_2'`)
	require.Zero(t, compared(t, db, p, false).Drift, "it is on its way")
	write(t, db, consumer)
	require.Equal(t, "queued acc_bob true", testdb.Value[string](t, db,
		"SELECT concat_ws(' ', l.state, l.sender_account_id, (l.next_run_at >= now() - interval '1 hour')::text) FROM app.campaign_leads AS l WHERE l.id = 'cl_2'"))
	require.Zero(t, compared(t, db, p, false).Drift)
}

// The step of a deleted row no longer matters.
func TestStepsOfDeletedRowsAreNotCompared(t *testing.T) {
	t.Parallel()
	db := withFixture(t, "outreach")
	db.Exec(t, "ALTER TABLE app.campaign_leads ADD COLUMN gone_at timestamptz")
	p := adoptedWith(t, db, mapping+"  deleted: gone_at\n")
	db.Exec(t, "UPDATE app.campaign_leads SET gone_at = now() WHERE id = 'cl_1'")
	db.Exec(t, "UPDATE app.campaign_leads SET current_step = 9, next_run_at = now() WHERE id = 'cl_1'")
	require.Contains(t, copies(t, db)[0], "cl_1 removed")
	require.Zero(t, compared(t, db, p, false).Drift)
}

// The platform's row has been answered when Thaw's pause arrives: the platform wins.
func TestConsumerDoesNotOverwriteTerminalStates(t *testing.T) {
	t.Parallel()
	db, p := adopted(t)
	_, err := SetShadow(t.Context(), db.Pool, "", false, "test", "test")
	require.NoError(t, err)
	consumer := quiet(p)
	write(t, db, consumer)
	db.Exec(t, "SELECT thaw.signal('linkedin', 'up_ann', 'disconnected')")
	db.Exec(t, "SELECT thaw.pause_batch((SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = 'acc_ann'), 100, 1, NULL, 1)")
	db.Exec(t, "UPDATE app.campaign_leads SET state = 'answered' WHERE id = 'cl_1'")
	write(t, db, consumer)
	require.Equal(t, "cl_1 answered 2 acc_ann", leads(t, db)[0])
	require.Zero(t, compared(t, db, p, false).Drift)
}

// A row that a constraint of the platform refuses does not stop the others.
func TestConsumerPassesOverRefusedRows(t *testing.T) {
	t.Parallel()
	db, p := adopted(t)
	_, err := SetShadow(t.Context(), db.Pool, "", false, "test", "test")
	require.NoError(t, err)
	consumer := quiet(p)
	write(t, db, consumer)
	db.Exec(t, "ALTER TABLE app.linkedin_accounts ADD CONSTRAINT ann_is_fine CHECK (id <> 'acc_ann' OR state = 'ok')")
	db.Exec(t, "SELECT thaw.signal('linkedin', 'up_ann', 'disconnected')")
	db.Exec(t, "SELECT thaw.signal('linkedin', 'up_eve', 'disconnected')")
	require.Equal(t, Written{Taken: 2, Written: 1, Refused: 1}, write(t, db, consumer))
	require.Equal(t, "credentials", testdb.Value[string](t, db, "SELECT a.state::text FROM app.linkedin_accounts AS a WHERE a.id = 'acc_eve'"))
	require.Contains(t, testdb.Column[string](t, db, "SELECT x.problem FROM thaw.adopt_errors AS x")[1], `account acc_ann could not be written into app.linkedin_accounts: new row`)
	require.EqualValues(t, 1, compared(t, db, p, false).Drift)
}

// live returns an adopted database whose workspaces are live, with a consumer that has written what
// waited.
func live(t *testing.T) (*testdb.DB, *Prepared, *Consumer) {
	t.Helper()
	db, p := adopted(t)
	_, err := SetShadow(t.Context(), db.Pool, "", false, "test", "test")
	require.NoError(t, err)
	consumer := quiet(p)
	write(t, db, consumer)
	return db, p, consumer
}

// A row that the platform has locked stays in the queue, and the others are written at once.
func TestConsumerDoesNotWaitForLockedRows(t *testing.T) {
	t.Parallel()
	db, p, consumer := live(t)
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context())
	_, err = tx.Exec(t.Context(), "SELECT FROM app.linkedin_accounts AS a WHERE a.id = 'acc_ann' FOR UPDATE; SELECT FROM app.campaign_leads AS l WHERE l.id = 'cl_1' FOR UPDATE")
	require.NoError(t, err)
	db.Exec(t, "SELECT thaw.signal('linkedin', 'up_ann', 'disconnected'), thaw.signal('linkedin', 'up_eve', 'disconnected')")
	db.Exec(t, "SELECT thaw.pause_batch((SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = 'acc_ann'), 100, 1, NULL, 1)")
	since := func() []string {
		return testdb.Column[string](t, db, "SELECT concat_ws(' ', q.kind, q.at) FROM thaw.changes_queue AS q JOIN thaw.accounts AS a ON a.external_id = 'acc_ann' WHERE q.kind = 'enrollment' OR q.kind = 'account' AND q.row_id = a.id ORDER BY q.kind")
	}
	waiting := since()

	done, err := consumer.Batch(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Equal(t, Written{Taken: 2, Written: 2, Locked: 2}, done, "the campaign and the account of Eve are written")
	require.Equal(t, "credentials", testdb.Value[string](t, db, "SELECT a.state::text FROM app.linkedin_accounts AS a WHERE a.id = 'acc_eve'"))
	require.Equal(t, []string{"account connected signal", "enrollment active signal"}, testdb.Column[string](t, db,
		"SELECT concat_ws(' ', q.kind, q.from_status, q.cause) FROM thaw.changes_queue AS q ORDER BY q.generation"))
	done, err = consumer.Batch(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Equal(t, Written{Locked: 2}, done)
	require.Equal(t, waiting, since(), "they wait since Thaw changed the rows")

	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, Written{Taken: 2, Written: 2}, write(t, db, consumer))
	require.Equal(t, "cl_1 paused account_lost 2 acc_ann", leads(t, db)[0])
	require.Zero(t, compared(t, db, p, false).Drift)

	// A row that the platform no longer has needs nothing.
	db.Exec(t, "SELECT thaw.queue_changes('account', ARRAY(SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = 'acc_eve'), 'connected', 'signal')")
	db.Exec(t, "SET session_replication_role = replica; DELETE FROM app.linkedin_accounts WHERE id = 'acc_eve'")
	require.Equal(t, Written{Taken: 1}, write(t, db, consumer))
}

// An update of a locked row's children, or a trigger of the platform, may need a lock too.
func TestConsumerLeavesRowsThatNeedALock(t *testing.T) {
	t.Parallel()
	db, _, consumer := live(t)
	db.Exec(t, `
		CREATE TABLE app.totals (workspace_id text PRIMARY KEY);
		INSERT INTO app.totals VALUES ('ws_acme'), ('ws_globex');
		CREATE FUNCTION app.count() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM FROM app.totals AS s WHERE s.workspace_id = NEW.workspace_id FOR UPDATE; RETURN NEW; END $$;
		CREATE TRIGGER count BEFORE UPDATE ON app.linkedin_accounts FOR EACH ROW EXECUTE FUNCTION app.count()`)
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context())
	_, err = tx.Exec(t.Context(), "SELECT FROM app.totals AS s WHERE s.workspace_id = (SELECT a.workspace_id FROM app.linkedin_accounts AS a WHERE a.id = 'acc_eve') FOR UPDATE")
	require.NoError(t, err)
	db.Exec(t, "SELECT thaw.signal('linkedin', 'up_ann', 'disconnected'), thaw.signal('linkedin', 'up_eve', 'disconnected')")
	done, err := consumer.Batch(t.Context(), db.Pool)
	require.NoError(t, err)
	require.Equal(t, Written{Taken: 1, Written: 1, Locked: 1}, done)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, Written{Taken: 1, Written: 1}, write(t, db, consumer))
}

// A consumer follows a renamed column when the new mapping is applied, without a restart.
func TestConsumerLoadsTheAppliedMapping(t *testing.T) {
	t.Parallel()
	db, _, consumer := live(t)
	db.Exec(t, "ALTER TABLE app.campaign_leads RENAME pause_cause TO stop_cause")
	db.Exec(t, "SELECT thaw.signal('linkedin', 'up_ann', 'disconnected')")
	db.Exec(t, "SELECT thaw.pause_batch((SELECT a.id FROM thaw.accounts AS a WHERE a.external_id = 'acc_ann'), 100, 1, NULL, 1)")
	_, err := consumer.Batch(t.Context(), db.Pool)
	require.ErrorContains(t, err, "pause_cause")
	_, err = consumer.Batch(t.Context(), db.Pool)
	require.ErrorContains(t, err, "the mapping that was applied does not fit the tables")

	m, err := Parse(strings.ReplaceAll(mapping, "pause_cause", "stop_cause"))
	require.NoError(t, err)
	p, err := m.Prepare(t.Context(), db.Pool, "thaw")
	require.NoError(t, err)
	require.NoError(t, m.Start(t.Context(), db.Pool))
	require.NoError(t, p.Plan.Install(t.Context(), db.Pool))
	require.NoError(t, Running(t.Context(), db.Pool))
	require.Equal(t, Written{Taken: 3, Written: 3}, write(t, db, consumer))
	require.Equal(t, "paused account_lost", testdb.Value[string](t, db, "SELECT l.state || ' ' || l.stop_cause FROM app.campaign_leads AS l WHERE l.id = 'cl_1'"))

	require.NoError(t, Stop(t.Context(), db.Pool))
	require.ErrorIs(t, consumer.Run(t.Context(), db.Pool, nil), ErrNotAdopted)
}

// TestFixturesAreAdopted goes all the way with each fixture: triggers, copy, live, a pause that is
// written into the platform's tables, and a resume.
func TestFixturesAreAdopted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fixture string
		// running is the lead that runs on the account "up_ann", as text; paused, when Thaw has paused
		// it.
		running, paused string
		pausedCampaign  string
	}{
		{
			fixture: "outreach",
			running: "SELECT concat_ws(' ', l.state, l.pause_cause) FROM app.campaign_leads AS l WHERE l.id = 'cl_1'",
			paused:  "paused account_lost", pausedCampaign: "SELECT c.state || ' ' || c.halt_cause FROM app.campaigns AS c WHERE c.id = 'cmp_spring' -- halted account_lost",
		},
		{
			fixture: "rails",
			running: "SELECT concat_ws(' ', l.status, l.pause_reason) FROM campaign_leads AS l WHERE l.id = '00000000-0000-0000-0000-000000000201'",
			paused:  "2 account_disconnected", pausedCampaign: "SELECT c.status FROM campaigns AS c -- paused",
		},
		{
			fixture: "django",
			running: "SELECT concat_ws(' ', l.status, l.pause_reason) FROM outreach_campaignlead AS l WHERE l.id = 1",
			paused:  "paused account_lost", pausedCampaign: "SELECT c.status FROM outreach_campaign AS c WHERE c.id = 1 -- paused",
		},
		{
			fixture: "prisma",
			running: `SELECT l.state::text FROM "CampaignLead" AS l WHERE l.id = 'ckl1'`,
			paused:  "PAUSED_ACCOUNT", pausedCampaign: `SELECT c.active::text FROM "Campaign" AS c WHERE c.id = 'ckc1' -- false`,
		},
		{
			fixture: "odd",
			running: "SELECT concat_ws(' ', s.state, s.held_because) FROM core.steps AS s WHERE s.position = 2",
			paused:  "ON_HOLD sender_offline", pausedCampaign: "SELECT q.is_running::text FROM core.sequences AS q -- false",
		},
	} {
		t.Run(c.fixture, func(t *testing.T) {
			t.Parallel()
			db := withFixture(t, c.fixture)
			m := answered(t, c.fixture)
			p, err := m.Prepare(t.Context(), db.Pool, "thaw")
			require.NoError(t, err)
			require.NoError(t, m.Start(t.Context(), db.Pool))
			require.NoError(t, p.Plan.Install(t.Context(), db.Pool))
			_, err = p.Backfill(t.Context(), db.Pool, ignore)
			require.NoError(t, err)
			require.NoError(t, Running(t.Context(), db.Pool))
			require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.adopt_errors"), testdb.Column[string](t, db, "SELECT x.problem FROM thaw.adopt_errors AS x"))
			require.Empty(t, compared(t, db, p, false).Examples)

			_, err = SetShadow(t.Context(), db.Pool, "", false, "test", "test")
			require.NoError(t, err)
			consumer := quiet(p)
			write(t, db, consumer)
			before := strings.TrimSpace(testdb.Value[string](t, db, c.running))
			require.Equal(t, "applied", testdb.Value[string](t, db, "SELECT thaw.signal('linkedin', 'up_ann', 'disconnected')"))
			db.Exec(t, "SELECT thaw.pause_batch((SELECT a.id FROM thaw.accounts AS a WHERE a.provider_account_id = 'up_ann'), 100, 1, NULL, 1)")
			require.Zero(t, write(t, db, consumer).Refused)
			require.Equal(t, c.paused, testdb.Value[string](t, db, c.running))
			query, want, _ := strings.Cut(c.pausedCampaign, " -- ")
			require.Equal(t, want, testdb.Value[string](t, db, query))
			require.Empty(t, compared(t, db, p, false).Examples)
			require.Empty(t, compared(t, db, p, true).Examples, "a fix changes nothing")

			require.Equal(t, "applied", testdb.Value[string](t, db, "SELECT thaw.signal('linkedin', 'up_ann', 'connected')"))
			db.Exec(t, `UPDATE thaw.campaigns SET status = 'running', paused_reason = NULL, paused_at = NULL WHERE waits_for_account`)
			db.Exec(t, `UPDATE thaw.enrollments AS e SET status = 'active', paused_reason = NULL, paused_at = NULL FROM thaw.accounts AS a
				WHERE a.id = e.account_id AND a.provider_account_id = 'up_ann' AND e.waits_for_account`)
			db.Exec(t, `SELECT thaw.queue_changes('campaign', ARRAY(SELECT c.id FROM thaw.campaigns AS c), 'unknown', 'sweep'),
				thaw.queue_changes('enrollment', ARRAY(SELECT e.id FROM thaw.enrollments AS e), 'unknown', 'sweep')`)
			require.Zero(t, write(t, db, consumer).Refused)
			require.Equal(t, before, strings.TrimSpace(testdb.Value[string](t, db, c.running)))
			require.Empty(t, compared(t, db, p, false).Examples)
			require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.adopt_errors"))
		})
	}
}

// TRUNCATE removes rows that no trigger sees. It is recorded, and the check finds the rows.
func TestTruncateNeedsACheck(t *testing.T) {
	t.Parallel()
	db, prepared := adopted(t)
	db.Exec(t, "TRUNCATE app.campaign_leads CASCADE")
	require.Contains(t, testdb.Column[string](t, db, "SELECT concat_ws(' ', x.code, x.problem) FROM thaw.adopt_errors AS x WHERE x.external_id IS NULL"),
		"0A000 TRUNCATE of app.campaign_leads removed rows without naming them. Run thaw adopt check --fix")
	state, err := ReadState(t.Context(), db.Pool)
	require.NoError(t, err)
	require.NotZero(t, state.Failed)
	result, err := prepared.Compare(t.Context(), db.Pool, true, func(Kind, int64) {})
	require.NoError(t, err)
	require.NotZero(t, result.Fixed)
	require.Equal(t, result.Drift, result.Fixed)
	require.Equal(t, []string{"removed"}, testdb.Column[string](t, db, "SELECT DISTINCT e.status::text FROM thaw.enrollments AS e"))
	require.Empty(t, fits(t, db, prepared))
}

// A row whose id changes is a new row for Thaw, and the old one is deleted.
func TestChangedIDs(t *testing.T) {
	t.Parallel()
	db, prepared := adopted(t)
	db.Exec(t, "UPDATE app.campaign_leads SET id = 'cl_new' WHERE id = 'cl_1'")
	require.Equal(t, []string{"cl_1 removed", "cl_new active"}, testdb.Column[string](t, db,
		"SELECT concat_ws(' ', e.external_id, e.status) FROM thaw.enrollments AS e WHERE e.external_id IN ('cl_1', 'cl_new') ORDER BY 1"))
	require.Zero(t, compared(t, db, prepared, false).Drift)
}
