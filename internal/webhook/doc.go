// Package webhook receives account-status webhooks from providers over HTTP.
//
// A provider sends a delivery when an account connects, disconnects or needs attention. The package
// authenticates the delivery, decodes it into one [Signal], and passes the signal to [Apply], which
// does the database work in one transaction. The package has no state of its own: Apply decides
// whether a delivery is a duplicate, stale, or about an unknown account.
//
// Each kind of sender has its own dialect, in one file; [Dialects] lists them. A dialect without a
// secret has no route. Each dialect takes at most two secrets, so that a secret
// can be rotated while deliveries signed with the old one are in transit.
//
// # Responses
//
// Providers retry every response that is not 2xx. The status says whether a retry can help:
//
//	200 {"outcome":"applied"}   recorded; the outcome is what Apply returned
//	400 {"error":"…"}           malformed, or a field is missing; the error names the field
//	401 {"error":"…"}           secret or signature missing or wrong, or signed time off by more than 5 minutes
//	405                         not a POST
//	413 {"error":"…"}           body over 64 KiB
//	503 {"error":"…"}           Apply failed; Retry-After says when to retry
//
// An unknown status or event type is not an error: Apply records it and otherwise ignores it. A
// status that the dialect does not know may be a word of the provider, which the table
// thaw.provider_words has.
//
// Input that Postgres cannot store is rejected here (see body.go). Otherwise it would fail in the
// database on every retry and look like an outage.
package webhook
