package jobs

import "github.com/riverqueue/river"

// HealArgs asks to go on with a heal. What it covers and how far it is stands in thaw.heals; the SQL function thaw.heal makes
// that row and this job in one.
type HealArgs struct {
	// HealID is thaw.heals.id.
	HealID int64 `json:"heal_id"`
}

// Kind implements [river.JobArgs].
func (HealArgs) Kind() string { return "heal" }

// InsertOpts makes the job unique by its heal, done or not.
func (HealArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: QueueHeal, MaxAttempts: MaxAttempts, Priority: PriorityDefault, UniqueOpts: river.UniqueOpts{ByArgs: true},
	}
}
