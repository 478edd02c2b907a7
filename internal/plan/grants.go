package plan

import (
	"cmp"
	"slices"
	"time"
)

// Candidate is a connected account with enrollments that may be resumed.
// Numbers below zero count as zero.
type Candidate struct {
	// AccountID is distinct among the candidates of one plan.
	AccountID   int64
	WorkspaceID int64

	// Backlog is the number of enrollments that wait for the account.
	Backlog int

	// Quota is the most enrollments that the account may still be granted in the
	// tick being planned: the account cap less what the tick gave it already.
	Quota int

	// AccountServed and WorkspaceServed are the newest ticks that gave the
	// account and its workspace something; zero means never. Where candidates of
	// one workspace differ in WorkspaceServed, the newest one counts.
	AccountServed   time.Time
	WorkspaceServed time.Time
}

// Allocation is the number of enrollments that one account may resume in the tick.
type Allocation struct {
	AccountID   int64
	WorkspaceID int64

	// Planned is at least 1.
	Planned int
}

// Allocations shares the budget of one tick, a number of enrollments, among the
// candidates by the rule of the package documentation. Candidates that get
// nothing are left out; the result is ordered by AccountID. The candidates are
// not changed.
func Allocations(candidates []Candidate, budget int) []Allocation {
	var allocations []Allocation
	newFleet(len(candidates), func(i int) Candidate { return candidates[i] }).take(budget, func(account, amount int) {
		c := candidates[account]
		allocations = append(allocations, Allocation{AccountID: c.AccountID, WorkspaceID: c.WorkspaceID, Planned: amount})
	})
	slices.SortFunc(allocations, func(a, b Allocation) int { return cmp.Compare(a.AccountID, b.AccountID) })
	return allocations
}

// Workspace is what a workspace can use in the tick: the sum of what its
// accounts can, each the smaller of its backlog and its quota.
type Workspace struct {
	ID     int64
	Demand int

	// Served is the newest tick that gave it something; zero means never.
	Served time.Time
}

// Share is the number of enrollments that the accounts of one workspace may
// resume in the tick together; at least 1.
type Share struct {
	WorkspaceID int64
	Amount      int
}

// Shares is the first of two steps that make the same plan as [Allocations] without
// knowing all accounts: it shares the budget among the workspaces. Of workspaces
// in the order of their turn, served longest ago first and then by id, those
// after the first budget that can use something make no difference. The result
// is ordered by WorkspaceID.
func Shares(workspaces []Workspace, budget int) []Share {
	fleet := &claim{}
	for i, w := range workspaces {
		if w.Demand <= 0 {
			continue
		}
		fleet.line = append(fleet.line, &claim{
			id: w.ID, served: w.Served.UnixMicro(), demand: w.Demand, backlog: w.Demand, quota: w.Demand, account: i,
		})
		fleet.demand += w.Demand
	}
	slices.SortFunc(fleet.line, byTurn)
	var shares []Share
	fleet.take(budget, func(workspace, amount int) {
		shares = append(shares, Share{WorkspaceID: workspaces[workspace].ID, Amount: amount})
	})
	slices.SortFunc(shares, func(a, b Share) int { return cmp.Compare(a.WorkspaceID, b.WorkspaceID) })
	return shares
}

// AllocationsWithin is the second step: it shares what each workspace got among its
// accounts. Of the accounts of a workspace in the order of their turn, those
// after as many as its share has enrollments make no difference.
func AllocationsWithin(candidates []Candidate, shares []Share) []Allocation {
	amounts := make(map[int64]int, len(shares))
	for _, s := range shares {
		amounts[s.WorkspaceID] = s.Amount
	}
	var allocations []Allocation
	for _, workspace := range newFleet(len(candidates), func(i int) Candidate { return candidates[i] }).line {
		workspace.take(amounts[workspace.id], func(account, amount int) {
			c := candidates[account]
			allocations = append(allocations, Allocation{AccountID: c.AccountID, WorkspaceID: c.WorkspaceID, Planned: amount})
		})
	}
	slices.SortFunc(allocations, func(a, b Allocation) int { return cmp.Compare(a.AccountID, b.AccountID) })
	return allocations
}
