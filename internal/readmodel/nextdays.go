package readmodel

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/sendforecast"
)

const (
	// expectedDays is how far ahead the days of next actions are forecast.
	expectedDays = 60
	// expectedAccounts is for how many accounts a call forecasts: those of the first prospects.
	expectedAccounts = 50
	// expectedProspects is how many prospects of each account are read. Those further back have no
	// expected day: with the highest daily cap they are beyond expectedDays.
	expectedProspects = 5000
)

// isExpected are the gates that open by themselves, at a time that the forecast knows.
var isExpected = []explain.GateCode{
	"", explain.GateNotDue, explain.GateKindOnHold, explain.GateWindowClosed, explain.GateCooldown, explain.GateDailyCap, explain.GateWeeklyCap,
	explain.GateAlreadyReserved, explain.GateAlreadyStarted,
}

// expectedSteps bounds the work of a call, for all accounts: about a second and a half.
const expectedSteps = 100_000_000

// An expectation is the input of a forecast of next actions, read in one snapshot.
type expectation struct {
	senders []*sender
	ids     []int64 // of the enrollments that are asked for
}

// readExpectation reads what a forecast of the next actions of enrollments needs.
func readExpectation(
	ctx context.Context, q *dbsqlc.Queries, rows []dbsqlc.ProspectFactsRow, next map[int64]*NextAction,
) (wanted expectation, err error) {
	var accounts []int64
	for _, row := range rows {
		if action := next[row.EnrollmentID]; action == nil || !slices.Contains(isExpected, action.Code) {
			continue
		}
		if !slices.Contains(accounts, row.AccountID) {
			if len(accounts) == expectedAccounts {
				continue
			}
			accounts = append(accounts, row.AccountID)
		}
		wanted.ids = append(wanted.ids, row.EnrollmentID)
	}
	if accounts == nil {
		return wanted, nil
	}
	senders, err := readSenders(ctx, q, accounts)
	for _, id := range slices.Sorted(maps.Keys(senders)) {
		wanted.senders = append(wanted.senders, senders[id])
	}
	return wanted, err
}

// expectActions adds the expected days to the next actions of enrollments, and to their facts. It
// only computes, for up to a second or more: call it without a transaction. When the budget is
// spent, the remaining actions have no days. The smallest senders are first, so that most have.
func (f facts) expectActions(ctx context.Context, budget *sendforecast.Budget) error {
	slices.SortStableFunc(f.expectation.senders, func(a, b *sender) int { return cmp.Compare(a.prospects(), b.prospects()) })
	for _, s := range f.expectation.senders {
		days, err := s.expect(ctx, budget, f.expectation.ids)
		if err != nil {
			return fmt.Errorf("forecasting actions: %w", err)
		}
		for id, expected := range days {
			action, fact := f.next[id], f.nextFacts[id]
			action.ExpectedOn = &explain.Days{From: expected.From, To: expected.To}
			fact.Days = action.ExpectedOn
			if fact.Ahead > 0 {
				action.ExpectedAt, fact.ExpectedAt = &expected.At, &expected.At
			}
		}
	}
	return nil
}

// A sender is the input of a forecast.
type sender struct {
	sendforecast.Sender

	accounts map[int64]*sendforecast.Account
	// underWay are prospects whose action is reserved or started.
	underWay []int64
}

func (s *sender) prospects() (n int) {
	for _, a := range s.accounts {
		n += len(a.Prospects)
	}
	return n
}

// expect returns what is expected of those of the enrollments that are the sender's.
func (s *sender) expect(ctx context.Context, budget *sendforecast.Budget, ids []int64) (map[int64]sendforecast.Expected, error) {
	whole := s.Sender
	for _, a := range s.accounts {
		whole.Accounts = append(whole.Accounts, *a)
	}
	days, err := whole.Expect(ctx, budget, ids...)
	if err != nil {
		return nil, err
	}
	expected := map[int64]sendforecast.Expected{}
	maps.Copy(expected, days)
	for _, id := range s.underWay {
		if slices.Contains(ids, id) {
			expected[id] = sendforecast.Expected{At: s.Now, From: s.Days[0].Date, To: s.Days[0].Date}
		}
	}
	return expected, nil
}

// readSenders reads the senders of accounts.
func readSenders(ctx context.Context, q *dbsqlc.Queries, accountIDs []int64) (map[int64]*sender, error) {
	accounts, err := q.ForecastAccounts(ctx, accountIDs)
	if err != nil || len(accounts) == 0 {
		return nil, wrapForecast("accounts", err)
	}
	pace, err := q.ForecastPace(ctx)
	if err != nil {
		return nil, wrapForecast("gaps", err)
	}
	senders, of, ids := map[int64]*sender{}, map[int64]*sender{}, []int64{}
	for _, a := range accounts {
		s := senders[a.SenderID]
		if s == nil {
			s = &sender{
				Sender:   sendforecast.Sender{Now: pace.Now.UTC(), GapFrom: pace.ActionGapFrom, GapTo: pace.ActionGapTo, Steps: map[int64][]sendforecast.Step{}},
				accounts: map[int64]*sendforecast.Account{},
			}
			senders[a.SenderID] = s
		}
		of[a.AccountID], ids = s, append(ids, a.AccountID)
		s.accounts[a.AccountID] = &sendforecast.Account{
			ID: a.AccountID, ServedAt: a.ServedAt, ServedCampaign: a.ServedCampaignID, Kinds: map[string]sendforecast.Kind{},
		}
	}
	if err := readKinds(ctx, q, senders, of, ids); err != nil {
		return nil, err
	}
	windows, err := q.ForecastWindows(ctx, dbsqlc.ForecastWindowsParams{AccountIds: ids, Days: expectedDays})
	if err != nil {
		return nil, wrapForecast("windows", err)
	}
	for _, w := range windows {
		a := of[w.AccountID].accounts[w.AccountID]
		a.Windows = append(a.Windows, sendforecast.Window{Opens: w.OpensAt, Closes: w.ClosesAt})
	}
	return senders, readQueues(ctx, q, senders, of, ids)
}

func wrapForecast(what string, err error) error {
	if err != nil {
		err = fmt.Errorf("reading %s for the forecast of actions: %w", what, err)
	}
	return err
}

// readKinds reads the limits of accounts, the days of their senders, and what they have used.
func readKinds(ctx context.Context, q *dbsqlc.Queries, senders, of map[int64]*sender, ids []int64) error {
	kinds, err := q.ForecastKinds(ctx, ids)
	if err != nil {
		return wrapForecast("limits", err)
	}
	used := dbsqlc.ForecastUsedParams{}
	for _, k := range kinds {
		s := of[k.AccountID]
		kind := sendforecast.Kind{GapFrom: k.GapFrom, GapTo: k.GapTo, NextAt: k.NextAt, Remaining: int(k.Remaining)}
		for i := range kind.PerDay {
			kind.PerDay[i], kind.PerWeek[i] = int(k.PerDay[i]), int(k.PerWeek[i])
		}
		s.accounts[k.AccountID].Kinds[k.Kind] = kind
		if !slices.Contains(used.Kinds, k.Kind) {
			used.Kinds = append(used.Kinds, k.Kind)
		}
		if s.Days != nil {
			continue
		}
		if started := notEpoch(k.RampStartedAt); started != nil {
			s.RampStartedAt = *started
		}
		s.Days = []sendforecast.Day{{Date: k.Day, Ends: k.DayEndsAt}}
		used.SenderIds, used.Days, used.Began = append(used.SenderIds, k.SenderID), append(used.Days, k.Day), append(used.Began, k.DayBeganAt)
		days, err := q.ForecastDays(ctx, dbsqlc.ForecastDaysParams{Day: k.Day, Timezone: k.Timezone, Days: expectedDays})
		if err != nil {
			return wrapForecast("days", err)
		}
		for _, d := range days {
			// After a move to another zone, the current day may end after the next date.
			if d.EndsAt.After(k.DayEndsAt) {
				s.Days = append(s.Days, sendforecast.Day{Date: d.Day, Ends: d.EndsAt})
			}
		}
	}
	rows, err := q.ForecastUsed(ctx, used)
	for _, u := range rows {
		senders[u.SenderID].Used = append(senders[u.SenderID].Used, sendforecast.Use{Kind: u.Kind, At: u.UsedAt, IsToday: u.IsToday})
	}
	return wrapForecast("use", err)
}

// readQueues reads the prospects of accounts and the steps of their campaigns.
func readQueues(ctx context.Context, q *dbsqlc.Queries, senders, of map[int64]*sender, ids []int64) error {
	rows, err := q.ForecastProspects(ctx, dbsqlc.ForecastProspectsParams{AccountIds: ids, Size: expectedProspects})
	if err != nil {
		return wrapForecast("prospects", err)
	}
	var campaigns []int64
	for _, p := range rows {
		if !slices.Contains(campaigns, p.CampaignID) {
			campaigns = append(campaigns, p.CampaignID)
		}
	}
	steps, err := q.ForecastSteps(ctx, campaigns)
	if err != nil {
		return wrapForecast("steps", err)
	}
	for _, step := range steps {
		for _, s := range senders {
			if len(s.Steps[step.CampaignID]) == int(step.Position) { // positions without a gap
				s.Steps[step.CampaignID] = append(s.Steps[step.CampaignID], sendforecast.Step{Kind: step.Kind, Delay: step.Delay})
			}
		}
	}
	for _, p := range rows {
		s := of[p.AccountID]
		a := s.accounts[p.AccountID]
		prospect := sendforecast.Prospect{ID: p.ID, Campaign: p.CampaignID, Step: int(p.Step), Kind: p.Kind, DueAt: p.DueAt}
		switch {
		case p.IsCapped || len(s.Days) == 0:
			continue
		case p.State == "reserved" || p.State == "started":
			s.underWay = append(s.underWay, p.ID)
			next := s.Steps[p.CampaignID]
			if int(p.Step)+1 >= len(next) {
				continue
			}
			prospect.Step++
			prospect.Kind, prospect.DueAt = next[prospect.Step].Kind, s.Now.Add(next[prospect.Step].Delay)
		case p.State != "": // unknown, or done already
			continue
		}
		a.Prospects = append(a.Prospects, prospect)
	}
	return nil
}
