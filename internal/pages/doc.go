// Package pages serves the web pages for operators: the state of the fleet, why a prospect waits,
// the audit log, and the manual actions.
//
// Pages are rendered on the server with html/template and work without JavaScript. A small script
// shows times in the viewer's time zone and counts down. When the server reports a change, the
// script fetches the page again and replaces the parts marked data-live. Pages load nothing from
// other sites; the content security policy enforces this.
//
// Every change is a POST with a reason, answered by a redirect to the page that shows the result.
// The caller of [Register] guards the routes: it adds authentication and cross-origin protection.
package pages
