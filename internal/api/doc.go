// Package api serves Thaw's state as JSON under /api/v1/, for front ends that the platform builds.
// It offers the same reads as the pages and the command line (package readmodel), and can start a
// heal.
//
// [New] registers the routes, one line per route. openapi.json documents them; a test validates the
// responses of every route against it.
//
// A caller is authenticated by a bearer token, for one workspace or for all, or is an operator.
// What the caller may see is a [readmodel.Scope] that goes into every query, so rows of another
// tenant are not found rather than forbidden.
//
// Every error is a problem in the format of RFC 9457, from the table in problem.go.
package api
