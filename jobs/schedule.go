package jobs

import "github.com/riverqueue/river"

// ScheduleArgs reserves due actions under all gates and sends each to the platform as the webhook
// action.due, if the setting push_actions is on. Every process inserts the job, and it runs once.
type ScheduleArgs struct {
	// At is the minute, by the database clock. While actions are due, it is also each 10 seconds.
	At Tick `json:"at"`
}

// Kind implements [river.JobArgs].
func (ScheduleArgs) Kind() string { return "schedule" }

// InsertOpts makes the job unique by time, in any state. The queue is its own, so that the many
// messages of a large fleet delay neither the sweep nor the job watch.
func (ScheduleArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueSchedule, MaxAttempts: MaxAttempts, Priority: PriorityDefault, UniqueOpts: river.UniqueOpts{ByArgs: true},
	}
}
