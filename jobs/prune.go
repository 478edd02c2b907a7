package jobs

import "github.com/riverqueue/river"

// PruneArgs asks to remove what is older than the settings say. The first sweep of an hour inserts it.
type PruneArgs struct {
	// TickAt is the tick of that sweep.
	TickAt Tick `json:"tick_at"`
}

// Kind implements [river.JobArgs].
func (PruneArgs) Kind() string { return "prune" }

// InsertOpts makes the job unique by its tick, done or not, and lets everything else go first.
func (PruneArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueSweep, MaxAttempts: MaxAttempts, Priority: PriorityPrune, UniqueOpts: river.UniqueOpts{ByArgs: true},
	}
}
