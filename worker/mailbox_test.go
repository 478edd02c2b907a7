package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// A campaign has an account of LinkedIn and a mailbox. The same passes pause and resume both, and
// the mailbox is explained in its own words.
func TestMailboxesUseTheSamePasses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	profile := f.account(t, account{key: "ann", member: "ann"})
	mailbox := f.account(t, account{key: "ada@acme.example", member: "ada"})
	f.Exec(t, "UPDATE thaw.accounts SET provider = 'email' WHERE id = $1", mailbox)
	both := f.campaign(t, campaign{key: "both"})
	f.prospects(t, prospects{account: profile, campaign: both, n: 3})
	f.prospects(t, prospects{account: mailbox, campaign: both, n: 4})
	f.Exec(t, "UPDATE thaw.enrollments SET prospect_url = 'p' || id || '@example.com' WHERE account_id = $1", mailbox)
	f.start(t)
	mail := func(word string) {
		t.Helper()
		require.Equal(t, "applied", testdb.Value[string](t, f.DB, "SELECT thaw.signal('email', 'ada@acme.example', $1)", word))
		f.settle(t)
	}
	answer := func() string {
		t.Helper()
		url := testdb.Value[string](t, f.DB, "SELECT min(prospect_url) FROM thaw.enrollments WHERE account_id = $1", mailbox)
		found, err := readmodel.Explain(t.Context(), store.New(f.Pool), "mailto:"+url)
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.NotContains(t, found[0].Sentence, "ccount ada")
		return found[0].Sentence
	}
	campaignStatus := func() string {
		return testdb.Value[string](t, f.DB, "SELECT status::text FROM thaw.campaigns WHERE id = $1", both)
	}

	// The campaign runs as long as one of its accounts works, whatever its provider.
	mail("oauth_expired")
	require.Equal(t, map[string]int{disconnected: 4}, f.states(t, mailbox))
	require.Equal(t, "running", campaignStatus())
	require.Equal(t, "Mailbox ada@acme.example is disconnected because its sign-in has expired. Sign in to it again. "+
		"This prospect resumes automatically as soon as the mailbox is connected.", answer())
	f.signal(t, "ann", "disconnected")
	f.settle(t)
	require.Equal(t, map[string]int{disconnected: 3}, f.states(t, profile))
	require.Equal(t, "paused", campaignStatus())

	// The connect signal of the mailbox resumes its prospects, and starts the campaign.
	mail("ok")
	require.Equal(t, map[string]int{"active": 4}, f.states(t, mailbox))
	require.Equal(t, map[string]int{disconnected: 3}, f.states(t, profile))
	require.Equal(t, "running", campaignStatus())

	// A transient error pauses after the grace period.
	mail("smtp_refused")
	require.Equal(t, map[string]int{"active": 4}, f.states(t, mailbox))
	f.Advance(t, 3*time.Hour)
	f.sweep(t)
	require.Equal(t, map[string]int{issue: 4}, f.states(t, mailbox))
	require.Contains(t, answer(), "Mailbox ada@acme.example cannot send because the mail server refuses the connection.")

	// Signals are lost: the platform sets both to connected, and a sweep resumes the rest. In the
	// meantime Ada has connected her mailbox again as another one, which takes over.
	other := f.account(t, account{key: "ada@new.example", member: "ada", connectedAgo: time.Minute})
	f.Exec(t, "UPDATE thaw.accounts SET provider = 'email' WHERE id = $1", other)
	f.Exec(t, "UPDATE thaw.accounts SET status = 'connected' WHERE id = $1", profile)
	require.Equal(t, 7, f.sweep(t))
	require.Equal(t, map[string]int{"active": 3}, f.states(t, profile))
	require.Equal(t, map[string]int{"active": 4}, f.states(t, other))

	// The mail provider blocks it: only a person resumes its prospects.
	require.Equal(t, "applied", testdb.Value[string](t, f.DB, "SELECT thaw.signal('email', 'ada@new.example', 'sending_suspended')"))
	f.settle(t)
	require.Equal(t, map[string]int{restricted: 4}, f.states(t, other))
}
