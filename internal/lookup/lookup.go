// Package lookup reads what people paste into a search: a URL, a part of one, the name of a person,
// an ID, an e-mail address, several of these. It returns the forms in which the database is
// searched; it does not access the database itself.
//
// Two kinds of forms identify different things. [Item.URLs] and [Item.Beginnings] identify one
// person: an action may use them. [Item.Similar] are guesses from a name: they are only shown.
//
// All forms of an item are bounded, because each is looked up in an index.
package lookup

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/thawline/thaw/internal/explain"
)

const (
	// MaxItems is how many URLs of one paste are looked up.
	MaxItems = 20
	// maxWords is how many words the name of a person has.
	maxWords = 5
	// minSimilar is how many characters a name needs before prospects with similar names are looked
	// up.
	minSimilar = 3
)

// A Query is a pasted text.
type Query struct {
	Items   []Item // one per URL in the text; for a text without a URL one
	Omitted int    // URLs beyond MaxItems
}

// An Item is one thing to find.
type Item struct {
	Text string // without quotes, brackets and the punctuation around it
	// URLs are the URLs under which the prospect may have been enrolled, starting with the text.
	URLs []string
	// Beginnings identify the prospect too, but the URL continues: a Sales Navigator URL ends with
	// words that change with every search.
	Beginnings []string
	// Similar are the beginnings of profile URLs that people with this name may have.
	Similar []string
	// Name is the text to find in the IDs, keys and names of accounts, campaigns and workspaces.
	// Empty if the text has several URLs.
	Name string
	// Tried says for people which prospects are looked up, and TriedNames what else is.
	Tried      []string
	TriedNames string
}

// MaxText is the maximum length of a text, in bytes.
const MaxText = 10_000

// Check returns an error if a text cannot be searched for.
func Check(text string) error {
	switch {
	case len(text) > MaxText:
		return fmt.Errorf("the text is %d bytes long: search for at most %d bytes", len(text), MaxText)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return errors.New("the text is not valid UTF-8: copy it again")
	default:
		return nil
	}
}

// Parse reads a text.
func Parse(text string) Query {
	var q Query
	for _, token := range tokens(text) {
		address, isMail := explain.Mail(token)
		if !isMail && !isAddress(token) {
			continue
		}
		if len(q.Items) == MaxItems {
			q.Omitted++
			continue
		}
		if isMail {
			q.Items = append(q.Items, mailItem(address))
		} else {
			q.Items = append(q.Items, addressItem(token))
		}
	}
	if len(q.Items) == 0 {
		if whole := Clean(text); whole != "" {
			q.Items = []Item{nameItem(whole)}
		}
	}
	if len(q.Items) == 1 {
		item := &q.Items[0]
		item.Name = item.Text
		item.TriedNames = fmt.Sprintf(
			"accounts, campaigns and workspaces whose ID or key begins with %q, or whose name has words that begin with these words", item.Text)
	}
	// The text itself may be what was enrolled, with brackets or a dot at its end.
	if given := strings.TrimSpace(text); len(q.Items) == 1 && given != q.Items[0].Text && explain.CheckURL(given) == nil {
		urls := explain.Spellings(given)
		for _, spelling := range q.Items[0].URLs {
			if !slices.Contains(urls, spelling) {
				urls = append(urls, spelling)
			}
		}
		q.Items[0].URLs = urls
	}
	return q
}

// URLs returns the URLs under which one pasted prospect may have been enrolled: see [Item.URLs].
// For a text with several URLs these are the URLs of the first.
func URLs(text string) []string {
	q := Parse(text)
	if len(q.Items) == 0 {
		return []string{strings.TrimSpace(text)}
	}
	return q.Items[0].URLs
}

// Person returns the same text for all URLs that identify the same person.
func Person(prospectURL string) string {
	normal := explain.NormalURL(prospectURL)
	if found := lead.FindStringSubmatch(normal); found != nil {
		return found[2]
	}
	return normal
}

// inText matches the start of a URL within a text that has several without a space.
var inText = regexp.MustCompile(`(?i)https?://`)

// tokens splits a text at space, quotes and brackets, and before each URL. A comma does not split:
// a Sales Navigator URL has commas.
func tokens(text string) []string {
	fields := strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || isQuote(r) || strings.ContainsRune("<>()[]{}|;", r) || isInvisible(r)
	})
	var found []string
	for _, field := range fields {
		starts := inText.FindAllStringIndex(field, -1)
		from := 0
		for _, start := range starts {
			// A URL in the query of another one belongs to it.
			if start[0] > from && strings.ContainsRune(",|", rune(field[start[0]-1])) {
				found = append(found, field[from:start[0]])
				from = start[0]
			}
		}
		found = append(found, field[from:])
	}
	for i, token := range found {
		found[i] = Clean(token)
	}
	return found
}

// Clean removes what is around a pasted text: space, quotes, brackets, invisible characters, and
// punctuation at its end.
func Clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if isInvisible(r) {
			return -1
		}
		if unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, text)
	around := func(r rune) bool { return r == ' ' || isQuote(r) || strings.ContainsRune("<>()[]{}|", r) }
	text = strings.TrimFunc(text, around)
	text = strings.TrimRightFunc(text, func(r rune) bool { return around(r) || strings.ContainsRune(".,;:!?", r) })
	return strings.TrimLeft(text, ",;:@ ")
}

func isQuote(r rune) bool { return strings.ContainsRune("\"'`´“”„‟‘’‚‛«»‹›", r) }

func isInvisible(r rune) bool {
	return r == '\u200b' || r == '\ufeff' || r == '\u00ad' || r == '\u2060' || r == '\u200e' || r == '\u200f'
}

// pathOnly matches a profile without its host: /in/janedoe, in/janedoe.
var pathOnly = regexp.MustCompile(`(?i)^/?(?:mwlite/)?in/[^/\s]+`)

// isAddress reports whether a token is a URL or the path of a profile.
func isAddress(token string) bool {
	switch {
	case pathOnly.MatchString(token), strings.Contains(token, "://"):
		return true
	case !strings.Contains(strings.Trim(token, "/"), "/"):
		return false
	default:
		return strings.HasPrefix(explain.NormalURL(token), "https://")
	}
}

// site is the normal start of a LinkedIn URL.
const site = "https://www.linkedin.com"

// profile matches the path of a profile within a LinkedIn URL that is not a plain profile URL.
var profile = regexp.MustCompile(`(?i)^` + regexp.QuoteMeta(site) + `/(?:mwlite|mwlite/profile|m)/in/([^/?#]+)`)

// lead matches the URL of a person in Sales Navigator or Recruiter. What follows the ID changes
// with every search.
var lead = regexp.MustCompile(`(?i)^` + regexp.QuoteMeta(site) + `/(sales/lead|sales/people|talent/profile)/([A-Za-z0-9_-]+)`)

// addressItem is the item of a URL, or of the path of a profile.
func addressItem(token string) Item {
	item := Item{Text: token}
	whole := token
	if pathOnly.MatchString(token) {
		whole = site + "/" + strings.TrimPrefix(token, "/")
	}
	item.add(token)
	if whole != token {
		item.add(whole)
	}
	normal := explain.NormalURL(whole)
	if found := profile.FindStringSubmatch(normal); found != nil {
		item.add(site + "/in/" + found[1])
	}
	found := lead.FindStringSubmatch(normal)
	if found == nil {
		item.Tried = append(item.Tried, fmt.Sprintf("the prospect %s in %d spellings", normal, len(item.URLs)))
		return item
	}
	id := found[2]
	for _, id := range sameMember(id) {
		for _, kind := range []string{"sales/lead", "sales/people", "talent/profile"} {
			item.add(site + "/" + kind + "/" + id)
			for _, base := range bases() {
				item.Beginnings = append(item.Beginnings, base+kind+"/"+id+",")
			}
		}
		item.add(site + "/in/" + id)
	}
	item.Tried = append(item.Tried, fmt.Sprintf("the Sales Navigator ID %s, as %s and as %s", id, site+"/"+found[1]+"/"+id, site+"/in/"+id))
	return item
}

// sameMember returns the IDs of a member in Sales Navigator and in its profile. They differ in one
// letter only.
func sameMember(id string) []string {
	ids := []string{id}
	if len(id) > 5 && (strings.HasPrefix(id, "ACwAA") || strings.HasPrefix(id, "ACoAA")) {
		other := map[byte]string{'w': "o", 'o': "w"}[id[2]]
		ids = append(ids, id[:2]+other+id[3:])
	}
	return ids
}

// bases are the spellings of the start of a LinkedIn URL.
func bases() []string {
	var all []string
	for _, scheme := range []string{"https://", "http://", ""} {
		for _, host := range []string{"www.linkedin.com/", "linkedin.com/"} {
			all = append(all, scheme+host)
		}
	}
	return all
}

// isSlug reports whether a text may be a slug, the last part of a profile URL: 2 to 200 letters,
// digits, marks and a few signs. A regular expression with this repetition would take 11 ms to
// compile in every process.
func isSlug(text string) bool {
	if n := utf8.RuneCountInString(text); n < 2 || n > 200 {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) && !strings.ContainsRune("%_.-", r)
	})
}

// mailItem is the item of an e-mail address: of a prospect, of a mailbox, or of a person whose name
// it has.
func mailItem(address string) Item {
	item := nameItem(address)
	item.Tried = append([]string{fmt.Sprintf("the prospect %s in %d spellings", explain.NormalURL(address), len(item.URLs))}, item.Tried...)
	return item
}

// nameItem is the item of a text that is not a URL: a slug, a name, an ID.
func nameItem(text string) Item {
	item := Item{Text: text}
	slug := strings.Trim(text, "/")
	item.add(text)
	if isSlug(slug) {
		item.add(site + "/in/" + slug)
		item.Tried = append(item.Tried, fmt.Sprintf("the prospect %s/in/%s in %d spellings", site, slug, len(item.URLs)))
	}
	name := text
	if local, domain, isMail := strings.Cut(text, "@"); isMail && !strings.Contains(domain, "@") {
		name = strings.Map(func(r rune) rune {
			if strings.ContainsRune("._-+", r) {
				return ' '
			}
			return r
		}, local)
	}
	slugs := slugsOf(name)
	for _, base := range bases() {
		for _, slug := range slugs {
			item.Similar = append(item.Similar, base+"in/"+slug)
		}
	}
	if len(slugs) > 0 {
		item.Tried = append(item.Tried, "prospects whose profile begins with "+strings.Join(slugs, ", "))
	}
	return item
}

// slugsOf returns the beginnings of the slugs that LinkedIn makes for a name: the words with and
// without hyphens, in both orders.
func slugsOf(name string) []string {
	var plain, written []string // without and with accents
	for _, word := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !isQuote(r)
	}) {
		word = strings.Map(func(r rune) rune {
			if isQuote(r) {
				return -1
			}
			return r
		}, word)
		if word != "" {
			plain, written = append(plain, withoutAccents(word)), append(written, norm.NFC.String(word))
		}
	}
	if len(plain) == 0 || len(plain) > maxWords || utf8.RuneCountInString(strings.Join(plain, "")) < minSimilar {
		return nil
	}
	var slugs []string
	add := func(words []string) {
		for _, slug := range []string{strings.Join(words, "-"), strings.Join(words, "")} {
			for _, spelling := range []string{slug, url.PathEscape(slug), lowerHex(url.PathEscape(slug))} {
				if !slices.Contains(slugs, spelling) {
					slugs = append(slugs, spelling)
				}
			}
		}
	}
	for _, words := range [][]string{plain, written} {
		add(words)
		if last := len(words) - 1; last > 0 {
			reversed := append([]string{words[last]}, words[:last]...)
			add(reversed)
		}
		if last := len(words) - 1; last > 1 {
			add([]string{words[0], words[last]})
		}
	}
	return slugs
}

// notDecomposed are letters whose plain form Unicode does not know.
var notDecomposed = strings.NewReplacer("ł", "l", "ø", "o", "đ", "d", "ı", "i", "ð", "d", "ß", "ss", "æ", "ae", "œ", "oe", "þ", "th")

// withoutAccents writes a lower-case word in the plain letters that LinkedIn uses in slugs.
func withoutAccents(word string) string {
	return notDecomposed.Replace(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(word)))
}

// lowerHex writes percent-encoded bytes with lower-case hex digits.
func lowerHex(escaped string) string {
	return percentEncoded.ReplaceAllStringFunc(escaped, strings.ToLower)
}

var percentEncoded = regexp.MustCompile(`%[0-9A-F]{2}`)

// add appends all spellings of a URL.
func (i *Item) add(raw string) {
	if explain.CheckURL(raw) != nil {
		return
	}
	for _, spelling := range explain.Spellings(raw) {
		if !slices.Contains(i.URLs, spelling) {
			i.URLs = append(i.URLs, spelling)
		}
	}
}
