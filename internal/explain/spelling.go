package explain

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxURL is the greatest length of a prospect's URL, in bytes.
const MaxURL = 2000

// CheckURL says what is wrong with a text that no prospect's URL can be.
func CheckURL(raw string) error {
	switch {
	case strings.TrimSpace(raw) == "":
		return errors.New("the URL of a prospect is empty")
	case len(raw) > MaxURL:
		return fmt.Errorf("the URL of a prospect has %d bytes: at most %d", len(raw), MaxURL)
	case !utf8.ValidString(raw):
		return errors.New("the URL of a prospect is not UTF-8")
	case strings.ContainsFunc(strings.TrimSpace(raw), unicode.IsControl):
		return errors.New("the URL of a prospect has control characters")
	default:
		return nil
	}
}

// NormalURL returns the one spelling that stands for all spellings of a prospect's URL: https, the host in lower case and
// without a usual port, no slash at the end, no fragment. For LinkedIn, where only the path says who it is, also no query, and
// www.linkedin.com for the hosts of countries and phones; of a profile /in/<slug> just that, the slug in lower case and with
// all but plain letters percent-encoded. A text that is not the URL of a page stays as it is, but for space around it.
func NormalURL(raw string) string {
	a, ok := parseAddress(raw)
	if !ok {
		return strings.TrimSpace(raw)
	}
	return "https://" + a.hosts[0] + a.path + a.query
}

// Spellings returns the spellings under which a prospect may have been enrolled, the given one first: with https, http and
// without either, with and without www, with and without a slash at the end; the slug of a LinkedIn profile as given and in
// lower case, percent-encoded and not. All of them have the same [NormalURL]. Their number is bounded, so that each can be
// looked up in the index of prospects as they were enrolled.
func Spellings(raw string) []string {
	spellings := []string{raw}
	if trimmed := strings.TrimSpace(raw); trimmed != raw {
		spellings = append(spellings, trimmed)
	}
	a, ok := parseAddress(raw)
	if !ok {
		return spellings
	}
	seen := make(map[string]bool)
	for _, s := range spellings {
		seen[s] = true
	}
	normal := "https://" + a.hosts[0] + a.path + a.query
	for _, path := range a.paths() {
		for _, scheme := range []string{"https://", "http://", ""} {
			// A slug may say something else in another spelling. Parsing is the expensive part, and host and slash change nothing
			// about it: one of each is asked.
			if NormalURL(scheme+a.hosts[len(a.hosts)-1]+path+a.query) != normal {
				continue
			}
			for _, host := range a.hosts {
				for _, slash := range []string{"", "/"} {
					spelling := scheme + host + path + slash + a.query
					if isShort := len(spelling) <= MaxURL && (scheme != "" || len("https://"+spelling) <= MaxURL); isShort && !seen[spelling] {
						seen[spelling] = true
						spellings = append(spellings, spelling)
					}
				}
			}
		}
	}
	return spellings
}

// An address is a URL in parts.
type address struct {
	hosts []string // in their spellings, the normal one first
	path  string   // in its normal spelling, without a slash at the end
	query string   // empty, or with its question mark
	// slug names a LinkedIn profile, and given is its spelling in the URL; empty: it is another page.
	slug, given string
}

func parseAddress(raw string) (address, bool) {
	raw = strings.TrimSpace(raw)
	if !strings.Contains(raw, "://") {
		raw = "https://" + strings.TrimPrefix(raw, "//")
	}
	if CheckURL(raw) != nil {
		return address{}, false
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return address{}, false
	}
	host := strings.ToLower(strings.TrimRight(u.Hostname(), "."))
	if !strings.Contains(host, ".") || strings.Contains(host, ":") {
		return address{}, false
	}
	if port := u.Port(); port != "" && port != "443" && port != "80" {
		host += ":" + port
	}
	a := address{hosts: []string{host}, path: strings.TrimRight(u.EscapedPath(), "/")}
	if !isLinkedIn(host) {
		if u.RawQuery != "" {
			a.query = "?" + u.RawQuery
		}
		return a, true
	}
	a.hosts = []string{"www.linkedin.com", "linkedin.com"}
	if given, slug, ok := profileOf(a.path); ok {
		a.given, a.slug = given, slug
		a.path = "/in/" + url.PathEscape(strings.ToLower(slug))
	}
	return a, true
}

// isLinkedIn says whether a host is LinkedIn's own site, that for phones, or that of a country.
func isLinkedIn(host string) bool {
	if host == "linkedin.com" {
		return true
	}
	name, ok := strings.CutSuffix(host, ".linkedin.com")
	return ok && (len(name) == 2 || slices.Contains([]string{"www", "m", "mobile", "touch"}, name))
}

// profileOf returns the slug of the path of a profile, /in/<slug>, whatever follows it, as given and decoded.
func profileOf(escaped string) (given, slug string, ok bool) {
	parts := strings.FieldsFunc(escaped, func(r rune) bool { return r == '/' })
	if len(parts) < 2 || !strings.EqualFold(parts[0], "in") {
		return "", "", false
	}
	slug, err := url.PathUnescape(parts[1])
	if err != nil || slug == "" || !utf8.ValidString(slug) {
		return "", "", false
	}
	return parts[1], slug, true
}

// longestSlug is the length, in characters, up to which a slug is looked for in all of its spellings: twice what LinkedIn allows.
// A longer one is looked for as given and in its normal spelling.
const longestSlug = 200

// paths returns the spellings of the path, the normal one first.
func (a address) paths() []string {
	if a.slug == "" {
		return []string{a.path}
	}
	paths := []string{a.path}
	spellings := []string{a.given}
	if utf8.RuneCountInString(a.slug) <= longestSlug {
		lower := strings.ToLower(a.slug)
		spellings = []string{lower, lowerHex(url.PathEscape(lower)), a.given, a.slug, url.PathEscape(a.slug)}
	}
	for _, spelling := range spellings {
		if path := "/in/" + spelling; !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// lowerHex spells what is percent-encoded with small letters.
func lowerHex(escaped string) string {
	bytes := []byte(escaped)
	for i := 0; i+2 < len(bytes); i++ {
		if bytes[i] == '%' {
			copy(bytes[i+1:i+3], strings.ToLower(string(bytes[i+1:i+3])))
		}
	}
	return string(bytes)
}
