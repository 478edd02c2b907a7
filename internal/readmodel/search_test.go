package readmodel_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// Old applications turn standard_conforming_strings off for their database. Search must not depend
// on it.
func TestSearchWithoutStandardConformingStrings(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, "INSERT INTO thaw.workspaces (key) VALUES ('Acme')")
	config := db.Pool.Config().Copy()
	config.ConnConfig.RuntimeParams["standard_conforming_strings"] = "off"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	found, err := readmodel.Search(t.Context(), store.New(pool), readmodel.Everything(), "ac", readmodel.SearchFilter{})
	require.NoError(t, err)
	require.Len(t, found.Workspaces, 1)
}

// What people paste, and what each must find. Prospects are stored in several spellings.
const pasted = `
INSERT INTO thaw.workspaces (key, name) VALUES ('acme', 'Acme Corporation'), ('umbrella', 'Umbrella');
INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name) VALUES
	(1, 'h_1', 'Jane  Doe'), (1, 'h_2', 'Zoë O’Brien-Smith'), (1, 'jane@acme.com', 'José García'), (2, 'h_4', 'Łukasz Żak'), (2, 'h_5', 'Jane Roe');
INSERT INTO thaw.campaigns (workspace_id, key, name) VALUES (1, 'spring-2026', 'Frühling in  Köln'), (2, 'autumn', '');
INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url) VALUES
	(1, 1, 1, 'https://www.linkedin.com/in/ada-lovelace'), (2, 2, 4, 'http://linkedin.com/in/ada-lovelace/'),
	(1, 1, 1, 'linkedin.com/in/grace-hopper-4b7'), (1, 1, 2, 'https://www.linkedin.com/in/jos%C3%A9-garc%C3%ADa'),
	(1, 1, 2, 'https://www.linkedin.com/sales/lead/ACwAAB12cd,NAME_SEARCH,x1y2'), (1, 1, 2, 'https://www.linkedin.com/in/ACoAAB99zz'),
	(1, 1, 2, 'https://www.linkedin.com/in/grace-hoppertown'),
	(1, 1, 3, 'Ann@Example.com'), (1, 1, 3, 'mailto:bob@example.com');
`

func TestSearchFindsWhatPeoplePaste(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, pasted)
	find := func(text string) readmodel.Found {
		found, err := readmodel.Search(t.Context(), store.New(db.Pool), readmodel.Everything(), text, readmodel.SearchFilter{})
		require.NoError(t, err, text)
		return found
	}
	const ada = "https://www.linkedin.com/in/ada-lovelace"
	for _, text := range []string{
		"ada-lovelace", "/in/ada-lovelace", `"` + ada + `"`, ada + ".", ada + "/", "Ada Lovelace", "lovelace ada", "ada.lovelace@example.com",
		"“in/Ada-Lovelace/”", "https://de.linkedin.com/in/Ada-Lovelace?trk=x",
	} {
		people := readmodel.People(find(text).Prospects)
		require.Len(t, people, 1, text)
		require.ElementsMatch(t, []string{ada, "http://linkedin.com/in/ada-lovelace/"}, people[0].URLs, text)
	}
	require.Equal(t, readmodel.MatchID, find("ada-lovelace").Prospects[0].Match)
	require.Equal(t, readmodel.MatchSimilar, find("Ada Lovelace").Prospects[0].Match)
	require.Equal(t, readmodel.MatchName, find("https://www.linkedin.com/sales/lead/ACwAAB12cd,other,words").Prospects[0].Match)
	for text, count := range map[string]int{
		ada + " https://www.linkedin.com/in/grace-hopper-4b7":  3,
		ada + "\n/in/grace-hopper-4b7":                         3,
		"https://www.linkedin.com/sales/lead/ACwAAB12cd":       1,
		"https://www.linkedin.com/sales/people/ACwAAB12cd,a,b": 1,
		"https://www.linkedin.com/sales/lead/ACwAAB99zz,N,b":   1, // enrolled as a profile
		"Ann@Example.com": 1, "mailto:Ann@Example.com": 1, "bob@example.com": 1, "BOB@EXAMPLE.COM": 1, "Bob <bob@example.com>": 1,
		"Ann@Example.com, bob@example.com": 2, "ann@example.com": 0, // enrolled in another case
		"grace hopper": 2, "Grace-Hopper": 2, "José García": 1, "grace-hopper-4b7": 1, "nothing like this": 0, "": 0,
	} {
		require.Len(t, find(text).Prospects, count, text)
	}
	for text, account := range map[string]string{
		"Jane Doe": "h_1", "jane   doe": "h_1", "Doe": "h_1", "doe jane": "h_1", "O'Brien": "h_2", "Zoe OBrien": "h_2", "zoë o`brien": "h_2", "smith": "h_2",
		"jose garcia": "jane@acme.com", "GARCÍA": "jane@acme.com", "jane@acme.com": "jane@acme.com", "lukasz": "h_4", "zak": "h_4", "H_4": "h_4", `"Jane Doe"`: "h_1",
	} {
		found := find(text).Accounts
		require.Len(t, found, 1, text)
		require.Equal(t, account, found[0].Account, text)
	}
	require.Len(t, find("jane").Accounts, 3)
	require.Equal(t, readmodel.MatchName, find("jane DOE").Accounts[0].Match)
	require.Equal(t, readmodel.MatchID, find("h_4").Accounts[0].Match)
	require.Len(t, find("koln fruhling").Campaigns, 1)
	require.Len(t, find("2026").Campaigns, 1)
	require.Equal(t, readmodel.MatchStart, find("spring").Campaigns[0].Match)
	require.Len(t, find("acme corp").Workspaces, 1)
	require.NotEmpty(t, find("nothing like this").Tried)
	for _, text := range []string{"'", `\`, "%", "a'b:*&!|()<->", strings.Repeat("ab ", 600), ".", "_", "\u200b"} {
		find(text) // without an error
	}
}

// A search that has more results than a page says so, and each result is on one page.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('acme'), ('other');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id, display_name)
		SELECT 1, CASE WHEN n % 3 = 0 THEN 'jane-' ELSE 'h_' END || n, 'Some Jane ' || n FROM generate_series(1, 57) AS n;
		INSERT INTO thaw.campaigns (workspace_id, key) VALUES (1, 'spring');
		INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url)
		SELECT 1, 1, 1, CASE n % 2 WHEN 0 THEN 'https://www.' ELSE 'http://' END || 'linkedin.com/in/jane-doe-' || n FROM generate_series(1, 57) AS n`)
	for kind, ids := range map[string]func(readmodel.Found) ([]int64, *string){
		"accounts": func(f readmodel.Found) (ids []int64, next *string) {
			for _, a := range f.Accounts {
				ids = append(ids, a.ID)
			}
			return ids, f.Next.Accounts
		},
		"prospects": func(f readmodel.Found) (ids []int64, next *string) {
			for _, p := range f.Prospects {
				ids = append(ids, p.EnrollmentID)
			}
			return ids, f.Next.Prospects
		},
	} {
		text := map[string]string{"accounts": "jane", "prospects": "Jane Doe"}[kind]
		first, err := readmodel.Search(t.Context(), store.New(db.Pool), readmodel.Everything(), text, readmodel.SearchFilter{})
		require.NoError(t, err)
		page, next := ids(first)
		require.Len(t, page, 10, kind)
		seen := page
		for next != nil {
			found, err := readmodel.Search(t.Context(), store.New(db.Pool), readmodel.Everything(), text, readmodel.SearchFilter{Kind: kind, Paging: readmodel.Paging{Cursor: *next}})
			require.NoError(t, err)
			page, next = ids(found)
			require.LessOrEqual(t, len(page), 10)
			seen = append(seen, page...)
		}
		require.Len(t, seen, 57, kind)
		slices.Sort(seen)
		require.Len(t, slices.Compact(seen), 57, kind)
		other, err := readmodel.Search(t.Context(), store.New(db.Pool), readmodel.OfWorkspace(2), text, readmodel.SearchFilter{})
		require.NoError(t, err)
		require.True(t, other.IsEmpty())
	}
}
