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

// MaxURL is the maximum length of a prospect's URL, in bytes.
const MaxURL = 2000

// CheckURL returns an error if the text cannot be a prospect's URL.
func CheckURL(raw string) error {
	switch {
	case strings.TrimSpace(raw) == "":
		return errors.New("the URL of a prospect is empty")
	case len(raw) > MaxURL:
		return fmt.Errorf("the URL of a prospect is %d bytes long: at most %d are allowed", len(raw), MaxURL)
	case !utf8.ValidString(raw):
		return errors.New("the URL of a prospect is not valid UTF-8")
	case strings.ContainsFunc(strings.TrimSpace(raw), unicode.IsControl):
		return errors.New("the URL of a prospect contains control characters")
	default:
		return nil
	}
}

// NormalURL returns the normal spelling of a prospect's URL: https, the host in lower case and
// without a default port, no trailing slash, no fragment. For LinkedIn, where the path alone
// identifies the person, it also drops the query and replaces country and mobile hosts with
// www.linkedin.com. A profile path is cut to /in/<slug>, with the slug in lower case and all but
// plain letters percent-encoded. Text that is not the URL of a page is returned unchanged, except
// that surrounding space is trimmed.
//
// A prospect may also be an e-mail address. Its normal spelling is in lower case and without
// mailto:.
func NormalURL(raw string) string {
	if address, ok := Mail(raw); ok {
		return strings.ToLower(address)
	}
	a, ok := parseAddress(raw)
	if !ok {
		return strings.TrimSpace(raw)
	}
	return "https://" + a.hosts[0] + a.path + a.query
}

// Spellings returns the spellings under which a prospect may have been enrolled, starting with the
// given one: with https, http and no scheme, with and without www, with and without a trailing
// slash; the slug of a LinkedIn profile as given and in lower case, percent-encoded and decoded; an
// e-mail address as given and in lower case, with and without mailto:. All of them have the same
// [NormalURL]. Their number is bounded, because each one is looked up in the index of URLs as they
// were enrolled.
func Spellings(raw string) []string {
	spellings := []string{raw}
	if trimmed := strings.TrimSpace(raw); trimmed != raw {
		spellings = append(spellings, trimmed)
	}
	if address, ok := Mail(raw); ok {
		for _, spelling := range []string{strings.ToLower(address), address} {
			for _, scheme := range []string{"", mailto} {
				if !slices.Contains(spellings, scheme+spelling) {
					spellings = append(spellings, scheme+spelling)
				}
			}
		}
		return spellings
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
			// A slug may mean something else in another spelling. Host and trailing slash do not
			// matter for this check, so only one of each is parsed: parsing is the expensive part.
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

const mailto = "mailto:"

// Mail returns the e-mail address in a text that is one, with or without mailto:. The address keeps
// its case.
func Mail(raw string) (address string, ok bool) {
	address = strings.TrimSpace(raw)
	if len(address) > len(mailto) && strings.EqualFold(address[:len(mailto)], mailto) {
		address, _, _ = strings.Cut(address[len(mailto):], "?")
		decoded, err := url.PathUnescape(address)
		if err != nil {
			return "", false
		}
		address = decoded
	}
	local, domain, _ := strings.Cut(address, "@")
	if local == "" || len(local) > 64 || len(domain) > 253 || CheckURL(address) != nil || !strings.Contains(domain, ".") {
		return "", false
	}
	notInLocal := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("\"(),:;<>[]\\/", r) }
	notInDomain := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) && r != '-' && r != '.'
	}
	isEmpty := func(label string) bool { return label == "" }
	if strings.ContainsFunc(local, notInLocal) || strings.ContainsFunc(domain, notInDomain) || slices.ContainsFunc(strings.Split(domain, "."), isEmpty) {
		return "", false
	}
	return address, true
}

// An address is a URL in parts.
type address struct {
	hosts []string // all spellings, the normal one first
	path  string   // normal spelling, without a trailing slash
	query string   // empty, or starting with a question mark
	// slug identifies a LinkedIn profile, and given is its spelling in the URL. Empty for any other
	// page.
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

// isLinkedIn reports whether a host is LinkedIn's main site, its mobile site or one of its country
// sites.
func isLinkedIn(host string) bool {
	if host == "linkedin.com" {
		return true
	}
	name, ok := strings.CutSuffix(host, ".linkedin.com")
	return ok && (len(name) == 2 || slices.Contains([]string{"www", "m", "mobile", "touch"}, name))
}

// profileOf returns the slug of a profile path, /in/<slug> with any suffix, as given and decoded.
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

// longestSlug is the maximum length, in characters, of a slug that is looked up in all its
// spellings: twice what LinkedIn allows. A longer slug is looked up only as given and in its normal
// spelling.
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

// lowerHex writes percent-encoded bytes with lower-case hex digits.
func lowerHex(escaped string) string {
	bytes := []byte(escaped)
	for i := 0; i+2 < len(bytes); i++ {
		if bytes[i] == '%' {
			copy(bytes[i+1:i+3], strings.ToLower(string(bytes[i+1:i+3])))
		}
	}
	return string(bytes)
}
