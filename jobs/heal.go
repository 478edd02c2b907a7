package jobs

import "github.com/riverqueue/river"

// HealArgs runs a heal. thaw.heals stores its scope and progress. The SQL function thaw.heal
// inserts that row together with this job.
type HealArgs struct {
	// HealID is thaw.heals.id.
	HealID int64 `json:"heal_id"`
}

// Kind implements [river.JobArgs].
func (HealArgs) Kind() string { return "heal" }

// InsertOpts makes the job unique by heal until it is done: a heal that stopped can be continued.
func (HealArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueHeal, MaxAttempts: MaxAttempts, Priority: PriorityDefault,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: whileUndone()},
	}
}
