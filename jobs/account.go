package jobs

import "github.com/riverqueue/river"

// ResumeAccountArgs asks for the resume pass of one account, in the name of exactly one idempotency record row: the signal that said
// that the account is connected, or the allocation of a tick. A job of a tick that is over cancels itself.
type ResumeAccountArgs struct {
	// AccountID is thaw.accounts.id.
	AccountID int64 `json:"account_id"`
	// SignalID is thaw.account_signals.id; 0 for a sweep's.
	SignalID int64 `json:"signal_id,omitzero"`
	// TickAt is the tick of the allocation; zero for a signal's.
	TickAt Tick `json:"tick_at,omitzero"`
}

// Kind implements [river.JobArgs].
func (ResumeAccountArgs) Kind() string { return "resume_account" }

// InsertOpts puts a signal's job and a sweep's into queues of their own: the first is to start at once, the second is one of
// many.
func (a ResumeAccountArgs) InsertOpts() river.InsertOpts {
	opts := accountOpts(a.TickAt)
	if !a.TickAt.IsZero() {
		opts.Queue = QueueTick
	}
	return opts
}

// PauseAccountArgs asks to pause the active enrollments of an account that can no longer serve them, in the name of the
// signal that said so or of the sweep that found it overdue. If the account is connected again when the job runs, it does
// nothing.
type PauseAccountArgs struct {
	// AccountID is thaw.accounts.id.
	AccountID int64 `json:"account_id"`
	// SignalID is thaw.account_signals.id; 0 for a sweep's.
	SignalID int64 `json:"signal_id,omitzero"`
	// TickAt is the tick of the sweep; zero for a signal's.
	TickAt Tick `json:"tick_at,omitzero"`
}

// Kind implements [river.JobArgs].
func (PauseAccountArgs) Kind() string { return "pause_account" }

// InsertOpts lets a signal's job go before a sweep's.
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
