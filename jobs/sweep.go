package jobs

import "github.com/riverqueue/river"

// SweepArgs asks for the sweep of one tick: find the connected accounts with somebody to resume, plan who may resume how many,
// and insert a [ResumeAccountArgs] for each. The sweep of a tick that is over cancels itself.
type SweepArgs struct {
	TickAt Tick `json:"tick_at"`
}

// Kind implements [river.JobArgs].
func (SweepArgs) Kind() string { return "sweep" }

// InsertOpts makes the job unique by its tick, done or not.
func (SweepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueSweep, MaxAttempts: MaxAttempts, Priority: PriorityDefault, UniqueOpts: river.UniqueOpts{ByArgs: true},
	}
}
