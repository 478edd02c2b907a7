package schema_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/testdb"
)

// An invite in another spelling of the URL is a second one to the same person.
func TestSecondInviteInAnotherSpellingIsRefused(t *testing.T) {
	t.Parallel()
	db := withSenders(t)
	db.Exec(t, noGaps+`
		INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'summer', 'running');
		INSERT INTO thaw.campaign_steps (campaign_id, position, kind) VALUES (2, 0, 'invite');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
		SELECT 1, 2, 1, 'active', thaw.now(), url FROM unnest(ARRAY['https://www.linkedin.com/in/p1-1/', 'http://linkedin.com/in/P1-1?utm=1', 'de.linkedin.com/in/p1%2D1']) AS url`)
	first := send(t, db, 1)
	for id := 31; id <= 33; id++ {
		require.Equal(t, "already_invited", reserve(t, db, id))
	}
	require.Equal(t, []int{2}, claim(t, db, 1), "the others wait behind nothing")
	// The database refuses it from every writer.
	_, err := db.Pool.Exec(t.Context(), `INSERT INTO thaw.actions (workspace_id, account_id, sender_id, campaign_id, enrollment_id, provider, prospect_url, step, kind, actor, lease_until, local_day, gap, next_of_kind_at)
		SELECT workspace_id, account_id, sender_id, 2, 31, provider, 'linkedin.com/in/P1-1', step, kind, 'x', thaw.now(), local_day, gap, next_of_kind_at FROM thaw.actions WHERE id = $1::bigint`, first)
	require.ErrorContains(t, err, "actions_invite_key")
	require.True(t, testdb.Value[bool](t, db, "SELECT thaw.close_invite($1::bigint, 'withdrawn')", first))
	require.Equal(t, "invite_withdrawn", reserve(t, db, 32))
}

// Two URLs are one prospect for the ledger if and only if they have one normal form.
func TestProspectKeyAgreesWithNormalURL(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	keys := func(urls []string) []string {
		return testdb.Column[string](t, db, "SELECT thaw.prospect_key(u.url) FROM unnest($1::text[]) WITH ORDINALITY AS u (url, n) ORDER BY u.n", urls)
	}
	agree := func(t require.TestingT, urls []string) {
		keyOf := keys(urls)
		for i, a := range urls {
			for j, b := range urls {
				require.Equal(t, explain.NormalURL(a) == explain.NormalURL(b), keyOf[i] == keyOf[j], "%q is %q, and %q is %q", a, keyOf[i], b, keyOf[j])
			}
		}
	}
	agree(t, []string{
		"https://www.linkedin.com/in/ada-lovelace", "HTTP://WWW.LINKEDIN.COM/IN/Ada-Lovelace", "//linkedin.com/in/ada-lovelace///", "https://www.linkedin.com:443/in/ada-lovelace",
		"https://www.linkedin.com./in/ada-lovelace", "https://www.linkedin.com/in/ada-lovelace/details/skills/", "https://www.linkedin.com/in/ada%2Dlovelace", "https://www.linkedin.com/in/jörg",
		"https://www.linkedin.com/in/j%c3%b6rg", "https://www.linkedin.com/sales/lead/ACwAAA,NAME?_ntb=1", "https://www.linkedin.com/sales/lead/ACwAAA,NAME", "https://www.linkedin.com/sales/lead/acwaaa,name",
		"http://People.Example.com/P?id=7#top", "https://people.example.com/P?id=7", "https://people.example.com/p?id=7", "https://people.example.com/P?id=8", "https://example.com:8443/p/", "https://example.com:8443/p",
		"https://example.com/p", "https://business.linkedin.com/in/ada", "https://linkedin.com/in/ada", "https://linkedin.com.example.com/in/Ada", "ada", "Ada", "", "ftp://linkedin.com/in/ada", "ada@example.com",
		"mailto:Ada@Example.com?subject=Hi", " ada@EXAMPLE.com\r\n", "bob@example.com", "https://www.linkedin.com/in/%ff", "https://www.linkedin.com/in/%00",
	})
	rapid.Check(t, func(t *rapid.T) {
		spell := func(label, slug string) string {
			draw := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label+" "+what) }
			var escaped strings.Builder
			for i, c := range []byte(slug) {
				fmt.Fprintf(&escaped, draw(fmt.Sprint("byte ", i), "%c", "%%%02x", "%%%02X"), c)
			}
			spelled := []string{slug, strings.ToUpper(slug), url.PathEscape(slug), escaped.String()}[rapid.IntRange(0, 3).Draw(t, label+" slug")]
			return draw("scheme", "https://", "http://", "HTTPS://", "//", "") + draw("host", "www.linkedin.com", "linkedin.com", "LinkedIn.com", "m.linkedin.com", "de.linkedin.com") +
				"/in/" + spelled + draw("rest", "", "/", "/details/skills/", "?trk=a", "/?a=b#c", "#experience")
		}
		slug := rapid.StringMatching(`[a-z0-9-]{1,12}`)
		a, b := slug.Draw(t, "a"), slug.Draw(t, "b")
		agree(t, []string{spell("1", a), spell("2", a), spell("3", b)})
	})
}
