package readmodel

import (
	"context"
	"fmt"
	"strings"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/lookup"
)

// A ProspectEvent is a transition in the history of a prospect in one of its campaigns.
type ProspectEvent struct {
	ID           int64  `json:"id"`
	Workspace    string `json:"workspace"`
	Campaign     string `json:"campaign"`
	EnrollmentID int64  `json:"enrollment_id"`
	ProspectURL  string `json:"prospect_url"`          // as it was enrolled
	ExternalID   string `json:"external_id,omitempty"` // the platform's own ID; empty: none
	Event
}

// Events returns a page of the history of a prospect in all of its campaigns, newest first. In
// place of its URL, an ID of the platform is accepted, which stands for one campaign.
func Events(ctx context.Context, db *store.Store, s Scope, prospectURL string, p Paging) (Page[ProspectEvent], error) {
	const list = "events"
	from, err := after(p, list, beforeAny)
	if err != nil {
		return Page[ProspectEvent]{}, fmt.Errorf("events of %s: %w", prospectURL, err)
	}
	rows, err := db.Read().EventPage(ctx, dbsqlc.EventPageParams{
		Names: append(lookup.URLs(prospectURL), strings.TrimSpace(prospectURL)), BeforeID: from.ID, FirstWorkspace: s.first, LastWorkspace: s.last, Size: p.size(),
	})
	if err != nil {
		return Page[ProspectEvent]{}, fmt.Errorf("events of %s: %w", prospectURL, err)
	}
	return paged(p, list, rows, prospectEvent, func(r dbsqlc.EventPageRow) newest { return newest{r.ID} })
}

func prospectEvent(r dbsqlc.EventPageRow) ProspectEvent {
	return ProspectEvent{
		ID: r.ID, Workspace: r.Workspace, Campaign: r.Campaign, EnrollmentID: r.EnrollmentID, ProspectURL: r.ProspectUrl, ExternalID: text(r.ExternalID),
		Event: Event{
			At: r.At.UTC(), Kind: r.Kind, FromStatus: r.FromStatus, ToStatus: r.ToStatus, Reason: r.Reason, Source: r.Source,
			TickAt: utc(r.TickAt), HealID: r.HealID, SignalID: r.SignalID, JobID: r.JobID,
			FromAccount: text(r.FromAccount), ToAccount: text(r.ToAccount), Step: int(r.Step), Detail: r.Detail,
		},
	}
}
