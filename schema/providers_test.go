package schema_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

const mailbox = "ada@acme.example"

// withMailbox returns a fleet with a mailbox, beside the account "a1".
func withMailbox(t *testing.T) *testdb.DB {
	t.Helper()
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider, provider_account_id, status) VALUES
			(1, 'linkedin', 'a1', 'connected'), (1, 'email', $$`+mailbox+`$$, 'connected'), (1, 'pigeon', 'coop', 'connected')`)
	return db
}

// A signal may use the provider's own words. They mean what the table says, for this provider only.
func TestProviderWords(t *testing.T) {
	t.Parallel()
	db := withMailbox(t)
	send := func(provider, account, word string) string {
		t.Helper()
		db.Advance(t, 1_000_000_000)
		outcome := testdb.Value[string](t, db, "SELECT thaw.signal($1, $2, $3)", provider, account, word)
		return outcome + " " + testdb.Value[string](t, db, `
			SELECT concat_ws(' ', status, coalesce(last_error, '-'), locked_at IS NOT NULL) FROM thaw.accounts
			WHERE provider = $1 AND provider_account_id = $2`, provider, account)
	}
	require.Equal(t, "applied disconnected oauth_expired f", send("email", mailbox, "oauth_expired"))
	require.Equal(t, "applied connected - f", send("email", mailbox, "ok"))
	require.Equal(t, "applied error smtp_refused f", send("email", mailbox, "smtp_refused"))
	require.Equal(t, "applied restricted sending_suspended f", send("email", mailbox, "sending_suspended"))
	require.Equal(t, "applied connected - f", send("email", mailbox, "connected"))
	require.Equal(t, "ignored connected - f", send("email", mailbox, "hibernating"))
	require.Equal(t, "ignored connected - f", send("linkedin", "a1", "oauth_expired"))
	require.Equal(t, "ignored connected - f", send("pigeon", "coop", "flew_away"))

	// A provider is added with rows. Its words may also be a login or a lock.
	db.Exec(t, `
		INSERT INTO thaw.providers (provider, name, account) VALUES ('pigeon', 'Pigeon post', 'loft');
		INSERT INTO thaw.provider_words (provider, word, means) VALUES
			('pigeon', 'flew_away', 'disconnected'), ('pigeon', 'landed', 'reconnected'), ('pigeon', 'door_shut', 'locked'), ('pigeon', 'door_open', 'unlocked')`)
	require.Equal(t, "applied disconnected flew_away f", send("pigeon", "coop", "flew_away"))
	require.Equal(t, "applied connecting - f", send("pigeon", "coop", "landed"))
	require.Equal(t, "applied connecting - t", send("pigeon", "coop", "door_shut"))
	require.Equal(t, "applied connecting - f", send("pigeon", "coop", "door_open"))
}

// The platform asks before it sends, and need not name the provider.
func TestSendingThroughAMailbox(t *testing.T) {
	t.Parallel()
	db := withMailbox(t)
	held := func(args string) string {
		return testdb.Value[string](t, db, "SELECT thaw.sending_held_by("+args+")")
	}
	require.Empty(t, held("'"+mailbox+"'"))
	db.Exec(t, "SELECT thaw.signal('email', $1, 'oauth_expired')", mailbox)
	require.Equal(t, "account_not_connected", held("'"+mailbox+"'"))
	require.Equal(t, "account_not_connected", held("'"+mailbox+"', 'email'"))
	require.Equal(t, "unknown_account", held("'"+mailbox+"', 'linkedin'"))
	// If several providers use an ID, any of them may be meant.
	db.Exec(t, "INSERT INTO thaw.accounts (workspace_id, provider, provider_account_id, status) VALUES (1, 'pigeon', $1, 'connected')", mailbox)
	require.Equal(t, "account_not_connected", held("'"+mailbox+"'"))
	require.Empty(t, held("'"+mailbox+"', 'pigeon'"))
}

// What is said about an account comes from its last word, then from its status, then from the
// default provider.
func TestWordsForAccounts(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, test := range []struct{ provider, status, lastError, want string }{
		{"linkedin", "disconnected", "CREDENTIALS", "LinkedIn|account|is disconnected|Reconnect it.|The owner has to reconnect the account in the platform."},
		{"pigeon", "disconnected", "", "pigeon|account|is disconnected|Reconnect it.|The owner has to reconnect the account in the platform."},
		{"email", "disconnected", "", "Email|mailbox|is disconnected|Sign in to it again.|The owner has to sign in to the mailbox again in the platform."},
		{"email", "disconnected", "oauth_expired", "Email|mailbox|is disconnected because its sign-in has expired|Sign in to it again.|The sign-in of the mailbox has expired. The owner has to sign in again in the platform."},
		// The word belongs to another status: the platform has set this one by UPDATE.
		{"email", "connecting", "oauth_expired", "Email|mailbox|is still connecting|No action is needed unless it stays in this state.|The login is in progress. If it does not finish, the owner has to log in again."},
		{"email", "connected", "", "Email|mailbox|-|-|-"},
	} {
		require.Equal(t, test.want, testdb.Value[string](t, db, `
			SELECT concat_ws('|', provider_name, account_noun, coalesce(says, '-'), coalesce(advice, '-'), coalesce(owner_advice, '-'))
			FROM thaw.words_for($1, $2::text::thaw.account_status, nullif($3, ''))`, test.provider, test.status, test.lastError))
	}
	require.Equal(t, "Other account", testdb.Value[string](t, db, "SELECT provider_name || ' ' || account_noun FROM thaw.words_for(NULL, NULL, NULL)"))

	// Every status except connected has all its sentences, with every provider.
	require.Empty(t, testdb.Column[string](t, db, `
		SELECT p.provider || ' ' || status FROM thaw.providers AS p, unnest(enum_range(NULL::thaw.account_status)) AS status,
			thaw.words_for(p.provider, status, NULL) AS words
		WHERE status <> 'connected' AND (words.says IS NULL OR words.advice IS NULL OR words.owner_advice IS NULL)`))
}

// The constraint lists every account status.
func TestProviderWordsMeanEveryStatus(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	require.Equal(t, 10, testdb.Value[int](t, db, `
		WITH added AS (
			INSERT INTO thaw.provider_words (provider, word, means)
			SELECT 'linkedin', 'their_' || word, word
			FROM unnest(enum_range(NULL::thaw.account_status)::text[] || ARRAY['reconnected', 'locked', 'unlocked']) AS word
			RETURNING 1)
		SELECT count(*) FROM added`))
}

// docs/reference.md lists the rows of both tables.
func TestReferenceHasProviderWords(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../docs/reference.md", "<!-- providers: begin -->\n", "<!-- providers: end -->\n"
	rows := testdb.Column[string](t, testdb.New(t), `
		SELECT concat_ws(' | ', '| ' || CASE p.provider WHEN '' THEN 'any other' ELSE format('%s (#%s#)', p.name, p.provider) END,
			p.account, coalesce('#' || w.word || '#', ''), coalesce('#' || w.means || '#', ''), coalesce(w.says, ''), coalesce(w.advice, ''), coalesce(w.owner_advice, ''), '')
		FROM thaw.providers AS p LEFT JOIN thaw.provider_words AS w ON w.provider = p.provider
		ORDER BY p.provider, w.means::thaw.account_status, w.word <> w.means, w.word`)
	lines := []string{"| provider | account | word | means | an account … | advice | advice to the owner |\n|---|---|---|---|---|---|---|"}
	for _, row := range rows {
		lines = append(lines, strings.TrimSpace(strings.ReplaceAll(row, "#", "`")))
	}
	table := strings.Join(lines, "\n") + "\n"
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(content), begin)
	require.True(t, found)
	old, after, found := strings.Cut(rest, end)
	require.True(t, found)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(before+begin+table+end+after), 0o644))
		return
	}
	require.Equal(t, table, old, "rewrite it with: go test ./schema -run ProviderWords -update")
}
