// Package explain answers why a prospect does not continue and what must happen before it does.
//
// [Because] is a pure function of the database state of one enrollment at one moment. A prospect
// that is unknown (not_found) or has finished (terminal: it completed the campaign, replied, failed
// or was removed) has no obstacles. Any other prospect may have several. They are listed in the
// order below, which goes from those that last longest to those that end on their own, and the
// first one is the answer. Fixing it never reveals a more permanent one.
//
//  1. The prospect was paused for a reason that only a manual action clears: paused_by_user or
//     account_restricted. A restriction applies to all paused prospects of the account.
//  2. The campaign waits for a payment: subscription_inactive. Reconnecting an account would not
//     help.
//  3. Safety mode, if no account is connected: safety_mode. Many accounts are lost because of the
//     provider, and reconnecting them does not help before safety mode has ended.
//  4. No account is assigned to the prospect yet: no_account. Or no account is connected. A paused
//     prospect can use its own account or another account of the same person in the same workspace.
//     If there is none: sibling_in_other_workspace if the person is connected in another workspace,
//     no_connected_sibling if the person has other accounts in this one, otherwise
//     account_not_connected. A prospect that is not paused stays with its own account
//     (account_not_connected), unless that is gone and the person has a connected account: it then
//     moves there (waiting_for_move).
//  5. The campaign is not running and does not wait for an account: account_restricted if that is
//     its paused reason, otherwise campaign_not_running.
//  6. The workspace has opted out: auto_resume_off, unless the prospect is not paused, its campaign
//     is running and it does not move.
//  7. The account that the prospect resumes through is blocked: account_locked, account_parked,
//     account_on_hold, safety_mode, account_flapping, as returned by thaw.blocks.
//  8. The prospect is not paused, but its campaign still waits for an account:
//     campaign_not_running. A sweep starts the campaign.
//  9. The workspace is in shadow mode: shadow_mode, under the same condition as auto_resume_off, or
//     if Thaw would give out the next action of the prospect.
//
// Without obstacles, a paused prospect is in the queue (waiting_for_sweep), and a prospect that is
// not paused is active.
//
// A sentence gives only advice that helps in the present situation, and that the actor can follow.
package explain
