package store

import (
	"time"

	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// Claimants turns what the database says about claimants into what the plan takes, and counts all who wait.
func Claimants(rows []dbsqlc.ClaimantsRow) (claimants []plan.Claimant, backlog int) {
	claimants = make([]plan.Claimant, len(rows))
	for i, row := range rows {
		claimants[i] = plan.Claimant{
			AccountID: row.AccountID, WorkspaceID: row.WorkspaceID, Backlog: int(row.Backlog), Room: int(row.Room),
			AccountServed: served(row.AccountServedAt), WorkspaceServed: served(row.WorkspaceServedAt),
		}
		backlog += int(row.Backlog)
	}
	return claimants, backlog
}

// served turns the query's word for never, the epoch, into the plan's, the zero time.
func served(at time.Time) time.Time {
	if at.Unix() == 0 {
		return time.Time{}
	}
	return at
}
