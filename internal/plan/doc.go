// Package plan decides how many paused enrollments each connected account may
// resume in one tick, and forecasts what the ticks after it will give.
//
// The rule is max-min fair. Think of the budget of a tick as cards that are
// dealt one at a time:
//
//  1. The next card goes to the workspace that holds the fewest, as long as it
//     can use one more. Inside the workspace it goes to the account that holds
//     the fewest, as long as that one can use one more.
//  2. An account can use as many cards as it has enrollments waiting, but no
//     more than its quota under the account cap. A workspace can use what its
//     accounts can use together.
//  3. Where several hold equally few, the one that an earlier tick served
//     longest ago comes first; one that was never served comes before all
//     others; the lowest id decides a tie.
//  4. Dealing ends when the cards run out or nobody can use another one.
//
// So a small backlog is never held up by a large one, nothing is left over
// while somebody could still use it, and two workspaces that both want more
// differ by at most one. When there are more candidates than budget, each tick
// serves those that have waited longest, and nobody starves: n workspaces and a
// budget of b have each of them served every ceil(n/b) ticks at the latest. The
// lowest ids may come round every floor(n/b) ticks, because a tick does not
// remember in which order it served its candidates.
//
// An example: a budget of 10, and three workspaces of which two have a single
// account.
//
//	workspace  account  can use  gets
//	        1       11        9     3
//	        1       12        1     1
//	        2       21        2     2
//	        3       31       50     4
//
// Workspace 2 needs less than a third and gets all of it. Workspaces 1 and 3
// share the other 8 evenly, although one of them has far more waiting. In
// workspace 1, account 12 needs less than half and leaves the rest to account
// 11.
//
// The cards are only a picture. The package computes the same result from the
// level up to which everybody is filled, so the cost of a plan is that of
// sorting its candidates, whatever the budget.
//
// Everything here is a pure function of its arguments: no clock, no database,
// no randomness, and the order of the candidates makes no difference. The sweep
// and the forecast run the same code, so an expected time is what the coming
// sweeps will do if nothing else changes.
package plan
