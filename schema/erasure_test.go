package schema_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// mentionsOfAda has ada in two workspaces and under three spellings, mentions of her in every kind
// of table, and ada-mae, who is another person.
const mentionsOfAda = `
INSERT INTO thaw.workspaces (key) VALUES ('acme'), ('globex');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, status) VALUES (1, 'ann', 'connected'), (2, 'bea', 'connected');
INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running'), (1, 'summer', 'running'), (2, 'autumn', 'running');
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, prospect_url, external_id) VALUES
	(1, 1, 1, 'active', 'https://www.linkedin.com/in/ada', 'lead-1'),
	(1, 2, 1, 'active', 'http://de.linkedin.com/in/Ada/?trk=x', NULL),
	(2, 3, 2, 'active', 'linkedin.com/in/ada/', 'lead-1'),
	(1, 1, 1, 'active', 'https://www.linkedin.com/in/ada-mae', 'lead-2');
INSERT INTO thaw.webhook_endpoints (url) VALUES ('https://platform.example.com');
SELECT thaw.pause_prospect('https://www.linkedin.com/in/ada', 'Ada Lovelace asked by phone', 'jo');
SELECT thaw.pause_prospect('https://www.linkedin.com/in/ada-mae', 'like https://linkedin.com/in/ada', 'jo');
UPDATE thaw.enrollments SET status = 'paused', paused_reason = 'paused_by_user', paused_at = now(), own_reason = 'moved to linkedin.com/in/ada.' WHERE id = 3;
UPDATE thaw.enrollments SET own_reason = 'knows Ada Lovelace' WHERE id = 4;
SELECT thaw.hold('ann', now() + interval '1 day', 'after a complaint by ada lovelace', 'jo');
SELECT thaw.publish('test.ping', 1, 1, jsonb_build_object('note', 'see "https://uk.linkedin.com/in/ada?x=1" and https://www.linkedin.com/in/ada-mae'));
SELECT thaw.receive_signal('linkedin', 'ann', 'OK', 'connected', NULL, NULL, 'k1', false, '{"to": ["https://www.linkedin.com/in/ada/details"]}');
UPDATE thaw.river_job SET args = args || '{"for": "linkedin.com/in/ada"}', errors = ARRAY['{"error": "Ada Lovelace: \"no\""}'::jsonb], tags = '{linkedin.com/in/ada}' WHERE kind = 'deliver';
INSERT INTO thaw.heals (target, cap, actor, reason, status, remaining, finished_at) VALUES ('prospects:1', 1, 'jo', 'for Ada Lovelace', 'done', 0, now());
`

func TestErasureLeavesNothing(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, mentionsOfAda)
	require.Zero(t, violations(t, db))
	before := testdb.Column[string](t, db, "SELECT format('%s %s', table_name, mentions) FROM thaw.count_mentions('{https://www.linkedin.com/in/ada,Ada Lovelace}') WHERE mentions > 0 ORDER BY 1")
	require.Equal(t, []string{
		"account_signals 1", "accounts 1", "enrollment_events 3", "enrollments 4", "heals 1", "manual_actions 3", "outbox 1", "river_job 1",
	}, before)

	require.Equal(t, []string{
		"account_signals 1 0", "accounts 1 0", "enrollment_events 3 0", "enrollments 4 0", "heals 1 0", "manual_actions 3 0", "outbox 1 0", "river_job 1 0",
	}, testdb.Column[string](t, db, `
		SELECT format('%s %s %s', table_name, erased, remaining)
		FROM thaw.erase_prospect('https://linkedin.com/in/ada', 'request 17', 'jo', also => '{Ada Lovelace}') WHERE erased + remaining > 0 ORDER BY 1`))

	// Not even a dump of the database has her, and another person is still there.
	content := strings.ToLower(dump(t, db, "--data-only"))
	require.NotContains(t, strings.ReplaceAll(content, "linkedin.com/in/ada-mae", ""), "linkedin.com/in/ada")
	require.NotContains(t, content, "lovelace")
	require.Contains(t, content, "linkedin.com/in/ada-mae")
	require.Equal(t, []string{"https://www.linkedin.com/in/ada-mae knows [erased]"},
		testdb.Column[string](t, db, "SELECT concat_ws(' ', prospect_url, own_reason) FROM thaw.enrollments"))
	require.Equal(t, "see \"https://uk.[erased]?x=1\" and https://www.linkedin.com/in/ada-mae", testdb.Value[string](t, db, "SELECT data ->> 'note' FROM thaw.outbox WHERE type = 'test.ping'"))
	require.Equal(t, "[erased]: \"no\"", testdb.Value[string](t, db, "SELECT errors[1] ->> 'error' FROM thaw.river_job WHERE kind = 'deliver'"))
	require.Zero(t, violations(t, db))
	require.Empty(t, wrongCounts(t, db.Pool))

	// The audit log says that a person was erased, and not who.
	require.Equal(t, "jo request 17 3", testdb.Value[string](t, db, "SELECT concat_ws(' ', actor, reason, enrollments) FROM thaw.manual_actions WHERE what = 'prospect_erased'"))
	require.Equal(t, "[erased]", testdb.Value[string](t, db, "SELECT reason FROM thaw.manual_actions WHERE what = 'paused' AND prospect_url IS NULL"))
}

func TestErasureRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, mentionsOfAda)
	for statement, message := range map[string]string{
		"SELECT thaw.erase_prospect('lead-1', 'why')": `2 workspaces have a prospect with the platform's ID "lead-1"`,
		"SELECT thaw.erase_prospect('lead-9', 'why')": "no campaign has the prospect lead-9",
		"SELECT thaw.erase_prospect('a@b', 'why')":    `the text "a@b" cannot be searched for`,
		"SELECT thaw.erase_prospect('https://www.linkedin.com/in/ada', 'asked by Ada Lovelace', also => '{Ada Lovelace}')": "the reason or the actor names the person",
		"SELECT thaw.erase_prospect('https://www.linkedin.com/in/ada', ' ')":                                               "reason",
	} {
		_, err := db.Pool.Exec(t.Context(), statement)
		require.ErrorContains(t, err, message)
	}
	require.Equal(t, 4, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.enrollments"))
	// The ID of the platform stands for the person of its row, everywhere.
	db.Exec(t, "SELECT thaw.erase_prospect('lead-1', 'request 18', workspace_key => 'globex')")
	require.Equal(t, []string{"https://www.linkedin.com/in/ada-mae"}, testdb.Column[string](t, db, "SELECT prospect_url FROM thaw.enrollments"))
	// A person who is not enrolled, mentioned in another URL, an address or a name.
	require.Equal(t, []bool{false, true, true, false, false, true, false, false, true}, testdb.Column[bool](t, db, `
		SELECT (given ~* thaw.mention_pattern(ARRAY[wanted])) FROM (VALUES
			(1, 'https://example.com/p/1', 'https://example.com/p/17'), (2, 'https://example.com/p/1', 'seen at www.example.com/p/1.'),
			(3, 'https://www.example.com/p?id=1', 'example.com/p?id=1'), (4, 'https://example.com/p', 'https://example.com/p/17'),
			(5, 'https://www.example.com/p/1', 'https://shop.example.com/p/1'), (6, 'mailto:ada@example.com', '<ADA@example.com>'),
			(7, 'ada@example.com', 'x.ada@example.com'), (8, 'ada@example.com', 'ada@example.com.au'), (9, 'Ada L. "Countess"', '{"n": "Ada L. \"Countess\" again"}')
		) AS one (n, wanted, given) ORDER BY n`))
}

// A change of the platform's row that is kept would insert the prospect again, under the URL or
// under "[erased]".
func TestErasureDeletesKeptChanges(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, `
		INSERT INTO app.leads VALUES (1, 1, 1, 'https://www.linkedin.com/in/ada', 'running'), (2, 7, 1, 'https://www.linkedin.com/in/ada', 'running'),
			(3, 7, 1, 'https://www.linkedin.com/in/bob', 'running'), (4, 1, 1, 'https://www.linkedin.com/in/eve', 'running');
		UPDATE app.leads SET state = 'no such word' WHERE id IN (1, 4)`)
	require.Equal(t, []string{"unknown_word", "unknown_parent", "unknown_parent", "unknown_word"}, problems(t, db))
	require.Equal(t, "3 0", testdb.Value[string](t, db, `
		SELECT concat_ws(' ', erased, remaining) FROM thaw.erase_prospect('https://www.linkedin.com/in/ada', 'request 17', 'jo', also => '{no such word}')
		WHERE table_name = 'adopt_errors'`))
	db.Exec(t, "INSERT INTO app.sequences VALUES (7, 'acme', 'live'); SELECT thaw.retry_adoption(everything => true)")
	require.Equal(t, []string{"https://www.linkedin.com/in/bob", "https://www.linkedin.com/in/eve"},
		testdb.Column[string](t, db, "SELECT prospect_url FROM thaw.enrollments ORDER BY external_id"))
}

// An application role that was granted only the functions erases a person and removes a workspace,
// in batches. What is left afterwards is proved by a dump.
func TestErasureAndRemovalByRoleWithGrants(t *testing.T) {
	t.Parallel()
	db := withPlatform(t)
	db.Exec(t, `
		INSERT INTO app.leads SELECT n, 1, 1 + n % 2, format('https://www.linkedin.com/in/ada?n=%s', n), 'running' FROM generate_series(1, 9) AS n;
		INSERT INTO app.leads SELECT n, 1, 1 + n % 2, format('https://example.com/in/%s', n), 'running' FROM generate_series(10, 60) AS n`)
	role, app := asApp(t, db)
	erase := func(size int) (erased, remaining int) {
		require.NoError(t, app.QueryRow(t.Context(), "SELECT sum(erased), sum(remaining) FROM thaw.erase_prospect('https://www.linkedin.com/in/ada', 'request 17', size => $1)", size).Scan(&erased, &remaining))
		return erased, remaining
	}
	remove := func() (done bool) {
		require.NoError(t, app.QueryRow(t.Context(), "SELECT done FROM thaw.remove_workspace('acme', 'the contract ended', size => 20)").Scan(&done))
		return done
	}
	for _, sql := range []string{
		"SELECT thaw.erase_prospect('https://www.linkedin.com/in/ada', 'request 17')", "SELECT thaw.count_mentions('{https://www.linkedin.com/in/ada}')", "SELECT thaw.remove_workspace('acme', 'why')",
	} {
		_, err := app.Exec(t.Context(), sql)
		require.True(t, isCode(err, "42501"), "%s: %v", sql, err)
	}
	db.Exec(t, "GRANT EXECUTE ON FUNCTION thaw.erase_prospect, thaw.count_mentions, thaw.remove_workspace TO "+role)

	// A row that another transaction holds is left to the next call.
	holder, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = holder.Exec(t.Context(), "SELECT FROM thaw.enrollments WHERE external_id = '1' FOR UPDATE")
	require.NoError(t, err)
	for _, want := range [][2]int{{3, 6}, {3, 3}, {2, 1}, {0, 1}} {
		erased, remaining := erase(4)
		require.Equal(t, want, [2]int{erased, remaining})
	}
	require.NoError(t, holder.Rollback(t.Context()))
	_, remaining := erase(4)
	require.Zero(t, remaining)
	require.False(t, strings.Contains(dump(t, db, "--data-only"), "linkedin.com/in/ada"))
	_, err = app.Exec(t.Context(), "SELECT thaw.erase_prospect('https://www.linkedin.com/in/ada', 'request 17', size => 0)")
	require.ErrorContains(t, err, "size is 0")

	// Waiting changes of both directions go with the workspace, and only with it.
	db.Exec(t, `
		SELECT thaw.take_workspaces('[{"id": "globex"}]');
		INSERT INTO app.seats VALUES (77, 'globex', 'gus', 'ok'), (78, 'globex', 'gil', 'ok');
		SELECT thaw.go_live('globex', 'a test');
		SELECT thaw.signal('linkedin', a.provider_account_id, 'disconnected') FROM thaw.accounts AS a WHERE a.external_id IN ('1', '78');
		INSERT INTO app.leads VALUES (71, 7, 1, 'https://example.com/in/71', 'running');
		UPDATE app.seats SET state = 'no such word' WHERE id IN (2, 77);
		UPDATE app.leads SET state = 'no such word' WHERE id IN (20, 21);
		UPDATE app.sequences SET state = 'no such word'`)
	require.NotZero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.changes_queue"))
	for batches, done := 0, false; !done; batches++ {
		require.Less(t, batches, 300)
		done = remove()
	}
	require.Equal(t, []string{"account 77"}, testdb.Column[string](t, db, "SELECT kind || ' ' || external_id FROM thaw.adopt_errors"))
	require.Equal(t, []string{"globex"}, testdb.Column[string](t, db, `
		SELECT DISTINCT w.key FROM thaw.changes_queue AS q LEFT JOIN thaw.accounts AS a ON q.kind = 'account' AND a.id = q.row_id LEFT JOIN thaw.workspaces AS w ON w.id = a.workspace_id`))
	left := dump(t, db, "--data-only")
	for _, text := range []string{"example.com", "\tann\t", "\tbob\t"} {
		require.False(t, strings.Contains(left, text), text)
	}
}
