package jobs

import "github.com/riverqueue/river"

// WatchArgs asks for the look of a minute: whether so many accounts were lost that it must be the provider's incident, and
// whether the last one is over. Every process asks for it; it is done once.
type WatchArgs struct {
	// MinuteAt is the minute, by the database's clock.
	MinuteAt Tick `json:"minute_at"`
}

// Kind implements [river.JobArgs].
func (WatchArgs) Kind() string { return "watch" }

// InsertOpts makes the job unique by its minute, done or not. It goes before the sweep, which asks what it has found.
func (WatchArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueSweep, MaxAttempts: MaxAttempts, Priority: PrioritySignal, UniqueOpts: river.UniqueOpts{ByArgs: true},
	}
}
