// Package plan decides how many paused enrollments may resume through each connected account in one
// tick, and forecasts the following ticks.
//
// The allocation is max-min fair. Think of the quota of a tick as cards that are dealt one at a
// time:
//
//  1. The next card goes to the workspace that has the fewest among those that can use another
//     one. Within the workspace it goes to the account that has the fewest among those that can
//     use another one.
//  2. An account can use as many cards as it has waiting enrollments, but not more than its quota
//     under the account cap. A workspace can use the sum of its accounts.
//  3. If several have equally few, the one served longest ago comes first. One that was never
//     served comes before all others. The lowest id breaks a tie.
//  4. Dealing ends when the cards run out or no account can use another one.
//
// So a small backlog never waits for a large one, no quota stays unused while an account could use
// it, and two workspaces that both want more differ by at most one. If there are more candidates
// than quota, each tick serves those that have waited longest, and no workspace starves: with n
// workspaces and a quota of b, each is served at least every ceil(n/b) ticks. The lowest ids may
// be served every floor(n/b) ticks, because a tick does not record the order in which it served its
// candidates.
//
// Example: a quota of 10 and three workspaces, two of which have a single account.
//
//	workspace  account  can use  gets
//	        1       11        9     3
//	        1       12        1     1
//	        2       21        2     2
//	        3       31       50     4
//
// Workspace 2 needs less than a third and gets all of its demand. Workspaces 1 and 3 share the
// other 8 evenly, although one of them has a much larger backlog. In workspace 1, account 12 needs
// less than half, so account 11 gets the rest.
//
// The cards are only a model. The package computes the same result from the level up to which all
// accounts are filled, so the cost of a plan is that of sorting its candidates, for any quota.
//
// All functions are pure: they use no clock, no database and no randomness, and the order of the
// candidates does not matter. The sweep and the forecast run the same code, so an expected time is
// what the coming sweeps will do if nothing else changes.
package plan
