package plan

import (
	"cmp"
	"slices"
	"time"
)

// Candidate is a connected account through which enrollments may resume. Negative numbers count as
// zero.
type Candidate struct {
	// AccountID is unique among the candidates of a plan.
	AccountID   int64
	WorkspaceID int64

	// Backlog is the number of enrollments that wait for the account.
	Backlog int

	// Quota is the maximum number of enrollments that the tick may still allocate to the account:
	// its cap minus what was used in the tick already.
	Quota int

	// Cap is the maximum number of enrollments that a later tick may allocate to the account. Only a
	// forecast needs it.
	Cap int

	// AccountServed and WorkspaceServed are the newest ticks with an allocation for the account and
	// for its workspace. Zero: never. If candidates of one workspace differ in WorkspaceServed, the
	// newest one counts.
	AccountServed   time.Time
	WorkspaceServed time.Time
}

// Allocation is the number of enrollments that may resume through one account in the tick.
type Allocation struct {
	AccountID   int64
	WorkspaceID int64

	// Planned is at least 1.
	Planned int
}

// Allocations shares the quota of one tick, a number of enrollments, among the candidates by the
// rule of the package documentation. Candidates without an allocation are omitted; the result is
// ordered by AccountID. The candidates do not change.
func Allocations(candidates []Candidate, quota int) []Allocation {
	var allocations []Allocation
	newFleet(len(candidates), func(i int) Candidate { return candidates[i] }).take(quota, func(account, amount int) {
		c := candidates[account]
		allocations = append(allocations, Allocation{AccountID: c.AccountID, WorkspaceID: c.WorkspaceID, Planned: amount})
	})
	slices.SortFunc(allocations, func(a, b Allocation) int { return cmp.Compare(a.AccountID, b.AccountID) })
	return allocations
}

// Workspace is what a workspace can use in the tick: the sum over its accounts of the smaller of
// backlog and quota.
type Workspace struct {
	ID     int64
	Demand int

	// Served is the newest tick with an allocation for the workspace. Zero: never.
	Served time.Time
}

// Share is the number of enrollments that may resume through the accounts of one workspace in the
// tick, at least 1.
type Share struct {
	WorkspaceID int64
	Amount      int
}

// Shares is the first of two steps that make the same plan as [Allocations] without reading all
// accounts: it shares the quota among the workspaces. Only the first workspaces with a demand
// matter, as many as the quota has enrollments, ordered by served time (longest ago first) and id.
// The result is ordered by WorkspaceID.
func Shares(workspaces []Workspace, quota int) []Share {
	fleet := &claim{}
	for i, w := range workspaces {
		if w.Demand <= 0 {
			continue
		}
		fleet.queue = append(fleet.queue, &claim{
			id: w.ID, served: w.Served.UnixMicro(), demand: w.Demand, backlog: w.Demand, quota: w.Demand, account: i,
		})
		fleet.demand += w.Demand
	}
	slices.SortFunc(fleet.queue, byTurn)
	var shares []Share
	fleet.take(quota, func(workspace, amount int) {
		shares = append(shares, Share{WorkspaceID: workspaces[workspace].ID, Amount: amount})
	})
	slices.SortFunc(shares, func(a, b Share) int { return cmp.Compare(a.WorkspaceID, b.WorkspaceID) })
	return shares
}

// AllocationsWithin is the second step: it shares the share of each workspace among its accounts.
// Only the first accounts of a workspace matter, as many as its share has enrollments, in the same
// order.
func AllocationsWithin(candidates []Candidate, shares []Share) []Allocation {
	amounts := make(map[int64]int, len(shares))
	for _, s := range shares {
		amounts[s.WorkspaceID] = s.Amount
	}
	var allocations []Allocation
	for _, workspace := range newFleet(len(candidates), func(i int) Candidate { return candidates[i] }).queue {
		workspace.take(amounts[workspace.id], func(account, amount int) {
			c := candidates[account]
			allocations = append(allocations, Allocation{AccountID: c.AccountID, WorkspaceID: c.WorkspaceID, Planned: amount})
		})
	}
	slices.SortFunc(allocations, func(a, b Allocation) int { return cmp.Compare(a.AccountID, b.AccountID) })
	return allocations
}
