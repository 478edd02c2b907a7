package jobs

import "github.com/riverqueue/river"

// PruneArgs removes data that is older than the retention settings. The first sweep of an hour
// inserts it.
type PruneArgs struct {
	// TickAt is the tick of the sweep that inserted the job.
	TickAt Tick `json:"tick_at"`
}

// Kind implements [river.JobArgs].
func (PruneArgs) Kind() string { return "prune" }

// InsertOpts makes the job unique by tick, in any state, and gives it the lowest priority.
func (PruneArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueSweep, MaxAttempts: MaxAttempts, Priority: PriorityPrune, UniqueOpts: river.UniqueOpts{ByArgs: true},
	}
}
