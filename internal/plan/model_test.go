package plan

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// tick returns the n-th quarter hour of the tests; tick 0 means never.
func tick(n int) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * 15 * time.Minute)
}

// drawCandidates draws small numbers, so that ties, remainders and candidates without demand are
// common.
func drawCandidates(t *rapid.T) []Candidate {
	var workspaceServed [8]time.Time
	for i := range workspaceServed {
		workspaceServed[i] = tick(upTo3().Draw(t, "workspace served"))
	}
	ids := rapid.Permutation([]int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}).Draw(t, "accounts")
	candidates := make([]Candidate, upTo15().Draw(t, "number of candidates"))
	for i := range candidates {
		workspace := upTo7().Draw(t, "workspace")
		candidates[i] = Candidate{
			AccountID:       ids[i],
			WorkspaceID:     int64(workspace),
			Backlog:         upTo15().Draw(t, "backlog") - 1,
			Quota:           upTo7().Draw(t, "quota") - 1,
			Cap:             upTo7().Draw(t, "cap") - 1,
			AccountServed:   tick(upTo3().Draw(t, "account served")),
			WorkspaceServed: workspaceServed[workspace],
		}
	}
	return candidates
}

func upTo3() *rapid.Generator[int]  { return evenly(2) }
func upTo7() *rapid.Generator[int]  { return evenly(3) }
func upTo15() *rapid.Generator[int] { return evenly(4) }

// evenly draws uniformly distributed numbers of the given number of bits. The ranges of rapid
// prefer small numbers so strongly that most plans would serve no account.
func evenly(bits int) *rapid.Generator[int] {
	return rapid.Custom(func(t *rapid.T) int {
		n := 0
		for range bits {
			n *= 2
			if rapid.Bool().Draw(t, "bit") {
				n++
			}
		}
		return n
	})
}

// quotas yields every quota that makes a difference for the candidates.
func quotas(candidates []Candidate) iter.Seq[int] {
	return func(yield func(int) bool) {
		for quota := -1; quota <= demand(candidates)+1; quota++ {
			if !yield(quota) {
				return
			}
		}
	}
}

func demand(candidates []Candidate) int {
	total := 0
	for _, c := range candidates {
		total += usable(c)
	}
	return total
}

// usable is the maximum allocation of the candidate.
func usable(c Candidate) int { return max(0, min(c.Backlog, c.Quota)) }

func byAccount(allocations []Allocation) map[int64]int {
	planned := make(map[int64]int)
	for _, g := range allocations {
		planned[g.AccountID] += g.Planned
	}
	return planned
}

// sharer is an account or a workspace, with its allocation and its demand.
type sharer struct {
	id          int64
	served      time.Time
	got, demand int
}

// turn orders sharers by which one gets the next enrollment.
func turn(a, b *sharer) int {
	return cmp.Or(cmp.Compare(a.got, b.got), a.served.Compare(b.served), cmp.Compare(a.id, b.id))
}

// deal implements the rule literally: it allocates one enrollment at a time.
func deal(candidates []Candidate, quota int) map[int64]int {
	workspaces := make(map[int64]*sharer)
	accounts := make(map[int64][]*sharer)
	for _, c := range candidates {
		workspaces[c.WorkspaceID] = &sharer{id: c.WorkspaceID, served: c.WorkspaceServed}
		accounts[c.WorkspaceID] = append(accounts[c.WorkspaceID],
			&sharer{id: c.AccountID, served: c.AccountServed, demand: usable(c)})
	}
	dealt := make(map[int64]int)
	for range quota {
		var next, workspace *sharer
		for id, w := range workspaces {
			open := slices.DeleteFunc(slices.Clone(accounts[id]), func(a *sharer) bool { return a.got == a.demand })
			if len(open) > 0 && (workspace == nil || turn(w, workspace) < 0) {
				workspace, next = w, slices.MinFunc(open, turn)
			}
		}
		if next == nil {
			break
		}
		workspace.got++
		next.got++
		dealt[next.id]++
	}
	return dealt
}

// requireFair checks every pair of sharers.
func requireFair(t *rapid.T, sharers []*sharer) {
	for _, a := range sharers {
		for _, b := range sharers {
			if b.got == b.demand {
				continue
			}
			require.LessOrEqual(t, a.got, b.got+1, "%+v got more than %+v, which wants more", a, b)
			bFirst := cmp.Or(b.served.Compare(a.served), cmp.Compare(b.id, a.id)) < 0
			if bFirst {
				require.LessOrEqual(t, a.got, b.got, "%+v comes before %+v", b, a)
			}
		}
	}
}

// afterTick returns the candidates for the sweep after the tick.
func afterTick(candidates []Candidate, allocations []Allocation, at time.Time) []Candidate {
	planned := byAccount(allocations)
	workspaceServed := make(map[int64]bool)
	for _, g := range allocations {
		workspaceServed[g.WorkspaceID] = true
	}
	var left []Candidate
	for _, c := range candidates {
		if planned[c.AccountID] > 0 {
			c.Backlog -= planned[c.AccountID]
			c.AccountServed = at
		}
		if workspaceServed[c.WorkspaceID] {
			c.WorkspaceServed = at
		}
		c.Quota = c.Cap
		if c.Backlog > 0 {
			left = append(left, c)
		}
	}
	return left
}

func ceil(a, b int) int { return (a + b - 1) / b }
