// Package webhook is the HTTP end of the account-status signals.
//
// A provider posts a delivery when an account connects, disconnects or needs attention. The package
// proves that the delivery is authentic, turns it into one [Signal] in Thaw's own words, and hands that
// to one function, [Apply], which does the database work in a transaction. It has no state of its own:
// whether a delivery is a duplicate, older than what is known, or about an unknown account is for Apply
// to decide.
//
// There is one file for each of the three dialects, with its authentication, its shape and its table of
// words:
//
//	POST /webhooks/unipile/v1   unipile_v1.go   a secret in a header; no id and no time
//	POST /webhooks/unipile/v2   unipile_v2.go   unipile-signature: t=<unix s>,v0=<hex>
//	POST /webhooks/standard     standard.go     Standard Webhooks, https://www.standardwebhooks.com
//
// A dialect with no secret configured has no route. Each takes two secrets at most, so that a secret can
// be changed while deliveries signed with the old one are still on their way.
//
// # Answers
//
// Providers send again whatever was not answered with 2xx, so the status says whether that can help:
//
//	200 {"outcome":"applied"}   recorded; the outcome is Apply's word
//	400 {"error":"…"}           malformed, or a field is missing; the error names it
//	401 {"error":"…"}           secret or signature missing or wrong, or the signed time is off by more than 5 minutes
//	405                         not a POST
//	413 {"error":"…"}           body over 64 KiB
//	503 {"error":"…"}           Apply failed; Retry-After says when to send again
//
// A word or a type that the tables do not know is not an error: it becomes a Signal with an empty
// Status, for Apply to record and otherwise ignore.
//
// Nothing passes that Postgres could not store (see body.go). Such a delivery would otherwise fail in
// the database on every retry and look like an outage.
package webhook
