package plan

import (
	"cmp"
	"slices"
)

// claim is what an account, a workspace, or the whole fleet can use in a tick.
// The three form a tree, and the same rule shares an amount among the claims
// below each level of it.
type claim struct {
	id     int64
	served int64 // in microseconds; decides the first order of the line, is not kept up to date after it

	// demand is what the claim can use in the next tick: for an account the
	// smaller of backlog and quota, for the others the sum of their line.
	demand int

	// line holds the claims below that can use something, in the order in which
	// they get an indivisible remainder: served longest ago first, then lowest
	// id. It is nil for an account.
	line []*claim

	backlog, quota int // of an account
	account        int // index of an account among the candidates
}

// newFleet builds the tree of the n candidates that can use something.
func newFleet(n int, candidate func(i int) Candidate) *claim {
	fleet := &claim{}
	workspaces := make(map[int64]*claim)
	accounts := make([]claim, 0, n)
	for i := range n {
		c := candidate(i)
		demand := min(c.Backlog, c.Quota)
		if demand <= 0 {
			continue
		}
		accounts = append(accounts, claim{
			id: c.AccountID, served: c.AccountServed.UnixMicro(),
			demand: demand, backlog: c.Backlog, quota: c.Quota, account: i,
		})
		workspaceServed := c.WorkspaceServed.UnixMicro()
		workspace, ok := workspaces[c.WorkspaceID]
		if !ok {
			workspace = &claim{id: c.WorkspaceID, served: workspaceServed}
			workspaces[c.WorkspaceID] = workspace
			fleet.line = append(fleet.line, workspace)
		}
		workspace.served = max(workspace.served, workspaceServed)
		workspace.line = append(workspace.line, &accounts[len(accounts)-1])
		workspace.demand += demand
		fleet.demand += demand
	}
	for _, workspace := range fleet.line {
		slices.SortFunc(workspace.line, byTurn)
	}
	slices.SortFunc(fleet.line, byTurn)
	return fleet
}

// take shares one tick's amount among the accounts under c and calls record
// once for each account that gets something. An amount beyond the demand is not
// used. Afterwards c stands as the next tick finds it: backlogs are smaller,
// whoever was served is at the end of its line, and whoever can use no more has
// left it. That tick must be later than every served time that c began with.
func (c *claim) take(amount int, record func(account, amount int)) {
	amount = min(amount, c.demand)
	if amount <= 0 {
		return
	}
	if c.line == nil {
		c.backlog -= amount
		c.demand = min(c.backlog, c.quota)
		record(c.account, amount)
		return
	}

	level, remainder := fill(c.line, amount, c.demand)
	reach := len(c.line)
	if level == 0 {
		reach = remainder // the others get nothing and move up
	}
	left := c.line[:0]
	for _, member := range c.line[:reach] {
		share := min(member.demand, level)
		if remainder > 0 && member.demand > level {
			share++
			remainder--
		}
		c.demand -= member.demand
		member.take(share, record)
		c.demand += member.demand
		if member.demand > 0 {
			left = append(left, member)
		}
	}
	slices.SortFunc(left, byID)
	if reach < len(c.line) {
		left = append(c.line[reach:], left...)
	}
	c.line = left
}

// fill returns the level up to which amount fills every claim of the line, and
// the remainder, which is too small for one more each. At least one claim is
// larger than the level for every unit of the remainder. The line demands
// demand in total, and amount is not larger than that.
func fill(line []*claim, amount, demand int) (level, remainder int) {
	if amount == demand {
		return amount, 0
	}
	if amount < len(line) {
		return 0, amount // without looking at a line that may be long
	}
	demands := make([]int, len(line))
	for i, member := range line {
		demands[i] = member.demand
	}
	slices.Sort(demands)
	// From the smallest up: whoever needs no more than an even share of what is
	// left gets all of it, until the share is too small for everybody remaining.
	for i, d := range demands {
		sharing := len(demands) - i
		if d > amount/sharing {
			return amount / sharing, amount % sharing
		}
		amount -= d
	}
	return demands[len(demands)-1], 0
}

func byTurn(a, b *claim) int {
	return cmp.Or(cmp.Compare(a.served, b.served), byID(a, b))
}

func byID(a, b *claim) int { return cmp.Compare(a.id, b.id) }
