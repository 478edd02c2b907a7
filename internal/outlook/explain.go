package outlook

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// An Explanation says why a prospect does not move in one of its campaigns, and what happened to it there.
type Explanation struct {
	Workspace   string `json:"workspace"`
	Campaign    string `json:"campaign"`
	Account     string `json:"account"` // the provider's id
	ProspectURL string `json:"prospect_url"`
	Status      string `json:"status"`
	Step        int    `json:"step"`
	explain.Answer
	History []Event `json:"history"` // oldest first
}

// An Event is one flip in the history of an enrollment: a row of the view thaw.history.
type Event struct {
	At          time.Time  `json:"at"`
	Kind        string     `json:"kind"`
	FromStatus  string     `json:"from_status"`
	ToStatus    string     `json:"to_status"`
	Reason      string     `json:"reason,omitempty"`
	Source      string     `json:"source"`
	TickAt      *time.Time `json:"tick_at,omitempty"`
	HealID      *int64     `json:"heal_id,omitempty"`
	SignalID    *int64     `json:"signal_id,omitempty"`
	JobID       *int64     `json:"job_id,omitempty"`
	FromAccount string     `json:"from_account,omitempty"`
	ToAccount   string     `json:"to_account,omitempty"`
	Step        int        `json:"step"`
}

// Explain returns one explanation for each campaign that has the prospect, in any workspace, ordered by workspace and
// campaign. For a prospect that nobody knows it returns a single one, with the code not_found.
func Explain(ctx context.Context, db *pgxpool.Pool, prospectURL string) ([]Explanation, error) {
	explanations := []Explanation{}
	err := read(ctx, db, func(q *dbsqlc.Queries) error {
		rows, err := q.ProspectFacts(ctx, prospectURL)
		if err != nil {
			return fmt.Errorf("reading facts: %w", err)
		}
		if len(rows) == 0 {
			unknown := Explanation{ProspectURL: prospectURL, Answer: explain.Because(explain.Facts{}), History: []Event{}}
			explanations = append(explanations, unknown)
			return nil
		}
		history, err := readHistory(ctx, q, prospectURL)
		if err != nil {
			return err
		}
		t, err := readTicks(ctx, q)
		if err != nil {
			return err
		}
		// The forecast is about the whole fleet: asked for only if somebody here is in line.
		var f *plan.Forecast
		if slices.ContainsFunc(rows, isInLine) {
			if f, err = forecast(ctx, q, t); err != nil {
				return err
			}
		}
		for _, row := range rows {
			explanations = append(explanations, Explanation{
				Workspace: row.Workspace, Campaign: row.Campaign, Account: row.Account, ProspectURL: row.ProspectUrl,
				Status: row.Status, Step: int(row.Step),
				Answer:  explain.Because(facts(row, t, f)),
				History: append([]Event{}, history[row.EnrollmentID]...),
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("explaining %s: %w", prospectURL, err)
	}
	return explanations, nil
}

func isInLine(row dbsqlc.ProspectFactsRow) bool { return row.Position > 0 }

// facts adds the expected times to a row. f is needed only for a row that is in line.
func facts(row dbsqlc.ProspectFactsRow, t ticks, f *plan.Forecast) explain.Facts {
	facts := explain.Facts{
		Status: row.Status, PausedReason: row.PausedReason, NextActionAt: utc(row.NextActionAt),
		Campaign: nameOf(row.CampaignName, row.Campaign), CampaignStatus: row.CampaignStatus, CampaignReason: row.CampaignReason,
		Account: nameOf(row.AccountName, row.Account), AccountStatus: row.AccountStatus,
		Siblings: int(row.Siblings), ConnectedElsewhere: row.ConnectedElsewhere,
		Target: nameOf(text(row.TargetName), text(row.Target)), BlockedBy: row.BlockedBy,
		HoldUntil: utc(row.HoldUntil), HoldReason: text(row.HoldReason), SafetyReason: text(row.SafetyReason), SafetyStays: row.SafetyStays,
		AutoResumeOff: !row.AutoResume, AutoResumeNote: text(row.AutoResumeNote),
		Position: int(row.Position),
	}
	if row.CampaignIsDue {
		next := t.next()
		facts.CampaignStartsAt = &next
	}
	if isInLine(row) {
		facts.ExpectedAt = expected(f.TickOf(*row.TargetID, facts.Position))
	}
	return facts
}

// readHistory returns the history of a prospect by enrollment.
func readHistory(ctx context.Context, q *dbsqlc.Queries, prospectURL string) (map[int64][]Event, error) {
	rows, err := q.ProspectHistory(ctx, prospectURL)
	if err != nil {
		return nil, fmt.Errorf("reading history: %w", err)
	}
	history := make(map[int64][]Event)
	for _, row := range rows {
		history[row.EnrollmentID] = append(history[row.EnrollmentID], Event{
			At: row.At.UTC(), Kind: row.Kind, FromStatus: row.FromStatus, ToStatus: row.ToStatus, Reason: row.Reason,
			Source: row.Source, TickAt: utc(row.TickAt), HealID: row.HealID, SignalID: row.SignalID, JobID: row.JobID,
			FromAccount: text(row.FromAccount), ToAccount: text(row.ToAccount), Step: int(row.Step),
		})
	}
	return history, nil
}
