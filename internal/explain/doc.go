// Package explain answers why a prospect is not moving and what will move it.
//
// [Because] is a pure function of the database state of one enrollment at one moment. Several
// obstacles can apply at once. The answer names the first one in the order below, which goes from
// the obstacles that last longest to those that end on their own. Fixing the named obstacle
// therefore never reveals a more permanent one.
//
//  1. The prospect is unknown: not_found.
//  2. The prospect has finished: terminal. It completed the campaign, replied, failed, or was
//     removed.
//  3. The prospect was paused for a reason that only a manual action clears: paused_by_user or
//     account_restricted, from its own paused reason.
//  4. The campaign waits for a payment: subscription_inactive. Reconnecting an account would not
//     help.
//  5. No account is connected. A paused prospect can use its own account or another account of the
//     same person in the same workspace. If there is none: sibling_in_other_workspace if the person
//     is connected in another workspace, no_connected_sibling if the person has other accounts in
//     this one, otherwise account_not_connected. A prospect that is not paused stays with its own
//     account, so its only possible answer is account_not_connected.
//  6. The campaign is not running and does not wait for an account: account_restricted if that is
//     its paused reason, otherwise campaign_not_running.
//  7. The workspace has opted out: auto_resume_off, unless the prospect is not paused and its
//     campaign is running. Otherwise the account that the prospect resumes through is blocked:
//     account_locked, account_on_hold, safety_mode or account_flapping, as returned by
//     thaw.blocked_by.
//  8. There is no obstacle. A paused prospect is in the queue: waiting_for_sweep. A prospect that
//     is not paused, in a campaign that still waits for an account: campaign_not_running, until a
//     sweep starts the campaign. Otherwise: active.
package explain
