package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAllocationsExamples(t *testing.T) {
	t.Parallel()

	// account is a candidate that was never served, with the default quota of 200.
	account := func(workspace, id int64, backlog int) Candidate {
		return Candidate{AccountID: id, WorkspaceID: workspace, Backlog: backlog, Quota: 200}
	}
	// served sets the last ticks that served the account and its workspace.
	served := func(c Candidate, account, workspace int) Candidate {
		c.AccountServed, c.WorkspaceServed = tick(account), tick(workspace)
		return c
	}

	tests := []struct {
		name       string
		candidates []Candidate
		quota      int
		want       map[int64]int // planned by account
	}{
		{
			name:       "no candidates",
			candidates: nil,
			quota:      2000,
			want:       map[int64]int{},
		},
		{
			name:       "enough for all",
			candidates: []Candidate{account(1, 11, 30), account(2, 21, 200)},
			quota:      2000,
			want:       map[int64]int{11: 30, 21: 200},
		},
		{
			name:       "an account gets no more than its quota, even if fleet quota remains",
			candidates: []Candidate{account(1, 11, 102_000)},
			quota:      2000,
			want:       map[int64]int{11: 200},
		},
		{
			name:       "a small backlog does not wait for a large one",
			candidates: []Candidate{account(1, 11, 3), account(2, 21, 150), account(3, 31, 150)},
			quota:      103,
			want:       map[int64]int{11: 3, 21: 50, 31: 50},
		},
		{
			name:       "many accounts do not give a workspace a larger share",
			candidates: []Candidate{account(1, 11, 90), account(1, 12, 90), account(1, 13, 90), account(2, 21, 90)},
			quota:      120,
			want:       map[int64]int{11: 20, 12: 20, 13: 20, 21: 60},
		},
		{
			name:       "what a workspace cannot use goes to the others",
			candidates: []Candidate{account(1, 11, 10), account(2, 21, 90), account(2, 22, 90)},
			quota:      120,
			want:       map[int64]int{11: 10, 21: 55, 22: 55},
		},
		{
			name: "the remainder goes to the workspaces served longest ago",
			candidates: []Candidate{
				served(account(1, 11, 50), 3, 3), served(account(2, 21, 50), 1, 1), served(account(3, 31, 50), 2, 2),
			},
			quota: 32,
			want:  map[int64]int{11: 10, 21: 11, 31: 11},
		},
		{
			name: "the remainder of a workspace goes to the accounts served longest ago",
			candidates: []Candidate{
				served(account(1, 11, 50), 3, 3), served(account(1, 12, 50), 1, 3), served(account(1, 13, 50), 2, 3),
			},
			quota: 32,
			want:  map[int64]int{11: 10, 12: 11, 13: 11},
		},
		{
			name: "more candidates than fleet quota: never served first, then longest ago, then the lowest id",
			candidates: []Candidate{
				served(account(1, 11, 50), 1, 1), served(account(2, 21, 50), 2, 2),
				served(account(3, 31, 50), 2, 2), served(account(4, 41, 50), 0, 0),
			},
			quota: 3,
			want:  map[int64]int{11: 1, 21: 1, 41: 1},
		},
		{
			name: "the newest tick of a workspace counts if its accounts differ",
			candidates: []Candidate{
				served(account(1, 11, 1), 1, 1), served(account(1, 12, 1), 3, 3), served(account(2, 21, 1), 2, 2),
			},
			quota: 1,
			want:  map[int64]int{21: 1},
		},
		{
			name: "backlog, account quota and fleet quota below zero count as zero",
			candidates: []Candidate{
				account(1, 11, -5), {AccountID: 21, WorkspaceID: 2, Backlog: 5, Quota: -1}, account(3, 31, 5),
			},
			quota: 4,
			want:  map[int64]int{31: 4},
		},
		{
			name:       "an account whose demand is met gets no remainder",
			candidates: []Candidate{account(1, 11, 3), account(2, 21, 4), account(3, 31, 4)},
			quota:      10,
			want:       map[int64]int{11: 3, 21: 4, 31: 3},
		},
		{
			name:       "a negative quota allocates nothing",
			candidates: []Candidate{account(1, 11, 5)},
			quota:      -1,
			want:       map[int64]int{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, byAccount(Allocations(tt.candidates, tt.quota)))
		})
	}
}

// TestAllocationsEqualsDealing compares the plan with the rule applied literally, one enrollment at
// a time.
func TestAllocationsEqualsDealing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		candidates := drawCandidates(t)
		for quota := range quotas(candidates) {
			require.Equal(t, deal(candidates, quota), byAccount(Allocations(candidates, quota)), "quota %d", quota)
		}
	})
}

// TestTwoStepsMakeTheSamePlan gives each step only the rows that the database returns: the first
// workspaces, and the first accounts of each workspace with a share.
func TestTwoStepsMakeTheSamePlan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		candidates := drawCandidates(t)
		for quota := range quotas(candidates) {
			demands := make(map[int64]*Workspace)
			for _, c := range candidates {
				if usable(c) == 0 {
					continue
				}
				w := demands[c.WorkspaceID]
				if w == nil {
					w = &Workspace{ID: c.WorkspaceID, Served: c.WorkspaceServed}
					demands[c.WorkspaceID] = w
				}
				w.Demand += usable(c)
			}
			var workspaces []Workspace
			for _, w := range demands {
				workspaces = append(workspaces, *w)
			}
			slices.SortFunc(workspaces, func(a, b Workspace) int { return cmp.Or(a.Served.Compare(b.Served), cmp.Compare(a.ID, b.ID)) })
			shares := Shares(workspaces[:max(0, min(len(workspaces), quota))], quota)

			var first []Candidate
			for _, s := range shares {
				var own []Candidate
				for _, c := range candidates {
					if c.WorkspaceID == s.WorkspaceID && usable(c) > 0 {
						own = append(own, c)
					}
				}
				slices.SortFunc(own, func(a, b Candidate) int {
					return cmp.Or(a.AccountServed.Compare(b.AccountServed), cmp.Compare(a.AccountID, b.AccountID))
				})
				first = append(first, own[:min(len(own), s.Amount)]...)
			}
			require.Equal(t, Allocations(candidates, quota), AllocationsWithin(first, shares), "quota %d", quota)
		}
	})
}

func TestAllocationsIsCapped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		candidates := drawCandidates(t)
		for quota := range quotas(candidates) {
			waiting := make(map[int64]Candidate)
			for _, c := range candidates {
				waiting[c.AccountID] = c
			}
			total := 0
			for _, g := range Allocations(candidates, quota) {
				c, ok := waiting[g.AccountID]
				require.True(t, ok, "an allocation for an unknown account, or a second one: %+v", g)
				delete(waiting, g.AccountID)
				require.Equal(t, c.WorkspaceID, g.WorkspaceID)
				require.GreaterOrEqual(t, g.Planned, 1)
				require.LessOrEqual(t, g.Planned, c.Quota)
				require.LessOrEqual(t, g.Planned, c.Backlog)
				total += g.Planned
			}
			require.LessOrEqual(t, total, max(quota, 0))
		}
	})
}

func TestAllocationsUsesWholeQuota(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		candidates := drawCandidates(t)
		for quota := range quotas(candidates) {
			total := 0
			for _, g := range Allocations(candidates, quota) {
				total += g.Planned
			}
			require.Equal(t, max(0, min(quota, demand(candidates))), total)
		}
	})
}

// TestAllocationsIsMaxMinFair checks every pair of workspaces, and every pair of accounts in a
// workspace. If one got more than the other by over one, the demand of the other must be met. If
// both want more, the one served longer ago must not have less.
func TestAllocationsIsMaxMinFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		candidates := drawCandidates(t)
		for quota := range quotas(candidates) {
			planned := byAccount(Allocations(candidates, quota))
			workspaces := make(map[int64]*sharer)
			accounts := make(map[int64][]*sharer)
			for _, c := range candidates {
				w := workspaces[c.WorkspaceID]
				if w == nil {
					w = &sharer{id: c.WorkspaceID, served: c.WorkspaceServed}
					workspaces[c.WorkspaceID] = w
				}
				w.got += planned[c.AccountID]
				w.demand += usable(c)
				accounts[c.WorkspaceID] = append(accounts[c.WorkspaceID],
					&sharer{id: c.AccountID, served: c.AccountServed, got: planned[c.AccountID], demand: usable(c)})
			}
			requireFair(t, slices.Collect(maps.Values(workspaces)))
			for _, ofWorkspace := range accounts {
				requireFair(t, ofWorkspace)
			}
		}
	})
}

func TestAllocationsIgnoresInputOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		candidates := drawCandidates(t)
		before := slices.Clone(candidates)
		shuffled := rapid.Permutation(candidates).Draw(t, "shuffled")
		for quota := range quotas(candidates) {
			allocations := Allocations(candidates, quota)
			require.Equal(t, allocations, Allocations(shuffled, quota), "quota %d", quota)
			require.True(t, slices.IsSortedFunc(allocations, func(a, b Allocation) int { return cmp.Compare(a.AccountID, b.AccountID) }))
		}
		require.Equal(t, before, candidates, "the candidates do not change")
	})
}

// TestAllocationsStarvesNoAccount runs tick after tick. With w workspaces and a quota b, a
// workspace is served at least every ceil(w/b) ticks, and then with at least max(1, b/w), unless it
// needs less. An account that shares its workspace with others is served after all of them had a
// turn. With one account per workspace, or a single workspace: within ceil(accounts/b) ticks.
func TestAllocationsStarvesNoAccount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const accountCap = 6
		candidates := drawCandidates(t)
		quota := 1 + upTo15().Draw(t, "quota")
		siblings := make(map[int64]int)
		waiting := make(map[int64]int64) // account: workspace
		for i := range candidates {
			candidates[i].Quota, candidates[i].Cap = accountCap, accountCap
			if c := candidates[i]; usable(c) > 0 {
				siblings[c.WorkspaceID]++
				waiting[c.AccountID] = c.WorkspaceID
			}
		}
		within := func(workspace int64) int {
			return ceil(len(siblings), quota) * ceil(siblings[workspace], max(1, quota/len(siblings)))
		}
		for n := 1; len(waiting) > 0; n++ {
			allocations := Allocations(candidates, quota)
			for _, g := range allocations {
				delete(waiting, g.AccountID)
			}
			for account, workspace := range waiting {
				require.Less(t, n, within(workspace), "account %d of workspace %d", account, workspace)
			}
			candidates = afterTick(candidates, allocations, tick(100+n))
		}
	})
}

func BenchmarkAllocations(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		for _, quota := range []int{2_000, 2_000_000} {
			b.Run(fmt.Sprintf("candidates=%d/quota=%d", n, quota), func(b *testing.B) {
				candidates := make([]Candidate, n)
				for i := range candidates {
					candidates[i] = Candidate{
						AccountID: int64(i*7919%n + 1), WorkspaceID: int64(i % (n/10 + 1)),
						Backlog: i % 977, Quota: 200,
						AccountServed: tick(i * 31 % 500), WorkspaceServed: tick(500),
					}
				}
				for b.Loop() {
					Allocations(candidates, quota)
				}
			})
		}
	}
}
