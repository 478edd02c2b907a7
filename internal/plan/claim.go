package plan

import (
	"cmp"
	"slices"
)

// claim is what an account, a workspace, or the whole fleet can use in a tick. Claims form a tree,
// and the same rule shares an amount among the children at each level.
type claim struct {
	id     int64
	served int64 // in microseconds; determines the initial order of the queue and is not updated later

	// demand is what the claim can use in the next tick: for an account the smaller of backlog and
	// quota, otherwise the sum of its queue.
	demand int

	// queue has the child claims with a demand, in the order in which they get a remainder: served
	// longest ago first, then lowest id. Nil for an account.
	queue []*claim

	backlog, quota int // for an account
	account        int // for an account: its index among the candidates
}

// newFleet builds the tree of the candidates with a demand.
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
			fleet.queue = append(fleet.queue, workspace)
		}
		workspace.served = max(workspace.served, workspaceServed)
		workspace.queue = append(workspace.queue, &accounts[len(accounts)-1])
		workspace.demand += demand
		fleet.demand += demand
	}
	for _, workspace := range fleet.queue {
		slices.SortFunc(workspace.queue, byTurn)
	}
	slices.SortFunc(fleet.queue, byTurn)
	return fleet
}

// take shares the amount of one tick among the accounts under c and calls record once for each
// account that gets an allocation. An amount beyond the demand is not used. Afterwards c has the
// state for the next tick: backlogs are smaller, served claims are at the end of their queues, and
// claims without demand are removed. The next tick must be later than every served time with which
// c was built.
func (c *claim) take(amount int, record func(account, amount int)) {
	amount = min(amount, c.demand)
	if amount <= 0 {
		return
	}
	if c.queue == nil {
		c.backlog -= amount
		c.demand = min(c.backlog, c.quota)
		record(c.account, amount)
		return
	}

	level, remainder := fill(c.queue, amount, c.demand)
	reach := len(c.queue)
	if level == 0 {
		reach = remainder // the others get nothing and move forward
	}
	unmet := c.queue[:0]
	for _, member := range c.queue[:reach] {
		share := min(member.demand, level)
		if remainder > 0 && member.demand > level {
			share++
			remainder--
		}
		c.demand -= member.demand
		member.take(share, record)
		c.demand += member.demand
		if member.demand > 0 {
			unmet = append(unmet, member)
		}
	}
	slices.SortFunc(unmet, byID)
	if reach < len(c.queue) {
		unmet = append(c.queue[reach:], unmet...)
	}
	c.queue = unmet
}

// fill returns the level up to which amount fills every claim of the queue, and the remainder,
// which is too small for one more each. At least as many claims exceed the level as the remainder
// has units. demand is the total demand of the queue, and amount does not exceed it.
func fill(queue []*claim, amount, demand int) (level, remainder int) {
	if amount == demand {
		return amount, 0
	}
	if amount < len(queue) {
		return 0, amount // without reading a queue that may be long
	}
	demands := make([]int, len(queue))
	for i, member := range queue {
		demands[i] = member.demand
	}
	slices.Sort(demands)
	// From the smallest up: a claim that needs no more than an even share of the rest gets all of
	// its demand, until the share is too small for all remaining claims.
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
