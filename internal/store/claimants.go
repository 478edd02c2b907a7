package store

import (
	"time"

	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// Candidates turns what the database says about candidates into what the plan takes, and counts all who wait.
func Candidates(rows []dbsqlc.CandidatesRow) (candidates []plan.Candidate, backlog int) {
	candidates = make([]plan.Candidate, len(rows))
	for i, row := range rows {
		candidates[i] = plan.Candidate{
			AccountID: row.AccountID, WorkspaceID: row.WorkspaceID, Backlog: int(row.Backlog), Quota: int(row.Quota),
			AccountServed: served(row.AccountServedAt), WorkspaceServed: served(row.WorkspaceServedAt),
		}
		backlog += int(row.Backlog)
	}
	return candidates, backlog
}

// served turns the query's word for never, the epoch, into the plan's, the zero time.
func served(at time.Time) time.Time {
	if at.Unix() == 0 {
		return time.Time{}
	}
	return at
}
