package readmodel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/store"
)

// A SendingAction is an action of the ledger: a reservation, with what came of it.
type SendingAction struct {
	ID    int64  `json:"id"`
	State string `json:"state"`
	// Outcome is what the sender reported; nil if it has not, or if the action was not started.
	Outcome              *string    `json:"outcome"`
	Kind                 string     `json:"kind"`
	Step                 int        `json:"step"`
	Workspace            string     `json:"workspace"`
	AccountID            int64      `json:"account_id"`
	Account              string     `json:"account"` // the provider account ID
	AccountName          string     `json:"-"`       // empty if it has none
	Provider             string     `json:"provider"`
	Campaign             string     `json:"campaign"`
	EnrollmentID         int64      `json:"enrollment_id"`
	EnrollmentExternalID *string    `json:"enrollment_external_id"`
	ProspectURL          string     `json:"prospect_url"`
	Actor                string     `json:"actor"` // the sender
	ReservedAt           time.Time  `json:"reserved_at"`
	LeaseUntil           *time.Time `json:"lease_until"` // nil if it is settled
	StartedAt            *time.Time `json:"started_at"`
	SettledAt            *time.Time `json:"settled_at"`
	ProviderRef          *string    `json:"provider_ref"`
	ErrorCode            *string    `json:"error_code"`
	ClosedAt             *time.Time `json:"closed_at"` // of an invite
	ClosedAs             *string    `json:"closed_as"` // accepted or withdrawn
}

// SendingFilter selects the actions that match all fields that are set.
type SendingFilter struct {
	EnrollmentID int64
	AccountID    int64
	State        string
	Kind         string
}

// A SendingPage is a page of actions.
type SendingPage struct {
	Page[SendingAction]
	// SearchedTo is the ID of the oldest action that was looked at, if the page ends before it is
	// full: the next page continues there.
	SearchedTo *int64 `json:"searched_to"`
}

// SendingActions returns a page of the ledger, newest first, or an [UnknownKindError].
func SendingActions(ctx context.Context, db *store.Store, s Scope, f SendingFilter, p Paging) (page SendingPage, err error) {
	const list = "sending actions"
	from, err := after(p, list, beforeAny)
	if err != nil {
		return page, fmt.Errorf("listing actions: %w", err)
	}
	if err := checkKind(ctx, db, f.Kind); err != nil {
		return page, err
	}
	scan := int32(deliveryScan)
	err = db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		rows, err := q.ActionPage(ctx, dbsqlc.ActionPageParams{
			EnrollmentID: store.OrNil(f.EnrollmentID), AccountID: store.OrNil(f.AccountID), State: store.OrNil(f.State), Kind: store.OrNil(f.Kind),
			FirstWorkspace: s.first, LastWorkspace: s.last, BeforeID: from.ID, Scan: scan, Size: p.size(),
		})
		if err != nil {
			return err
		}
		page.Page, err = paged(p, list, rows, sendingAction, func(r dbsqlc.ActionPageRow) newest { return newest{r.ID} })
		if err != nil || page.NextCursor != nil {
			return err
		}
		end, err := q.ActionScanEnd(ctx, dbsqlc.ActionScanEndParams{
			EnrollmentID: store.OrNil(f.EnrollmentID), AccountID: store.OrNil(f.AccountID), State: store.OrNil(f.State),
			FirstWorkspace: s.first, LastWorkspace: s.last, BeforeID: from.ID, Scan: scan,
		})
		if err != nil || !end.IsFull {
			return err
		}
		page.SearchedTo = &end.ID
		cursor, err := cursorOf(list, newest{end.ID})
		page.NextCursor = &cursor
		return err
	})
	if err != nil {
		return page, fmt.Errorf("listing actions: %w", err)
	}
	return page, nil
}

func sendingAction(r dbsqlc.ActionPageRow) SendingAction {
	return SendingAction{
		ID: r.ID, State: r.State, Outcome: store.OrNil(r.Outcome), Kind: r.Kind, Step: int(r.Step), Workspace: r.Workspace, AccountID: r.AccountID,
		Account: r.Account, AccountName: r.AccountName, Provider: r.Provider, Campaign: r.Campaign, EnrollmentID: r.EnrollmentID, EnrollmentExternalID: store.OrNil(r.EnrollmentExternalID),
		ProspectURL: r.ProspectUrl, Actor: r.Actor, ReservedAt: r.ReservedAt.UTC(), LeaseUntil: utc(r.LeaseUntil), StartedAt: utc(r.StartedAt),
		SettledAt: utc(r.SettledAt), ProviderRef: store.OrNil(r.ProviderRef), ErrorCode: store.OrNil(r.ErrorCode), ClosedAt: utc(r.ClosedAt), ClosedAs: store.OrNil(r.ClosedAs),
	}
}

// SendingActionByID returns an action of the ledger, or [ErrNotFound].
func SendingActionByID(ctx context.Context, db *store.Store, s Scope, id int64) (SendingAction, error) {
	if id == math.MaxInt64 {
		return SendingAction{}, ErrNotFound
	}
	rows, err := db.Read().ActionPage(ctx, dbsqlc.ActionPageParams{FirstWorkspace: s.first, LastWorkspace: s.last, BeforeID: id + 1, Scan: 1, Size: 1})
	if err != nil {
		return SendingAction{}, fmt.Errorf("action %d: %w", id, err)
	}
	if len(rows) == 0 || rows[0].ID != id {
		return SendingAction{}, ErrNotFound
	}
	return sendingAction(rows[0]), nil
}

// SendingKinds returns the kinds of actions.
func SendingKinds(ctx context.Context, db *store.Store) ([]string, error) {
	kinds, err := db.Read().ActionKindNames(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the kinds of actions: %w", err)
	}
	return kinds, nil
}

func checkKind(ctx context.Context, db *store.Store, kind string) error {
	if kind == "" {
		return nil
	}
	kinds, err := SendingKinds(ctx, db)
	if err == nil && !slices.Contains(kinds, kind) {
		err = &UnknownKindError{kind, kinds}
	}
	return err
}

// An ActionStep is a step of the chart of actions: what was settled in it.
type ActionStep struct {
	At                         time.Time // when the step begins
	Sent, Unknown, Undelivered int64
}

// Settled is the sum of what was settled.
func (a ActionStep) Settled() int64 { return a.Sent + a.Unknown + a.Undelivered }

// ActionChart returns the steps of a range, oldest first, or none if no action was settled in it. A
// step is an hour or longer.
func ActionChart(ctx context.Context, db *store.Store, in ChartRange) (steps []ActionStep, err error) {
	step := max(in.step, time.Hour)
	err = db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		now, err := q.Clock(ctx)
		if err != nil {
			return err
		}
		rows, err := q.ActionHours(ctx, dbsqlc.ActionHoursParams{Step: step, Since: in.Since, Size: chartSteps})
		if err != nil || len(rows) == 0 {
			return err
		}
		settled := map[int64]ActionStep{}
		for _, r := range rows {
			settled[r.At.Unix()] = ActionStep{r.At.UTC(), r.Sent, r.Unknown, r.Undelivered}
		}
		for at := now.UTC().Add(-in.Since).Truncate(step).Add(step); !at.After(now); at = at.Add(step) {
			found := settled[at.Unix()]
			found.At = at
			steps = append(steps, found)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the chart of actions: %w", err)
	}
	return steps, nil
}

// ActionHours are the actions that were settled, per hour.
type ActionHours struct {
	CountedAt *time.Time   `json:"counted_at"` // nil: never
	Items     []ActionHour `json:"items"`      // oldest first
}

// An ActionHour is what was settled in an hour, by what is known of it now.
type ActionHour struct {
	At          time.Time `json:"at"` // when it begins
	Sent        int64     `json:"sent"`
	Unknown     int64     `json:"unknown"`
	Undelivered int64     `json:"undelivered"`
}

// MaxActionHours is how far back hours are kept.
const MaxActionHours = 31 * 24 * time.Hour

// HoursOfActions returns the hours of the fleet that began within a time before now, and the one
// that is not over. Hours in which no action was settled have zeros.
func HoursOfActions(ctx context.Context, db *store.Store, within time.Duration) (found ActionHours, err error) {
	found.Items = []ActionHour{}
	err = db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		now, err := q.Clock(ctx)
		if err != nil {
			return err
		}
		counted, err := q.ActionHoursCountedAt(ctx)
		if err != nil {
			return err
		}
		found.CountedAt = notEpoch(counted)
		rows, err := q.ActionHours(ctx, dbsqlc.ActionHoursParams{Step: time.Hour, Since: within, Size: int32(MaxActionHours/time.Hour) + 1})
		if err != nil {
			return err
		}
		settled := make(map[int64]dbsqlc.ActionHoursRow, len(rows))
		for _, r := range rows {
			settled[r.At.Unix()] = r
		}
		for at := now.UTC().Add(-within).Truncate(time.Hour).Add(time.Hour); !at.After(now); at = at.Add(time.Hour) {
			r := settled[at.Unix()]
			found.Items = append(found.Items, ActionHour{At: at, Sent: r.Sent, Unknown: r.Unknown, Undelivered: r.Undelivered})
		}
		return nil
	})
	if err != nil {
		return ActionHours{}, fmt.Errorf("reading the hours of actions: %w", err)
	}
	return found, nil
}

// AccountSending is what limits the sending of an account now. Days, quotas and the ramp are of the
// person behind the account, whose other accounts share them.
type AccountSending struct {
	AccountID int64  `json:"account_id"`
	Account   string `json:"account"` // the provider account ID
	Workspace string `json:"workspace"`
	Tier      string `json:"tier"`
	Timezone  string `json:"timezone"` // in which the day is counted; empty if unknown
	Day       string `json:"day"`      // the local date; empty if the zone is unknown
	// RampWeek is 1 to 6; 6 is the sixth and all later weeks.
	RampWeek       int        `json:"ramp_week"`
	RampStartedAt  *time.Time `json:"ramp_started_at"`  // nil: nothing was sent yet
	WindowOpensAt  *time.Time `json:"window_opens_at"`  // the next opening
	WindowClosesAt *time.Time `json:"window_closes_at"` // nil while it is closed
	// IsInUse reports whether Thaw has given out actions of the account, or has some to give out.
	IsInUse bool `json:"is_in_use"`
	// Unknown is how many of its actions are unknown, which a person must settle, counted up to 100.
	Unknown int           `json:"unknown"`
	Kinds   []KindSending `json:"kinds"`
}

// A KindSending is what limits one kind of action of an account.
type KindSending struct {
	Kind string `json:"kind"`
	// The first closed gate. An empty code: the kind may be sent now.
	explain.Gate
	UsedToday int `json:"used_today"`
	// UsedElsewhere is how much of UsedToday accounts of other workspaces used.
	UsedElsewhere int        `json:"used_elsewhere"`
	PerDay        *int       `json:"per_day"` // nil if there are no limits for the kind
	DayEndsAt     *time.Time `json:"day_ends_at"`
	UsedInWeek    int        `json:"used_in_week"` // in the last 168 hours
	PerWeek       *int       `json:"per_week"`     // nil: only the cap per day applies
	// PendingInvites are open, counted up to the ceiling MaxPendingInvites. Nil for other kinds.
	PendingInvites    *int       `json:"pending_invites"`
	MaxPendingInvites *int       `json:"max_pending_invites"`
	GapFromSeconds    float64    `json:"gap_from_seconds"`
	GapToSeconds      float64    `json:"gap_to_seconds"`
	NextAllowedAt     *time.Time `json:"next_allowed_at"` // when the gap since the last action ends
	HeldUntil         *time.Time `json:"held_until"`
	// HeldCode is what caused the hold; [explain.HeldElsewhere] if an account of another workspace has
	// it.
	HeldCode *string `json:"held_code"`
	// HeldReason is what the person, or Thaw, gave as the reason of the hold. Nil without a hold, and
	// for one of another workspace.
	HeldReason *string `json:"held_reason"`
}

// Sending returns what limits the sending of an account, or [ErrNotFound].
func Sending(ctx context.Context, db *store.Store, s Scope, accountID int64) (AccountSending, error) {
	var account dbsqlc.SendingAccountRow
	var gates []dbsqlc.KindGatesRow
	err := db.Snapshot(ctx, func(q *dbsqlc.Queries) (err error) {
		account, err = q.SendingAccount(ctx, dbsqlc.SendingAccountParams{AccountID: accountID, FirstWorkspace: s.first, LastWorkspace: s.last})
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		} else if err != nil {
			return err
		}
		gates, err = q.KindGates(ctx, dbsqlc.KindGatesParams{AccountID: accountID, WorkspaceID: account.WorkspaceID})
		return err
	})
	if err != nil {
		return AccountSending{}, fmt.Errorf("sending of account %d: %w", accountID, err)
	}
	found := AccountSending{
		AccountID: account.ID, Account: account.Account, Workspace: account.Workspace, Tier: account.Tier, IsInUse: account.IsInUse, Unknown: int(account.Unknown),
		Kinds: []KindSending{},
	}
	for _, g := range gates {
		found.Timezone, found.Day, found.RampWeek, found.RampStartedAt = g.Timezone, g.Day, int(g.RampWeek), notEpoch(g.RampStartedAt)
		found.WindowOpensAt, found.WindowClosesAt = notEpoch(g.WindowOpensAt), notEpoch(g.WindowClosesAt)
		facts := explain.GateFacts{
			Code: explain.GateCode(g.Code), Kind: g.Kind, Account: account.Noun + " " + nameOf(account.DisplayName, account.Account),
			OpensAt: notEpoch(g.OpensAt), Used: int(g.UsedToday), Cap: int(g.PerDay), IsHeldElsewhere: g.HeldCode == explain.HeldElsewhere,
		}
		if facts.Code == explain.GateWeeklyCap {
			facts.Used, facts.Cap = int(g.UsedInWeek), int(g.PerWeek)
		}
		if facts.Code == explain.GatePendingInvites {
			facts.Used, facts.Cap = int(g.PendingInvites), int(g.MaxPendingInvites)
		}
		found.Kinds = append(found.Kinds, KindSending{
			Kind: g.Kind, Gate: explain.BecauseOfGate(facts), UsedToday: int(g.UsedToday), UsedElsewhere: int(g.UsedElsewhere),
			PerDay: notNegative(g.PerDay), DayEndsAt: notEpoch(g.DayEndsAt), UsedInWeek: int(g.UsedInWeek), PerWeek: notNegative(g.PerWeek),
			PendingInvites: notNegative(g.PendingInvites), MaxPendingInvites: notNegative(g.MaxPendingInvites), GapFromSeconds: g.GapFrom.Seconds(), GapToSeconds: g.GapTo.Seconds(),
			NextAllowedAt: notEpoch(g.NextAllowedAt), HeldUntil: notEpoch(g.HeldUntil), HeldCode: store.OrNil(g.HeldCode),
			HeldReason: store.OrNil(g.HeldReason),
		})
	}
	return found, nil
}

// A NextAction is the next action of an active prospect, and what holds it. Thaw schedules it, or
// has given it out already.
type NextAction struct {
	Kind  string     `json:"kind"`
	DueAt *time.Time `json:"due_at"` // when the campaign wants it; nil if the platform has set no time
	explain.Gate
	Used int `json:"used,omitempty"` // of a cap
	Cap  int `json:"cap,omitempty"`
	// ActionID is the action of the ledger, if it was given out already: it is reserved, under way,
	// sent or unknown.
	ActionID int64 `json:"action_id,omitempty"`
	// ExpectedAt is the earliest time at which it can be done, by all that is known now. Nil if that
	// depends on something without a known time.
	ExpectedAt *time.Time `json:"expected_at"`
	// Ahead is how many actions of the same account and kind are due before it, counted up to 100.
	Ahead int `json:"ahead"`
	// ExpectedOn are the days on which it is done if nothing else changes: one day, unless the day
	// depends on the random gaps. Nil if they are not known.
	ExpectedOn *explain.Days `json:"expected_on,omitempty"`
}

// IsHeld reports whether anything but its due time holds the action.
func (n *NextAction) IsHeld() bool { return n.Code != "" && n.Code != explain.GateNotDue }

// nextActions returns the next actions of enrollments, by enrollment ID, if their kind is known. It
// returns the facts of each too, for sentences about the prospect.
func nextActions(ctx context.Context, q *dbsqlc.Queries, rows []dbsqlc.ProspectFactsRow) (map[int64]*NextAction, map[int64]*explain.NextFacts, error) {
	of := map[int64]dbsqlc.ProspectFactsRow{}
	var ids []int64
	for _, row := range rows {
		if row.Status == "active" {
			ids, of[row.EnrollmentID] = append(ids, row.EnrollmentID), row
		}
	}
	if ids == nil {
		return nil, nil, nil
	}
	found, err := q.NextActions(ctx, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("reading next actions: %w", err)
	}
	next, facts := make(map[int64]*NextAction), make(map[int64]*explain.NextFacts)
	for _, r := range found {
		if r.Kind == "" {
			continue // the platform schedules it
		}
		row := of[r.EnrollmentID]
		f := &explain.NextFacts{
			GateFacts: explain.GateFacts{
				Code: explain.GateCode(r.Code), Kind: r.Kind, Account: row.AccountNoun + " " + nameOf(row.AccountName, row.Account),
				Campaign: cmp.Or(row.CampaignName, row.Campaign), OpensAt: notEpoch(r.OpensAt), Used: int(r.Used), Cap: int(r.Cap),
				ActionID: r.ActionID, IsHeldElsewhere: r.IsHeldElsewhere,
			},
			ExpectedAt: notEpoch(r.ExpectedAt), Ahead: int(r.Ahead),
		}
		facts[r.EnrollmentID] = f
		next[r.EnrollmentID] = &NextAction{
			Kind: r.Kind, DueAt: notEpoch(r.DueAt), Used: f.Used, Cap: f.Cap, Gate: explain.BecauseOfGate(f.GateFacts), ExpectedAt: f.ExpectedAt, Ahead: f.Ahead,
			ActionID: r.ActionID,
		}
	}
	return next, facts, nil
}

// A SendingWindow is a time of the week in which accounts send. Workspace and Account are empty for
// windows of the fleet, and Account for those of a workspace.
type SendingWindow struct {
	Workspace string  `json:"workspace"`
	Account   string  `json:"account"`
	AccountID *int64  `json:"account_id"`
	Weekdays  []int32 `json:"weekdays"` // on which it opens; 1 is Monday
	Opens     string  `json:"opens"`
	Closes    string  `json:"closes"` // at or before Opens: on the next day
	// Timezone is nil if that of each account applies.
	Timezone *string `json:"timezone"`
}

// byID is a position in a list in the order of IDs.
type byID struct {
	ID int64 `json:"id"`
}

// SendingWindows returns a page of windows: of the scope or, if accountID is set, of an account.
func SendingWindows(ctx context.Context, db *store.Store, s Scope, accountID int64, p Paging) (Page[SendingWindow], error) {
	const list = "sending windows"
	from, err := after(p, list, byID{})
	if err != nil {
		return Page[SendingWindow]{}, fmt.Errorf("listing windows: %w", err)
	}
	first := s.first
	if !s.IsOneWorkspace() {
		first = 0 // those of the fleet
	}
	rows, err := db.Read().SendingWindows(ctx, dbsqlc.SendingWindowsParams{
		AfterID: from.ID, FirstWorkspace: first, LastWorkspace: s.last, AccountID: store.OrNil(accountID), Size: p.size(),
	})
	if err != nil {
		return Page[SendingWindow]{}, fmt.Errorf("listing windows: %w", err)
	}
	return paged(p, list, rows, func(r dbsqlc.SendingWindowsRow) SendingWindow {
		return SendingWindow{
			Workspace: r.Workspace, Account: r.Account, AccountID: r.AccountID, Weekdays: r.Weekdays, Opens: r.Opens, Closes: r.Closes,
			Timezone: store.OrNil(r.Timezone),
		}
	}, func(r dbsqlc.SendingWindowsRow) byID { return byID{r.ID} })
}

// A DefaultLimitRow is what limits a kind for a tier in a ramp week.
type DefaultLimitRow struct {
	Tier           string  `json:"tier"`
	RampWeek       int     `json:"ramp_week"`
	Kind           string  `json:"kind"`
	PerDay         int     `json:"per_day"`
	PerWeek        *int    `json:"per_week"`
	GapFromSeconds float64 `json:"gap_from_seconds"`
	GapToSeconds   float64 `json:"gap_to_seconds"`
}

// A Ceiling is the most that any limit of a kind may allow.
type Ceiling struct {
	Kind           string  `json:"kind"`
	PerDay         int     `json:"per_day"`
	PerWeek        *int    `json:"per_week"`
	GapFromSeconds float64 `json:"gap_from_seconds"` // no gap is shorter
}

// An OwnLimit is a limit of a workspace, or of one of its accounts or campaigns. A nil value keeps
// the default.
type OwnLimit struct {
	Workspace      string    `json:"workspace"`
	AccountID      *int64    `json:"account_id"`
	Account        *string   `json:"account"`
	Campaign       *string   `json:"campaign"`
	Kind           string    `json:"kind"`
	PerDay         *int      `json:"per_day"`
	PerWeek        *int      `json:"per_week"`
	GapFromSeconds *float64  `json:"gap_from_seconds"`
	GapToSeconds   *float64  `json:"gap_to_seconds"`
	Reason         string    `json:"reason"`
	Actor          string    `json:"actor"`
	ChangedAt      time.Time `json:"changed_at"`
}

// SendingLimits are the limits of sending: a page of those that replace the defaults, with all
// ceilings and defaults.
type SendingLimits struct {
	Page[OwnLimit]
	Ceilings []Ceiling         `json:"ceilings"`
	Defaults []DefaultLimitRow `json:"defaults"`
}

// LimitsOfSending returns the limits of sending in the scope.
func LimitsOfSending(ctx context.Context, db *store.Store, s Scope, p Paging) (limits SendingLimits, err error) {
	const list = "limits"
	from, err := after(p, list, byID{})
	if err != nil {
		return limits, fmt.Errorf("listing limits: %w", err)
	}
	err = db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		own, err := q.ActionOverrides(ctx, dbsqlc.ActionOverridesParams{AfterID: from.ID, FirstWorkspace: s.first, LastWorkspace: s.last, Size: p.size()})
		if err != nil {
			return err
		}
		ceilings, err := q.ActionCeilings(ctx)
		if err != nil {
			return err
		}
		defaults, err := q.ActionLimits(ctx)
		if err != nil {
			return err
		}
		limits.Ceilings, limits.Defaults = []Ceiling{}, []DefaultLimitRow{}
		for _, c := range ceilings {
			limits.Ceilings = append(limits.Ceilings, Ceiling{Kind: c.Kind, PerDay: int(c.PerDay), PerWeek: number(c.PerWeek), GapFromSeconds: c.GapFrom.Seconds()})
		}
		for _, d := range defaults {
			limits.Defaults = append(limits.Defaults, DefaultLimitRow{
				Tier: d.Tier, RampWeek: int(d.RampWeek), Kind: d.Kind, PerDay: int(d.PerDay), PerWeek: number(d.PerWeek),
				GapFromSeconds: d.GapFrom.Seconds(), GapToSeconds: d.GapTo.Seconds(),
			})
		}
		limits.Page, err = paged(p, list, own, func(r dbsqlc.ActionOverridesRow) OwnLimit {
			return OwnLimit{
				Workspace: r.Workspace, AccountID: r.AccountID, Account: store.OrNil(r.Account), Campaign: store.OrNil(r.Campaign), Kind: r.Kind,
				PerDay: number(r.PerDay), PerWeek: number(r.PerWeek), GapFromSeconds: inSeconds(r.GapFrom), GapToSeconds: inSeconds(r.GapTo),
				Reason: r.Reason, Actor: r.Actor, ChangedAt: r.ChangedAt.UTC(),
			}
		}, func(r dbsqlc.ActionOverridesRow) byID { return byID{r.ID} })
		return err
	})
	if err != nil {
		return SendingLimits{}, fmt.Errorf("listing limits: %w", err)
	}
	return limits, nil
}

func inSeconds(d *time.Duration) *float64 {
	if d == nil {
		return nil
	}
	seconds := d.Seconds()
	return &seconds
}

// notEpoch returns a time, or nil for the time that stands for an unknown one in a query.
func notEpoch(t time.Time) *time.Time {
	if t.Unix() == 0 {
		return nil
	}
	return utc(&t)
}

// notNegative returns a number, or nil for the one that stands for none in a query.
func notNegative(n int32) *int {
	if n < 0 {
		return nil
	}
	return number(&n)
}
