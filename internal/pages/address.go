package pages

import (
	"net/http"
	"net/url"
	"strings"
)

// pathTo builds the path of a page from segments, each of which may be any text. A slash, a
// question mark or a dot in a segment cannot lead to another page. html/template escapes paths less
// strictly and keeps these characters.
//
// Browsers resolve the segments "." and ".." even if they are escaped, so a name like that cannot
// be in a path. pathTo returns the search page for it instead.
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

// withNotice adds the key of a notice to a path from [pathTo].
func withNotice(path, notice string) string {
	if strings.Contains(path, "?") {
		return path + "&done=" + url.QueryEscape(notice)
	}
	return path + "?done=" + url.QueryEscape(notice)
}

// field returns a value of the posted form. It reads only the body: a query parameter, which
// another site may have put into a link, cannot add or replace a field.
func field(r *http.Request, name string) string { return r.PostForm.Get(name) }

// maxParameter is the maximum length of a query parameter, in bytes. A prospect's URL is the
// longest one.
const maxParameter = 2048

// checkQuery rejects parameters that are too long to come from a page.
func checkQuery(query url.Values) error {
	for _, values := range query {
		for _, value := range values {
			if len(value) > maxParameter {
				return badRequestError{"A parameter of this address is too long. The maximum is 2048 bytes."}
			}
		}
	}
	return nil
}
