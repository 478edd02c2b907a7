// Package jobs has the arguments of Thaw's jobs, for programs that insert jobs in their own
// transactions. It is a module of its own: a program that imports it requires pgx and River, but
// nothing of what Thaw's workers need.
//
// The arguments are a JSON contract between versions: fields are added, never renamed.
//
// To insert jobs with a River client, create it with [NewDriver]. River's own driver notifies in
// the caller's transaction, which slows down every commit of the Postgres cluster.
//
// A job only triggers work. What it may do is stored in an idempotency record (an allocation of a
// tick, a signal, a heal, a webhook delivery), which the job closes in the transaction of its work.
// Retrying a job, or inserting it twice, is harmless.
//
//	kind             queue        priority                       unique by
//	sweep            sweep        2                              tick
//	resume_account   resume       1 by signal                    account and signal
//	                 tick         3 by sweep                     account and tick
//	pause_account    resume       1 by signal, 3 by sweep        account and signal, or account and tick
//	heal             heal         2                              heal
//	prune            sweep        4                              tick
//	deliver          webhooks_…   2                              endpoint and message
//	watch            sweep        1                              minute
//	schedule         schedule     2                              minute, or 10 seconds while actions are due
//
// A program that sends uses [Claim] or [Reserve], [Start] and [Settle], each in a transaction of
// its own. Thaw decides whether and when an action may be done, gives it out at most once, and
// counts it; the program calls the provider:
//
//	Claim or Reserve   commit   a reservation with a lease
//	Start              commit   the last look: go, or a code
//	                            the call to the provider
//	Settle             commit   what came of it
package jobs

import "github.com/riverqueue/river/rivertype"

// Queues. [QueueWebhooks] returns those for outgoing webhooks. Each queue has its own workers, so
// that a long heal or the many passes of a tick do not delay signals.
const (
	QueueSweep  = "sweep"
	QueueTick   = "tick"
	QueueResume = "resume"
	QueueHeal   = "heal"
	// QueueSchedule is for the actions that are sent to the platform.
	QueueSchedule = "schedule"
)

// Priorities: River takes the lowest number first.
const (
	PrioritySignal  = 1
	PriorityDefault = 2
	PrioritySweep   = 3
	PriorityPrune   = 4
)

// MaxAttempts is the number of attempts before a job is discarded: about four hours, because a
// worker retries a failed job after at most half a minute. A later tick or heal picks up discarded
// work.
const MaxAttempts = 500

// whileUndone are the states in which a job prevents another with the same arguments from being
// inserted. Completed is not one of them: a signal that arrives just after a job has completed
// needs a new job.
func whileUndone() []rivertype.JobState {
	return []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable,
		rivertype.JobStateScheduled,
	}
}
