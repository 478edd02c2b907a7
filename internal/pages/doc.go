// Package pages is what operators see in a browser: where the fleet stands, why a prospect waits,
// what was done and by whom, and the few things that a person may decide.
//
// Pages are made on the server, from html/template, and work without JavaScript. A small script
// writes times in the viewer's zone, counts down, and, when the server says that something has
// changed, fetches the page again and puts the parts that are marked data-live in place of the old
// ones. Nothing is loaded from elsewhere, and the content security policy keeps it so.
//
// Every change is a POST with a reason, answered by a redirect to the page that shows what came of
// it. The caller of [Register] guards the routes: authentication and cross-origin protection are
// its part.
package pages
