package lookup_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/lookup"
)

const jane = "https://www.linkedin.com/in/jane-doe"

// What people paste for one profile finds the URL under which it was enrolled.
func TestURLs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		jane, "jane-doe", "Jane-Doe", "/in/jane-doe", "in/jane-doe", "/in/jane-doe/", "linkedin.com/in/jane-doe", `"` + jane + `"`, "“jane-doe”", "'/in/jane-doe'",
		jane + ".", jane + "/.", "(" + jane + ")", "<" + jane + ">", "see " + jane + ", please", jane + "?trk=x", "@jane-doe", "\ufeff" + jane,
		"https://www.linkedin.com/mwlite/in/jane-doe", "https://www.linkedin.com/in/jane-doe/details/skills/",
	} {
		require.Contains(t, lookup.URLs(text), jane, "%q", text)
	}
	require.Equal(t, explain.Spellings("https://people.example.com/p?id=7"), lookup.URLs("https://people.example.com/p?id=7"))
	require.Equal(t, "https://example.com/a_(b)", lookup.URLs("https://example.com/a_(b)")[0], "the text itself comes first")
	require.Empty(t, lookup.URLs(" ")[0])
}

func TestSalesNavigator(t *testing.T) {
	t.Parallel()
	item := lookup.Parse("https://www.linkedin.com/sales/lead/ACwAAB1c2d3,NAME_SEARCH,Ab1c?_ntb=x").Items[0]
	require.Contains(t, item.URLs, "https://www.linkedin.com/in/ACwAAB1c2d3")
	require.Contains(t, item.URLs, "https://www.linkedin.com/in/ACoAAB1c2d3")
	require.Contains(t, item.URLs, "https://www.linkedin.com/sales/people/ACwAAB1c2d3")
	require.Contains(t, item.Beginnings, "https://www.linkedin.com/sales/lead/ACwAAB1c2d3,")
	require.Empty(t, item.Similar)
	require.Equal(t, lookup.Person("https://www.linkedin.com/sales/lead/ACwAAB1c2d3,NAME_SEARCH,Ab1c"), lookup.Person("https://www.linkedin.com/sales/lead/ACwAAB1c2d3,x,y"))
}

func TestSeveralURLs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		jane + " https://linkedin.com/in/bob", jane + "\nhttps://linkedin.com/in/bob", jane + ", /in/bob", jane + ",https://linkedin.com/in/bob", jane + ";linkedin.com/in/bob",
	} {
		q := lookup.Parse(text)
		require.Len(t, q.Items, 2, "%q", text)
		require.Contains(t, q.Items[0].URLs, jane, "%q", text)
		require.Contains(t, q.Items[1].URLs, "https://www.linkedin.com/in/bob", "%q", text)
	}
	q := lookup.Parse(strings.Repeat(jane+" ", lookup.MaxItems+3))
	require.Len(t, q.Items, lookup.MaxItems)
	require.Equal(t, 3, q.Omitted)
}

// An e-mail address may be that of a prospect, of a mailbox, or of a person.
func TestMail(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"Jane.Doe@example.com", "mailto:Jane.Doe@example.com", "Jane Doe <Jane.Doe@example.com>,", `"Jane.Doe@example.com"`} {
		q := lookup.Parse(text)
		require.Len(t, q.Items, 1, text)
		require.Subset(t, q.Items[0].URLs, []string{"Jane.Doe@example.com", "jane.doe@example.com", "mailto:jane.doe@example.com"}, text)
		require.Equal(t, "Jane.Doe@example.com", q.Items[0].Name, text)
		require.Contains(t, q.Items[0].Similar, "https://www.linkedin.com/in/jane-doe", text)
	}
	require.Len(t, lookup.Parse("a@example.com b@example.com, "+jane).Items, 3)
	require.Equal(t, lookup.Person("Ada@Example.com"), lookup.Person("mailto:ada@example.com"))
}

// The name of a person is the beginning of the URL of the profile.
func TestSimilar(t *testing.T) {
	t.Parallel()
	for text, slugs := range map[string][]string{
		"Jane Doe":               {"jane-doe", "janedoe", "doe-jane"},
		"  Jane   DOE ":          {"jane-doe"},
		"Doe, Jane":              {"jane-doe"},
		"Jane Mary Doe":          {"jane-mary-doe", "jane-doe"},
		"José García":            {"jose-garcia", "jos%C3%A9-garc%C3%ADa", "jos%c3%a9-garc%c3%ada"},
		"Seán O’Brien":           {"sean-obrien"},
		"Łukasz Żak":             {"lukasz-zak"},
		"jane.doe@example.com":   {"jane-doe", "janedoe"},
		"jane_doe+x@example.com": {"jane-doe-x"},
		"jane":                   {"jane"},
		"Anna-Lena Groß":         {"anna-lena-gross"},
		"Иван Петров":            {"%D0%B8%D0%B2%D0%B0%D0%BD-%D0%BF%D0%B5%D1%82%D1%80%D0%BE%D0%B2"},
	} {
		similar := lookup.Parse(text).Items[0].Similar
		for _, slug := range slugs {
			require.Contains(t, similar, "https://www.linkedin.com/in/"+slug, "%q", text)
			require.Contains(t, similar, "linkedin.com/in/"+slug, "%q", text)
		}
	}
	for _, text := range []string{"a", "ab", "one two three four five six", jane} {
		require.Empty(t, lookup.Parse(text).Items[0].Similar, "%q", text)
	}
	require.Empty(t, lookup.Parse(` "" . `).Items)
}

// Every item is bounded, whatever the text is.
func TestItemsAreBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`(https?://)?(www\.)?(linkedin\.com|example\.com)?/?(in|sales/lead)?/?[A-Za-zé%,. '"-]{0,80}`)).Draw(t, "text")
		q := lookup.Parse(text)
		require.LessOrEqual(t, len(q.Items), lookup.MaxItems)
		for _, item := range q.Items {
			require.NotEmpty(t, strings.Join(item.Tried, "")+item.TriedNames, "%q", text)
			require.LessOrEqual(t, len(item.URLs), 400)
			require.LessOrEqual(t, len(item.Beginnings)+len(item.Similar), 220)
		}
		if explain.CheckURL(text) == nil {
			require.NotEmpty(t, lookup.URLs(text))
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	require.NoError(t, lookup.Check("Jane\nDoe"))
	require.EqualError(t, lookup.Check("\xff"), "the text is not valid UTF-8: copy it again")
	require.Error(t, lookup.Check("a\x00"))
	require.EqualError(t, lookup.Check(strings.Repeat("a", 10_001)), "the text is 10001 bytes long: search for at most 10000 bytes")
}

// A text is tried as the slug of a profile if it has 2 to 200 letters, digits, marks or signs of a
// slug.
func TestSlugs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"jd": true, "jane-doe": true, "jane_doe.1": true, "zoé": true, "zoe\u0301": true, "%C3%A9va": true, "名前": true, "Ⅷ9": true,
		strings.Repeat("é", 200): true,
		"j":                      false, "jane doe": false, "jane,doe": false, "jane+doe": false, "a@b": false, strings.Repeat("é", 201): false,
	} {
		require.Equal(t, want, lookup.Parse(text).Items[0].URLs != nil &&
			strings.Contains(strings.Join(lookup.Parse(text).Items[0].Tried, " "), "/in/"+text+" "), "%q", text)
	}
}
