package pages

import (
	"html/template"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/thawline/thaw/internal/explain"
)

// prospectName returns a name to show for a prospect: the words of the slug of a profile, without
// the characters that the platform appends to make it unique. A URL without such a slug is returned
// without its scheme.
func prospectName(prospectURL string) string {
	slug, ok := slugOf(prospectURL)
	if !ok {
		return shortURL(prospectURL)
	}
	var words []string
	for _, word := range strings.FieldsFunc(slug, func(r rune) bool { return r == '-' || r == '_' || r == '.' || unicode.IsSpace(r) }) {
		// A word with a digit is not a name, unless it is the whole slug.
		if len(words) > 0 && strings.ContainsFunc(word, unicode.IsDigit) {
			continue
		}
		first, size := utf8.DecodeRuneInString(word)
		words = append(words, string(unicode.ToTitle(first))+word[size:])
	}
	if len(words) == 0 {
		return shortURL(prospectURL)
	}
	return strings.Join(words, " ")
}

// slugOf returns the decoded slug of a profile URL, such as "jane-doe-1a2b" of
// https://www.linkedin.com/in/jane-doe-1a2b.
func slugOf(prospectURL string) (string, bool) {
	_, path, ok := strings.Cut(prospectURL, "/in/")
	if !ok {
		return "", false
	}
	slug, _, _ := strings.Cut(path, "/")
	slug, _, _ = strings.Cut(slug, "?")
	slug, err := url.PathUnescape(slug)
	return slug, err == nil && slug != "" && utf8.ValidString(slug) && !strings.ContainsFunc(slug, unicode.IsControl)
}

// shortURL returns a URL without its scheme and "www.".
func shortURL(address string) string {
	if mail, ok := explain.Mail(address); ok {
		return mail
	}
	address = strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://")
	return strings.TrimPrefix(address, "www.")
}

// minuteInSentence is a time in a sentence of package explain.
var minuteInSentence = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\dZ`)

// replaceTimes replaces the times in a sentence of package explain. other maps the text between
// them.
func replaceTimes(sentence string, at func(time.Time) string, other func(string) string) string {
	var b strings.Builder
	from := 0
	for _, place := range minuteInSentence.FindAllStringIndex(sentence, -1) {
		t, err := time.Parse("2006-01-02T15:04Z", sentence[place[0]:place[1]])
		if err != nil {
			continue
		}
		b.WriteString(other(sentence[from:place[0]]))
		b.WriteString(at(t))
		from = place[1]
	}
	b.WriteString(other(sentence[from:]))
	return b.String()
}

// timed renders a sentence of package explain with time elements, so that its times are in the same
// zone as the others on the page.
func timed(sentence string) template.HTML {
	at := func(t time.Time) string {
		return `<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format("2006-01-02 15:04") + ` UTC</time>`
	}
	return template.HTML(replaceTimes(sentence, at, template.HTMLEscapeString)) //nolint:gosec // escaped above
}

// reply returns a sentence to send to a customer, with times in their time zone.
func reply(sentence string, zone string) string {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		location, zone = time.UTC, "UTC"
	}
	at := func(t time.Time) string { return t.In(location).Format("Monday 2 January, 15:04") + " (" + zone + ")" }
	return replaceTimes(sentence, at, func(text string) string { return text })
}
