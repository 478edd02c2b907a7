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

// Workspace is what a workspace can use in the tick: the sum of what its
// accounts can, each the smaller of its backlog and its room.
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

// Shares is the first of two steps that make the same plan as [Grants] without
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
			id: w.ID, served: w.Served.UnixMicro(), demand: w.Demand, backlog: w.Demand, room: w.Demand, account: i,
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

// GrantsWithin is the second step: it shares what each workspace got among its
// accounts. Of the accounts of a workspace in the order of their turn, those
// after as many as its share has enrollments make no difference.
func GrantsWithin(claimants []Claimant, shares []Share) []Grant {
	amounts := make(map[int64]int, len(shares))
	for _, s := range shares {
		amounts[s.WorkspaceID] = s.Amount
	}
	var grants []Grant
	for _, workspace := range newFleet(len(claimants), func(i int) Claimant { return claimants[i] }).line {
		workspace.take(amounts[workspace.id], func(account, amount int) {
			c := claimants[account]
			grants = append(grants, Grant{AccountID: c.AccountID, WorkspaceID: c.WorkspaceID, Planned: amount})
		})
	}
	slices.SortFunc(grants, func(a, b Grant) int { return cmp.Compare(a.AccountID, b.AccountID) })
	return grants
}
