// Package explain answers why a prospect does not move, and what moves it.
//
// [Because] is a pure function of what the database says about one enrollment, at one moment. Several things can stand in
// the way at once. The answer names one: the first in this order, which goes from what lasts longest to what ends by
// itself, so that nobody fixes a thing and then finds the next one in the way.
//
//  1. Nobody knows the prospect: not_found.
//  2. It is over: terminal. The prospect completed the campaign, replied, failed, or was removed.
//  3. A person stopped it: paused_by_user or account_restricted, from the reason of the prospect's own pause.
//  4. The campaign waits for a payment: subscription_inactive. To reconnect an account would not help.
//  5. There is no connected account. For a prospect that waits, its own account serves, else another one of the same
//     person in the same workspace. Where there is none: sibling_in_other_workspace if the person is connected in another
//     workspace, no_connected_sibling if the person has other accounts in this one, else account_not_connected. A prospect
//     that is not paused stays with its own account, so that the only answer is account_not_connected.
//  6. The campaign does not run, and does not wait for an account either: account_restricted if that is why it was paused,
//     else campaign_not_running.
//  7. The workspace has opted out: auto_resume_off, unless the prospect is not paused and its campaign runs. Else something
//     stands against the account that it resumes through: account_locked, account_on_hold, safety_mode or account_flapping, as
//     thaw.blocked_by says.
//  8. Nothing stands in the way. A paused prospect stands in line: waiting_for_sweep. One that is not paused, in a campaign
//     that still waits for an account: campaign_not_running, until a sweep starts the campaign. Else: active.
package explain
