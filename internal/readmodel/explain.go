package readmodel

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/lookup"
	"github.com/thawline/thaw/internal/sendforecast"
)

// An Explanation says why a prospect does not continue in one of its campaigns, with its history
// there.
type Explanation struct {
	EnrollmentID int64  `json:"enrollment_id"` // 0 if the prospect is unknown
	Workspace    string `json:"workspace"`
	Campaign     string `json:"campaign"`
	AccountID    int64  `json:"account_id"`   // 0 if no account is assigned yet
	Account      string `json:"account"`      // the provider account ID
	ProspectURL  string `json:"prospect_url"` // as it was enrolled
	Status       string `json:"status"`
	Step         int    `json:"step"`
	// OwnReason is why the platform paused the prospect, in its own words. Empty unless it is paused
	// by a user.
	OwnReason string `json:"own_reason,omitempty"`
	ExternalIDs
	explain.Answer
	// Next is the next action of an active prospect, if Thaw schedules it or has given it out; nil for
	// all others.
	Next *NextAction `json:"next,omitempty"`
	// NotBefore is a lower bound for the tick that resumes it, if ExpectedAt is beyond the
	// forecast.
	NotBefore *time.Time `json:"not_before,omitempty"`
	// Forecast describes the forecast behind the expected time if it is old; nil if it is current.
	Forecast *ForecastInfo `json:"forecast,omitempty"`
	History  []Event       `json:"history"` // oldest first
	// LockedAt is when the provider locked the account, LockedReason the provider's raw value.
	LockedAt     *time.Time `json:"locked_at,omitempty"`
	LockedReason string     `json:"locked_reason,omitempty"`
	// Products are the products of the account for which the provider reports a separate status.
	Products []Product `json:"products,omitempty"`

	// For pages: names, when it was paused, and the same answer for the customer, with names only.
	AccountName   string     `json:"-"`
	AccountStatus string     `json:"-"`
	Timezone      string     `json:"-"` // of the account's owner
	CampaignName  string     `json:"-"`
	PausedReason  string     `json:"-"`
	PausedAt      *time.Time `json:"-"`
	Reply         string     `json:"-"`

	// Tried are the spellings of the URL that were looked up, if the prospect is unknown.
	Tried []string `json:"tried,omitempty"`
}

// ExternalIDs are the IDs that the platform uses for the objects of an enrollment. Empty: the
// platform passed none.
type ExternalIDs struct {
	ExternalID          string `json:"external_id,omitempty"` // of the enrollment
	WorkspaceExternalID string `json:"workspace_external_id,omitempty"`
	CampaignExternalID  string `json:"campaign_external_id,omitempty"`
	AccountExternalID   string `json:"account_external_id,omitempty"`
}

// A Prospect is a requested URL with its answer: one explanation per campaign that has the
// prospect.
type Prospect struct {
	URL          string        `json:"url"` // as requested
	Explanations []Explanation `json:"explanations"`
}

// IsKnown reports whether any campaign has the prospect.
func (p Prospect) IsKnown() bool { return p.Explanations[0].Code != explain.NotFound }

// An Event is a transition in the history of an enrollment: a row of the view thaw.history.
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
	Detail      string     `json:"detail,omitempty"` // of a change by a person or the platform: who and why

	ActionID *int64 `json:"-"` // the manual action that caused it: thaw.manual_actions.id
	CanUndo  bool   `json:"-"` // see AuditEntry

	FromName string `json:"-"` // display names of the accounts
	ToName   string `json:"-"`
}

// Explain explains one prospect, in any workspace; see [Explainer.Explain].
func Explain(ctx context.Context, db *store.Store, prospectURL string) ([]Explanation, error) {
	asked, err := NewExplainer(db, Everything()).Explain(ctx, []string{prospectURL})
	if err != nil {
		return nil, err
	}
	return asked[0].Explanations, nil
}

// An Explainer explains any number of prospects with one forecast of the fleet. It reads the
// forecast only if one of them is in a queue.
type Explainer struct {
	reader *Reader
	scope  Scope
}

// NewExplainer returns an Explainer for the scope, with a Reader of its own.
func NewExplainer(db *store.Store, s Scope) *Explainer { return NewReader(db).Explainer(s) }

// Explainer returns an Explainer for the scope, which shares the forecasts of the Reader.
func (f *Reader) Explainer(s Scope) *Explainer { return &Explainer{reader: f, scope: s} }

// Explain returns, for each URL, one explanation per campaign that has the prospect, ordered by
// workspace and campaign. Enrollments under exactly this URL come first, then those under other
// spellings of it (see [explain.NormalURL]). In place of a URL, an ID of the platform is accepted:
// it stands for one enrollment. An unknown prospect gets a single explanation with the code
// not_found.
func (x *Explainer) Explain(ctx context.Context, prospectURLs []string) ([]Prospect, error) {
	prospects := make([]Prospect, len(prospectURLs))
	spellings := make([][]string, len(prospectURLs))
	var all []string
	for i, url := range prospectURLs {
		if err := explain.CheckURL(url); err != nil {
			return nil, err
		}
		spellings[i] = lookup.URLs(url)
		all = append(append(all, spellings[i]...), strings.TrimSpace(url))
	}
	known, err := x.known(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("explaining %d prospects: %w", len(prospectURLs), err)
	}
	for i, url := range prospectURLs {
		prospects[i] = Prospect{URL: url, Explanations: find(known, url, spellings[i])}
	}
	return prospects, nil
}

// known returns the explanations of all enrollments with one of the URLs or IDs, keyed as by
// [facts.explain].
func (x *Explainer) known(ctx context.Context, urls []string) (map[string][]Explanation, error) {
	var found facts
	err := x.reader.db.Snapshot(ctx, func(q *dbsqlc.Queries) (err error) {
		found, err = readFacts(ctx, q, urls, x.scope)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := found.expectActions(ctx, &sendforecast.Budget{Steps: expectedSteps}); err != nil {
		return nil, err
	}
	var seen *view
	// A forecast covers the whole fleet, so it is read only if one of the prospects is in a queue.
	if len(found.positions) > 0 {
		if seen, err = x.reader.look(ctx, found.ticks); err != nil {
			return nil, err
		}
	}
	return found.explain(seen), nil
}

// find returns the explanations for one requested URL; enrollments under exactly this URL come
// first.
func find(known map[string][]Explanation, url string, spellings []string) []Explanation {
	var found []Explanation
	for _, spelling := range spellings {
		found = append(found, known[spelling]...)
	}
	if found == nil {
		found = known[externalID(strings.TrimSpace(url))]
	}
	if found == nil {
		found = []Explanation{{
			ProspectURL: url, Answer: explain.Because(explain.Facts{Spellings: len(spellings)}), History: []Event{}, Tried: spellings,
		}}
	}
	return found
}

// countedPositions limits how far positions in a queue are counted: 100 ticks of an account at its
// default cap. Enrollments further back get a lower bound.
const countedPositions = 20_000

// facts is the data about some enrollments at one moment.
type facts struct {
	rows      []dbsqlc.ProspectFactsRow
	history   map[int64][]Event
	products  map[int64][]Product // by account ID
	ticks     ticks
	positions map[int64]int // by enrollment ID, for those in a queue
	next      map[int64]*NextAction
	nextFacts map[int64]*explain.NextFacts
	// expectation is what [facts.expectActions] completes next and nextFacts from.
	expectation expectation
}

func readFacts(ctx context.Context, q *dbsqlc.Queries, urls []string, s Scope) (found facts, err error) {
	found.rows, err = q.ProspectFacts(ctx, dbsqlc.ProspectFactsParams{
		Names: urls, FirstWorkspace: s.first, LastWorkspace: s.last,
	})
	if err != nil {
		return found, fmt.Errorf("reading facts: %w", err)
	}
	if len(found.rows) == 0 {
		return found, nil
	}
	var ids, accounts, queued []int64
	for _, row := range found.rows {
		ids, accounts = append(ids, row.EnrollmentID), append(accounts, row.AccountID)
		if row.IsQueued {
			queued = append(queued, row.EnrollmentID)
		}
	}
	if found.history, err = readHistories(ctx, q, ids); err != nil {
		return found, err
	}
	if found.products, err = productsOf(ctx, q, accounts); err != nil {
		return found, err
	}
	if found.next, found.nextFacts, err = nextActions(ctx, q, found.rows); err != nil {
		return found, err
	}
	if found.expectation, err = readExpectation(ctx, q, found.rows, found.next); err != nil {
		return found, err
	}
	if found.ticks, err = readTicks(ctx, q); err != nil {
		return found, err
	}
	if queued == nil {
		return found, nil
	}
	positions, err := q.Positions(ctx, dbsqlc.PositionsParams{EnrollmentIds: queued, AtMost: countedPositions})
	if err != nil {
		return found, fmt.Errorf("reading positions: %w", err)
	}
	found.positions = make(map[int64]int, len(positions))
	for _, p := range positions {
		found.positions[p.EnrollmentID] = int(p.Position)
	}
	return found, nil
}

// externalID is the key of explanations by an ID of the platform. No URL has this form.
func externalID(id string) string { return "id\n" + id }

// explain returns the explanations, keyed by the URL as it was enrolled, and by the ID of the
// platform (see [externalID]). seen is needed only for
// enrollments in a queue; nil if there is no forecast.
func (f facts) explain(seen *view) map[string][]Explanation {
	known := make(map[string][]Explanation)
	for _, row := range f.rows {
		facts := factsOf(row, f.ticks, f.positions[row.EnrollmentID], seen)
		for _, p := range f.products[row.AccountID] {
			if p.DownSince != nil {
				facts.DownProducts = append(facts.DownProducts, explain.DownProduct{Name: p.Product, Status: enum.AccountStatus(p.Status), Since: *p.DownSince})
			}
		}
		facts.Next = f.nextFacts[row.EnrollmentID]
		var of *ForecastInfo
		if facts.Position > 0 && seen != nil && seen.isOld {
			of = seen.info()
		}
		explained := Explanation{
			EnrollmentID: row.EnrollmentID, Workspace: row.Workspace, Campaign: row.Campaign,
			AccountID: row.AccountID, Account: row.Account, ProspectURL: row.ProspectUrl, Status: row.Status, Step: int(row.Step),
			OwnReason: facts.OwnReason,
			ExternalIDs: ExternalIDs{
				text(row.ExternalID), text(row.WorkspaceExternalID), text(row.CampaignExternalID), text(row.AccountExternalID),
			},
			Answer: explain.Because(facts), Next: f.next[row.EnrollmentID], NotBefore: facts.NotBefore, Forecast: of,
			History:     append([]Event{}, f.history[row.EnrollmentID]...),
			AccountName: row.AccountName, AccountStatus: row.AccountStatus, Timezone: row.Timezone, CampaignName: row.CampaignName,
			PausedReason: row.PausedReason, PausedAt: utc(row.PausedAt), Reply: replyOf(row, facts),
			LockedAt: utc(row.AccountLockedAt), LockedReason: text(row.AccountLockedReason), Products: f.products[row.AccountID],
		}
		known[row.ProspectUrl] = append(known[row.ProspectUrl], explained)
		if explained.ExternalID != "" && explained.ExternalID != row.ProspectUrl {
			known[externalID(explained.ExternalID)] = append(known[externalID(explained.ExternalID)], explained)
		}
	}
	return known
}

// replyOf is the answer for a customer: with the names that the platform shows, without IDs.
func replyOf(row dbsqlc.ProspectFactsRow, facts explain.Facts) string {
	if row.AccountID != 0 {
		facts.Account = cmp.Or(row.AccountName, "of this prospect")
	}
	facts.Campaign = cmp.Or(row.CampaignName, row.Campaign)
	if facts.Next != nil {
		next := *facts.Next
		next.Account, next.ActionID = facts.Words.Noun+" "+facts.Account, 0
		facts.Next = &next
	}
	if facts.Target != "" {
		facts.Target = cmp.Or(text(row.TargetName), "of this prospect")
	}
	// Sentences about an account without a name need an article.
	nameless := facts.Words.Noun + " of this prospect"
	return strings.NewReplacer(" "+nameless, " the "+nameless, strings.ToUpper(nameless[:1])+nameless[1:], "The "+nameless).
		Replace(explain.Because(facts).Sentence)
}

// factsOf adds the expected times to a row. seen is needed only for a row in a queue.
func factsOf(row dbsqlc.ProspectFactsRow, t ticks, position int, seen *view) explain.Facts {
	facts := explain.Facts{
		Status: enum.EnrollmentStatus(row.Status), PausedReason: enum.PauseReason(row.PausedReason), NextActionAt: utc(row.NextActionAt),
		Campaign: nameOf(row.CampaignName, row.Campaign), CampaignStatus: enum.CampaignStatus(row.CampaignStatus),
		CampaignReason: enum.PauseReason(row.CampaignReason),
		Account:        nameOf(row.AccountName, row.Account), AccountStatus: enum.AccountStatus(row.AccountStatus),
		Words:         explain.Words{Noun: row.AccountNoun, Says: row.AccountSays, Advice: row.AccountAdvice},
		ReconnectedAt: utc(row.ReconnectedAt), IsOverdue: row.IsOverdue,
		LockedAt: utc(row.LockedAt), LockedReason: text(row.LockedReason), ParkedReason: text(row.ParkedReason), ResumeAfter: utc(row.ResumeAfter),
		Siblings: int(row.Siblings), ConnectedElsewhere: row.ConnectedElsewhere,
		Target: nameOf(text(row.TargetName), text(row.Target)), Blocks: row.Blocks,
		HoldUntil: utc(row.HoldUntil), HoldReason: text(row.HoldReason), SafetyReason: text(row.SafetyReason), SafetyManualExit: row.SafetyManualExit,
		AutoResumeReason: text(row.AutoResumeReason),
		Pace:             explain.Pace{AccountCap: int(t.settings.AccountCap), FleetCap: int(t.settings.FleetCap), Tick: t.length},
		Position:         position,
	}
	if facts.PausedReason == enum.ReasonPausedByUser {
		facts.OwnReason = text(row.OwnReason)
	}
	next := t.next()
	if row.CampaignIsDue {
		facts.CampaignStartsAt = &next
	}
	if row.IsMoving {
		facts.MovesAt = &next
	}
	switch {
	case position > countedPositions:
		// The enrollment at the last counted position resumes no later, so its tick is a lower
		// bound.
		facts.Position, facts.IsFurtherBack = countedPositions, true
		expected := seen.tickOf(*row.TargetID, countedPositions)
		facts.NotBefore = cmp.Or(expected.At, expected.NotBefore)
	case position > 0:
		expected := seen.tickOf(*row.TargetID, position)
		facts.ExpectedAt, facts.NotBefore = expected.At, expected.NotBefore
	}
	return facts
}

// readHistories returns the histories of enrollments, by enrollment ID.
func readHistories(ctx context.Context, q *dbsqlc.Queries, enrollmentIDs []int64) (map[int64][]Event, error) {
	rows, err := q.EnrollmentHistories(ctx, enrollmentIDs)
	if err != nil {
		return nil, fmt.Errorf("reading history: %w", err)
	}
	history := make(map[int64][]Event)
	for _, row := range rows {
		history[row.EnrollmentID] = append(history[row.EnrollmentID], Event{
			At: row.At.UTC(), Kind: row.Kind, FromStatus: row.FromStatus, ToStatus: row.ToStatus, Reason: row.Reason,
			Source: row.Source, TickAt: utc(row.TickAt), HealID: row.HealID, SignalID: row.SignalID, JobID: row.JobID,
			FromAccount: text(row.FromAccount), ToAccount: text(row.ToAccount), Step: int(row.Step), Detail: row.Detail,
			FromName: text(row.FromName), ToName: text(row.ToName), ActionID: row.ActionID, CanUndo: row.CanUndo,
		})
	}
	return history, nil
}
