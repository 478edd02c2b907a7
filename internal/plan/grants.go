package plan

import (
	"cmp"
	"slices"
	"time"
)

// Claimant is a connected account with enrollments that may be resumed.
// Numbers below zero count as zero.
type Claimant struct {
	// AccountID is distinct among the claimants of one plan.
	AccountID   int64
	WorkspaceID int64

	// Backlog is the number of enrollments that wait for the account.
	Backlog int

	// Room is the most enrollments that the account may still be granted in the
	// tick being planned: the account cap less what the tick gave it already.
	Room int

	// AccountServed and WorkspaceServed are the newest ticks that gave the
	// account and its workspace something; zero means never. Where claimants of
	// one workspace differ in WorkspaceServed, the newest one counts.
	AccountServed   time.Time
	WorkspaceServed time.Time
}

// Grant is the number of enrollments that one account may resume in the tick.
type Grant struct {
	AccountID   int64
	WorkspaceID int64

	// Planned is at least 1.
	Planned int
}

// Grants shares the budget of one tick, a number of enrollments, among the
// claimants by the rule of the package documentation. Claimants that get
// nothing are left out; the result is ordered by AccountID. The claimants are
// not changed.
func Grants(claimants []Claimant, budget int) []Grant {
	var grants []Grant
	newFleet(len(claimants), func(i int) Claimant { return claimants[i] }).take(budget, func(account, amount int) {
		c := claimants[account]
		grants = append(grants, Grant{AccountID: c.AccountID, WorkspaceID: c.WorkspaceID, Planned: amount})
	})
	slices.SortFunc(grants, func(a, b Grant) int { return cmp.Compare(a.AccountID, b.AccountID) })
	return grants
}
