package jobs

import "github.com/riverqueue/river"

// ResumeAccountArgs runs a resume pass for one account. The job has exactly one idempotency record:
// the signal that the account is connected, or the allocation of a tick. It cancels itself if its
// tick is over.
type ResumeAccountArgs struct {
	// AccountID is thaw.accounts.id.
	AccountID int64 `json:"account_id"`
	// SignalID is thaw.account_signals.id. 0 for a job of a sweep.
	SignalID int64 `json:"signal_id,omitzero"`
	// TickAt is the tick of the allocation. Zero for a job of a signal.
	TickAt Tick `json:"tick_at,omitzero"`
}

// Kind implements [river.JobArgs].
func (ResumeAccountArgs) Kind() string { return "resume_account" }

// InsertOpts uses different queues for signals and sweeps, because the job of a signal must start
// at once, while a sweep inserts many jobs.
func (a ResumeAccountArgs) InsertOpts() river.InsertOpts {
	opts := accountOpts(a.TickAt)
	if !a.TickAt.IsZero() {
		opts.Queue = QueueTick
	}
	return opts
}

// PauseAccountArgs pauses the active enrollments of an account that is no longer connected. It is
// inserted by the signal of the disconnect, or by a sweep that found the pause overdue. If the
// account is connected again when the job runs, the job does nothing.
type PauseAccountArgs struct {
	// AccountID is thaw.accounts.id.
	AccountID int64 `json:"account_id"`
	// SignalID is thaw.account_signals.id. 0 for a job of a sweep.
	SignalID int64 `json:"signal_id,omitzero"`
	// TickAt is the tick of the sweep. Zero for a job of a signal.
	TickAt Tick `json:"tick_at,omitzero"`
}

// Kind implements [river.JobArgs].
func (PauseAccountArgs) Kind() string { return "pause_account" }

// InsertOpts gives the job of a signal priority over the job of a sweep.
func (a PauseAccountArgs) InsertOpts() river.InsertOpts {
	return accountOpts(a.TickAt)
}

func accountOpts(tick Tick) river.InsertOpts {
	priority := PrioritySignal
	if !tick.IsZero() {
		priority = PrioritySweep
	}
	return river.InsertOpts{
		Queue: QueueResume, MaxAttempts: MaxAttempts, Priority: priority,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: whileUndone()},
	}
}
