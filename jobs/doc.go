// Package jobs has the arguments of Thaw's jobs: what a program needs to insert them from a transaction of its own, and
// nothing else. The workers are in package worker; a program that only inserts does not link them.
//
// Arguments are a JSON contract between versions: fields are added, never renamed.
//
// A River client that inserts them takes [NewDriver]: River's own driver would notify in the caller's transaction, which slows
// down every commit of the cluster.
//
// A job's row is a resume-up, not the work: what a job may do stands in an idempotency record row of the database (an allocation of a tick, a
// delivery, a heal) that the job closes in the transaction of its work. Retrying a job, or inserting it twice, is harmless.
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
package jobs

import "github.com/riverqueue/river/rivertype"

// Queues; [QueueWebhooks] has those of the webhooks. Each has its own workers, so that neither a long heal nor the many passes of a tick keep a signal waiting.
const (
	QueueSweep  = "sweep"
	QueueTick   = "tick"
	QueueResume = "resume"
	QueueHeal   = "heal"
)

// Priorities: River takes the lowest number first.
const (
	PrioritySignal  = 1
	PriorityDefault = 2
	PrioritySweep   = 3
	PriorityPrune   = 4
)

// MaxAttempts is how often a job is tried before it is given up: for four hours, with the half minute that a worker lets a
// failed job wait at most. What is given up then is found by a tick, or by the next heal.
const MaxAttempts = 500

// whileUndone are the states in which a job keeps another of the same account from being inserted. Completed is not among
// them: a signal that comes when the work of another is done just now has to look again.
func whileUndone() []rivertype.JobState {
	return []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable,
		rivertype.JobStateScheduled,
	}
}
