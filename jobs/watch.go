package jobs

import "github.com/riverqueue/river"

// WatchArgs checks once a minute whether safety mode must be entered, because many accounts were
// lost in a short time, or exited, because the incident is over. It also looks whether the tables
// of an adopted platform still fit the mapping. Every process inserts the job, and it runs once.
type WatchArgs struct {
	// MinuteAt is the minute, by the database clock.
	MinuteAt Tick `json:"minute_at"`
}

// Kind implements [river.JobArgs].
func (WatchArgs) Kind() string { return "watch" }

// InsertOpts makes the job unique by minute, in any state. It has priority over the sweep, which
// depends on its result.
func (WatchArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueSweep, MaxAttempts: MaxAttempts, Priority: PrioritySignal, UniqueOpts: river.UniqueOpts{ByArgs: true},
	}
}
