// Package api serves what Thaw knows as JSON under /api/v1/, for the platform's own front end: the same reads as the pages and
// the command line (package readmodel), and the start of a heal.
//
// [New] has the routes, one line each; openapi.json documents them, and a test holds every answer of every route against it.
// Who asks is told by a bearer token (one workspace, or all) or is an operator; what they may see is an [readmodel.Scope], which
// goes into every query, so that a row of another tenant is not there, rather than forbidden. Every error is a problem of
// RFC 9457, from the one table in problem.go.
package api
