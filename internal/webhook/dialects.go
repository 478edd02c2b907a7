package webhook

import (
	"net/http"
	"strings"
	"time"
)

// Dialects are the settings of all dialects. A dialect is one file, which has its settings, its
// authentication, its format and its table of statuses. To add one, add its file, its field here
// and its place in all: the routes, the flags of thaw serve and thaw signals replay are made from
// them.
//
// The tags of the settings are those of package kong.
type Dialects struct {
	UnipileV1 UnipileV1 `embed:""` // a secret in a header; no ID and no time
	UnipileV2 UnipileV2 `embed:""` // unipile-signature: t=<unix s>,v0=<hex>
	Standard  Standard  `embed:""` // Standard Webhooks, https://www.standardwebhooks.com
}

func (d *Dialects) all() []dialect {
	return []dialect{&d.UnipileV1, &d.UnipileV2, &d.Standard}
}

// A dialect is how one kind of sender authenticates and encodes a delivery.
type dialect interface {
	// route is the path below /webhooks/. Records of deliveries name the dialect by it.
	route() string
	// secrets are the configured secrets. Without one, the route does not exist.
	secrets() []string
	// open checks the settings. Its errors do not contain a secret.
	open() (verifier, error)
	// decode decodes a body. id is the header webhook-id of Standard Webhooks; other dialects have
	// their ID in the body.
	decode(id string, body []byte) (Signal, error)
}

// A verifier authenticates deliveries.
type verifier interface {
	verify(header http.Header, body []byte, now time.Time) error
}

// nameOf returns the name of a dialect in errors and logs: "unipile v1".
func nameOf(d dialect) string { return strings.ReplaceAll(d.route(), "/", " ") }

// Routes returns the routes of all dialects, as in [Record.Route].
func Routes() []string {
	var routes []string
	for _, d := range new(Dialects).all() {
		routes = append(routes, d.route())
	}
	return routes
}
