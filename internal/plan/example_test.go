package plan_test

import (
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/plan"
)

// The example of the package documentation: a quota of 10 for three workspaces.
func ExampleAllocations() {
	candidates := []plan.Candidate{
		{AccountID: 11, WorkspaceID: 1, Backlog: 9, Quota: 200, Cap: 200},
		{AccountID: 12, WorkspaceID: 1, Backlog: 1, Quota: 200, Cap: 200},
		{AccountID: 21, WorkspaceID: 2, Backlog: 2, Quota: 200, Cap: 200},
		{AccountID: 31, WorkspaceID: 3, Backlog: 50, Quota: 200, Cap: 200},
	}
	for _, g := range plan.Allocations(candidates, 10) {
		fmt.Printf("account %d of workspace %d: %d\n", g.AccountID, g.WorkspaceID, g.Planned)
	}
	// Output:
	// account 11 of workspace 1: 3
	// account 12 of workspace 1: 1
	// account 21 of workspace 2: 2
	// account 31 of workspace 3: 4
}

func ExampleForecast() {
	first := time.Date(2026, 5, 1, 9, 15, 0, 0, time.UTC)
	f := plan.NewForecast(
		[]plan.Candidate{{AccountID: 11, WorkspaceID: 1, Backlog: 450, Quota: 200, Cap: 200}},
		plan.Rules{First: first, FirstQuota: 2000, Tick: 15 * time.Minute, FleetCap: 2000, Horizon: 672},
	)
	at, _ := f.TickOf(11, 201)
	drained, _ := f.Drained(11)
	fmt.Println("position 201:", at.Format(time.TimeOnly))
	fmt.Println("drained:", drained.Format(time.TimeOnly))
	// Output:
	// position 201: 09:30:00
	// drained: 09:45:00
}
