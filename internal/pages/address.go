package pages

import (
	"net/http"
	"net/url"
	"strings"
)

// pathTo builds the path of a page from its segments, each of which may hold any text: a slash, a
// question mark or a dot in a name does not lead to another page. html/template escapes a path less
// strictly: it keeps these characters.
//
// A browser takes the segments "." and ".." for steps, escaped or not, so a name of that kind has
// no path; the search page stands in for it.
func pathTo(segments ...string) string {
	var path strings.Builder
	for _, segment := range segments {
		if segment == "" || segment == "." || segment == ".." {
			return "/search?" + url.Values{"q": {segment}}.Encode()
		}
		path.WriteString("/" + url.PathEscape(segment))
	}
	return path.String()
}

// withNotice adds the key of a notice to a path that [pathTo] has built.
func withNotice(path, notice string) string {
	if strings.Contains(path, "?") {
		return path + "&done=" + url.QueryEscape(notice)
	}
	return path + "?done=" + url.QueryEscape(notice)
}

// field is a value of the form that was posted. Only the body counts: a parameter in the address,
// which another page may have made, adds nothing to a form and replaces nothing in it.
func field(r *http.Request, name string) string { return r.PostForm.Get(name) }

// maxParameter bounds a parameter of an address, in bytes: a prospect's URL is the longest.
const maxParameter = 2048

// checkQuery refuses an address with parameters that no page makes.
func checkQuery(query url.Values) error {
	for _, values := range query {
		for _, value := range values {
			if len(value) > maxParameter {
				return badRequestError{"A parameter of this address is too long: at most 2048 bytes."}
			}
		}
	}
	return nil
}
