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
	return "https://" + a.hosts[0] + a.paths[0] + a.query
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
	normal := NormalURL(raw)
	for _, path := range a.paths {
		for _, scheme := range []string{"https://", "http://", ""} {
			for _, host := range a.hosts {
				for _, slash := range []string{"", "/"} {
					spelling := scheme + host + path + slash + a.query
					if NormalURL(spelling) == normal && CheckURL(spelling) == nil && !slices.Contains(spellings, spelling) {
						spellings = append(spellings, spelling)
					}
				}
			}
		}
	}
	return spellings
}

// An address is a URL in parts, each in its spellings with the normal one first.
type address struct {
	hosts []string
	paths []string // without a slash at the end
	query string   // empty, or with its question mark
}

func parseAddress(raw string) (address, bool) {
	raw = strings.TrimSpace(raw)
	if !strings.Contains(raw, "://") {
		raw = "https://" + strings.TrimPrefix(raw, "//")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || CheckURL(raw) != nil {
		return address{}, false
	}
	host := strings.ToLower(strings.TrimRight(u.Hostname(), "."))
	if !strings.Contains(host, ".") || strings.Contains(host, ":") {
		return address{}, false
	}
	if port := u.Port(); port != "" && port != "443" && port != "80" {
		host += ":" + port
	}
	a := address{hosts: []string{host}, paths: []string{strings.TrimRight(u.EscapedPath(), "/")}}
	if !isLinkedIn(host) {
		if u.RawQuery != "" {
			a.query = "?" + u.RawQuery
		}
		return a, true
	}
	a.hosts = []string{"www.linkedin.com", "linkedin.com"}
	if profile := profilePaths(a.paths[0]); profile != nil {
		a.paths = profile
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

// profilePaths returns the spellings of the path of a profile, /in/<slug>, whatever follows it; nil: it is none.
func profilePaths(escaped string) []string {
	parts := strings.FieldsFunc(escaped, func(r rune) bool { return r == '/' })
	if len(parts) < 2 || !strings.EqualFold(parts[0], "in") {
		return nil
	}
	given := parts[1]
	slug, err := url.PathUnescape(given)
	if err != nil || !utf8.ValidString(slug) {
		return nil
	}
	lower := strings.ToLower(slug)
	var paths []string
	for _, spelling := range []string{url.PathEscape(lower), lower, lowerHex(url.PathEscape(lower)), given, slug, url.PathEscape(slug)} {
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
