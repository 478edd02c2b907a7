package jobs

import "github.com/riverqueue/river"

// SweepArgs runs the sweep of one tick: it finds the connected accounts with resumable prospects,
// plans how many each may resume, and inserts a [ResumeAccountArgs] per account. It cancels itself
// if its tick is over.
type SweepArgs struct {
	TickAt Tick `json:"tick_at"`
}

// Kind implements [river.JobArgs].
func (SweepArgs) Kind() string { return "sweep" }

// InsertOpts makes the job unique by tick, in any state.
func (SweepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueSweep, MaxAttempts: MaxAttempts, Priority: PriorityDefault, UniqueOpts: river.UniqueOpts{ByArgs: true},
	}
}
