package store

import (
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/plan"
)

// Candidates converts rows of the query into candidates of the plan, and counts all waiting
// prospects.
func Candidates(rows []dbsqlc.CandidatesRow) (candidates []plan.Candidate, backlog int) {
	candidates = make([]plan.Candidate, len(rows))
	for i, row := range rows {
		candidates[i] = plan.Candidate{
			AccountID: row.AccountID, WorkspaceID: row.WorkspaceID, Backlog: int(row.Backlog), Quota: int(row.Quota), Cap: int(row.Cap),
			AccountServed: served(row.AccountServedAt), WorkspaceServed: served(row.WorkspaceServedAt),
		}
		backlog += int(row.Backlog)
	}
	return candidates, backlog
}

// served converts the epoch, which means never in the query, to the zero time of the plan.
func served(at time.Time) time.Time {
	if at.Unix() == 0 {
		return time.Time{}
	}
	return at
}
