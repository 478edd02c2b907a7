package explain

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNormalURL(t *testing.T) {
	t.Parallel()
	const ada = "https://www.linkedin.com/in/ada-lovelace"
	for raw, want := range map[string]string{
		ada: ada,
		"https://www.linkedin.com/in/ada-lovelace/":                ada,
		"https://www.linkedin.com/in/ada-lovelace///":              ada,
		"http://www.linkedin.com/in/ada-lovelace":                  ada,
		"HTTP://WWW.LINKEDIN.COM/IN/Ada-Lovelace":                  ada,
		"linkedin.com/in/ada-lovelace":                             ada,
		"//linkedin.com/in/ada-lovelace":                           ada,
		"https://linkedin.com/in/ada-lovelace":                     ada,
		"https://m.linkedin.com/in/ada-lovelace":                   ada,
		"https://de.linkedin.com/in/ada-lovelace":                  ada,
		"https://www.linkedin.com:443/in/ada-lovelace":             ada,
		"https://www.linkedin.com./in/ada-lovelace":                ada,
		"https://www.linkedin.com/in/ada-lovelace?trk=a&x=/in/b":   ada,
		"https://www.linkedin.com/in/ada-lovelace#experience":      ada,
		"https://www.linkedin.com/in/ada-lovelace/details/skills/": ada,
		"https://www.linkedin.com/in/ada%2Dlovelace":               ada,
		"https://www.linkedin.com/in/Jörg":                         "https://www.linkedin.com/in/j%C3%B6rg",
		"https://www.linkedin.com/in/j%c3%b6rg":                    "https://www.linkedin.com/in/j%C3%B6rg",
		"https://www.linkedin.com/in/J%C3%96RG/":                   "https://www.linkedin.com/in/j%C3%B6rg",
		// Pages other than profiles keep their case, and other sites keep their query too.
		"https://www.linkedin.com/sales/lead/ACwAAA,NAME?_ntb=1": "https://www.linkedin.com/sales/lead/ACwAAA,NAME",
		"http://People.Example.com/P?id=7#top":                   "https://people.example.com/P?id=7",
		"https://example.com:8443/p/":                            "https://example.com:8443/p",
		"https://business.linkedin.com/in/ada":                   "https://business.linkedin.com/in/ada",
		"https://linkedin.com.example.com/in/Ada":                "https://linkedin.com.example.com/in/Ada",
		// Text that is not the URL of a page is unchanged.
		"ada":                        "ada",
		"":                           "",
		"ftp://linkedin.com/in/ada":  "ftp://linkedin.com/in/ada",
		"https://a:b@linkedin.com/x": "https://a:b@linkedin.com/x",
		"https://[::1]/in/ada":       "https://[::1]/in/ada",
		"https://linkedin.com/%zz":   "https://linkedin.com/%zz",
	} {
		require.Equal(t, want, NormalURL(raw), "%q", raw)
		require.Equal(t, want, NormalURL(" \t"+raw+"\r\n"), "%q", raw)
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"ada@example.com", "Ada@Example.com", " ada@EXAMPLE.com\r\n", "mailto:ada@example.com", "MAILTO:Ada@example.com?subject=Hi",
		"mailto:%61da@example.com",
	} {
		require.Equal(t, "ada@example.com", NormalURL(raw), "%q", raw)
		require.Contains(t, Spellings(raw), "ada@example.com")
		require.Contains(t, Spellings(raw), "mailto:ada@example.com")
		require.Equal(t, raw, Spellings(raw)[0])
		require.LessOrEqual(t, len(Spellings(raw)), 6)
		for _, spelling := range Spellings(raw) {
			require.Equal(t, "ada@example.com", NormalURL(spelling), "%q", spelling)
		}
	}
	require.Contains(t, Spellings("Ada.Lovelace+x@Example.com"), "mailto:Ada.Lovelace+x@Example.com")
	for _, raw := range []string{
		"ada", "@example.com", "ada@", "ada@localhost", "ada@example..com", "ada@example.com.", "a@b@example.com", "ada lovelace@example.com",
		"https://ada@example.com", "ada:pw@example.com", "example.com/@ada.b", "<ada@example.com>", "mailto:", "mailto:ada%@example.com",
		"mailto:ada%00@example.com", strings.Repeat("a", 65) + "@example.com",
	} {
		_, ok := Mail(raw)
		require.False(t, ok, "%q", raw)
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"Linkedin.com/in/Ada/?a=b",
		"https://www.linkedin.com/in/ada", "https://www.linkedin.com/in/ada/", "https://linkedin.com/in/ada", "https://linkedin.com/in/ada/",
		"http://www.linkedin.com/in/ada", "http://www.linkedin.com/in/ada/", "http://linkedin.com/in/ada", "http://linkedin.com/in/ada/",
		"www.linkedin.com/in/ada", "www.linkedin.com/in/ada/", "linkedin.com/in/ada", "linkedin.com/in/ada/",
		"https://www.linkedin.com/in/Ada", "https://www.linkedin.com/in/Ada/", "https://linkedin.com/in/Ada", "https://linkedin.com/in/Ada/",
		"http://www.linkedin.com/in/Ada", "http://www.linkedin.com/in/Ada/", "http://linkedin.com/in/Ada", "http://linkedin.com/in/Ada/",
		"www.linkedin.com/in/Ada", "www.linkedin.com/in/Ada/", "linkedin.com/in/Ada", "linkedin.com/in/Ada/",
	}, Spellings("Linkedin.com/in/Ada/?a=b"))
	require.Equal(t, []string{"p17"}, Spellings("p17"))
	require.Contains(t, Spellings("https://www.linkedin.com/in/j%C3%B6rg"), "http://linkedin.com/in/jörg")
	require.Contains(t, Spellings("https://www.linkedin.com/in/jörg"), "https://www.linkedin.com/in/j%c3%b6rg/")
}

// Each spelling costs an index lookup, so a URL of the maximum length has few spellings.
func TestLongURLHasFewSpellings(t *testing.T) {
	t.Parallel()
	for _, slug := range []string{strings.Repeat("Ö%c3%96a", 150), strings.Repeat("a", MaxURL-40), strings.Repeat("%41", 600)} {
		asked := "https://www.linkedin.com/in/" + slug
		spellings := Spellings(asked)
		require.LessOrEqual(t, len(spellings), 25)
		require.Contains(t, spellings, NormalURL(asked))
		require.Equal(t, asked, spellings[0])
	}
	// A profile URL within LinkedIn's limits is looked up in all its spellings.
	name := strings.Repeat("Ö", 100)
	require.Contains(t, Spellings("https://www.linkedin.com/in/"+name), "linkedin.com/in/"+strings.ToLower(strings.Repeat("%c3%b6", 100)))
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckURL("https://www.linkedin.com/in/jörg"))
	require.NoError(t, CheckURL("any text that a platform uses for a prospect"))
	require.ErrorContains(t, CheckURL("  "), "is empty")
	require.ErrorContains(t, CheckURL(strings.Repeat("a", 2001)), "is 2001 bytes long: at most 2000 are allowed")
	require.ErrorContains(t, CheckURL("a\xff"), "not valid UTF-8")
	require.ErrorContains(t, CheckURL("a\x00b"), "control characters")
}

// A lookup by any spelling of a profile finds an enrollment under any other spelling.
func TestAnySpellingFindsTheOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		slug := rapid.StringMatching(`[a-z0-9äöüéñ一-二-]{1,12}`).Draw(t, "slug")
		spell := func(label string) string {
			return rapid.SampledFrom([]string{"https://", "http://", ""}).Draw(t, label+" scheme") +
				rapid.SampledFrom([]string{"www.linkedin.com", "linkedin.com"}).Draw(t, label+" host") + "/in/" + slug +
				rapid.SampledFrom([]string{"", "/"}).Draw(t, label+" slash")
		}
		enrolled := spell("enrolled")
		asked := rapid.SampledFrom([]func(string) string{
			func(s string) string { return s },
			func(s string) string { return strings.Replace(s, "linkedin", "LinkedIn", 1) },
			func(s string) string { return s + "?trk=a" },
			func(s string) string { return s + "#a" },
			func(s string) string { return strings.Replace(s, slug, strings.ToUpper(slug), 1) },
			func(s string) string { return " " + s },
		}).Draw(t, "change")(spell("asked"))
		require.Equal(t, NormalURL(enrolled), NormalURL(asked))
		require.Contains(t, Spellings(asked), enrolled)
	})
}

func FuzzSpellings(f *testing.F) {
	for _, seed := range []string{
		"https://www.linkedin.com/in/ada", "m.linkedin.com/in/Ada/?a#b", "in/ada", "https://de.linkedin.com/in/j%C3%B6rg", "//x.y//z//",
		"https://linkedin.com/in/%2F", "https://linkedin.com/in/%25zz", "http://a.b:80/?", "https://linkedin.com/in/İ", "a.b?c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		normal := NormalURL(raw)
		require.Equal(t, normal, NormalURL(normal), "normalizing twice changes nothing")
		spellings := Spellings(raw)
		require.Equal(t, raw, spellings[0])
		require.LessOrEqual(t, len(spellings), 80)
		seen := map[string]bool{}
		for _, s := range spellings {
			require.False(t, seen[s], "%q twice", s)
			seen[s] = true
			require.Equal(t, normal, NormalURL(s), "%q", s)
		}
	})
}
