package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
)

// A Limit limits a kind of action of a workspace, or of one of its accounts or campaigns. A nil
// value keeps the default; if all are nil, the limit is removed.
type Limit struct {
	// Workspace may be empty if Account names an account.
	Workspace string
	Account   string
	Provider  string // optional, of the account
	Campaign  string
	Kind      string
	PerDay    *int32
	PerWeek   *int32 // of the last 168 hours
	GapFrom   *time.Duration
	GapTo     *time.Duration
}

// SetLimit sets a limit, within the ceilings of the fleet. False: it was so already.
func (o *Operator) SetLimit(ctx context.Context, limit Limit, reason string) (bool, error) {
	if err := o.forOperators("set a limit"); err != nil {
		return false, err
	}
	params := dbsqlc.SetActionLimitParams{
		Workspace: limit.Workspace, Kind: limit.Kind, PerDay: limit.PerDay, PerWeek: limit.PerWeek, GapFrom: limit.GapFrom, GapTo: limit.GapTo,
		Campaign: store.OrNil(limit.Campaign), Reason: reason, Actor: o.actor,
	}
	if limit.Account != "" {
		a, err := o.account(ctx, Account{ID: limit.Account, Provider: limit.Provider, Workspace: limit.Workspace})
		if err != nil {
			return false, err
		}
		params.Workspace, params.Account, params.Provider = a.Workspace, &a.Account, &a.Provider
	}
	if params.Workspace == "" {
		return false, invalid("Name a workspace or an account.", "the limit has no target")
	}
	return o.store.Trip().SetActionLimit(ctx, params)
}

// A Ceiling is the most that any limit of a kind may allow in the fleet. A nil value stays as it
// is.
type Ceiling struct {
	Kind    string
	PerDay  *int32
	PerWeek *int32
	GapFrom *time.Duration
}

// SetCeiling sets a ceiling. False: it was so already.
func (o *Operator) SetCeiling(ctx context.Context, c Ceiling, reason string) (bool, error) {
	if err := o.forOperators("set a ceiling"); err != nil {
		return false, err
	}
	return o.store.Trip().SetActionCeiling(ctx, dbsqlc.SetActionCeilingParams{
		Kind: c.Kind, PerDay: c.PerDay, PerWeek: c.PerWeek, GapFrom: c.GapFrom, Reason: reason, Actor: o.actor,
	})
}

// A Window is a time of the week in which accounts send.
type Window struct {
	Weekdays []int  `json:"weekdays"` // on which it opens; 1 is Monday
	Opens    string `json:"opens"`    // 09:00
	Closes   string `json:"closes"`   // at or before Opens: on the next day
	// Timezone is an IANA name. Nil: that of each account.
	Timezone *string `json:"timezone,omitempty"`
}

// Windows replace the windows of an account, of a workspace, or of the fleet (both empty). None:
// those of the workspace or the fleet apply.
type Windows struct {
	Workspace string
	Account   string
	Provider  string // optional, of the account
	Windows   []Window
}

// SetWindows replaces windows.
func (o *Operator) SetWindows(ctx context.Context, w Windows, reason string) error {
	if err := o.forOperators("set sending windows"); err != nil {
		return err
	}
	if w.Windows == nil {
		w.Windows = []Window{}
	}
	windows, err := json.Marshal(w.Windows)
	if err != nil {
		return fmt.Errorf("encoding windows: %w", err)
	}
	params := dbsqlc.SetSendingWindowsParams{Workspace: store.OrNil(w.Workspace), Windows: windows, Reason: reason, Actor: o.actor}
	if w.Account != "" {
		a, err := o.account(ctx, Account{ID: w.Account, Provider: w.Provider, Workspace: w.Workspace})
		if err != nil {
			return err
		}
		params.Workspace, params.Account, params.Provider = &a.Workspace, &a.Account, &a.Provider
	}
	_, err = o.store.Trip().SetSendingWindows(ctx, params)
	return err
}

// HoldKind puts one kind of action of an account on hold; other kinds go on. An existing hold can
// only be extended.
func (o *Operator) HoldKind(ctx context.Context, account Account, kind string, until time.Time, reason string) (time.Time, error) {
	if err := o.forOperators("put a kind of action on hold"); err != nil {
		return time.Time{}, err
	}
	a, err := o.account(ctx, account)
	if err != nil {
		return time.Time{}, err
	}
	return o.store.Trip().HoldActionKind(ctx, dbsqlc.HoldActionKindParams{
		Account: a.Account, Provider: a.Provider, Kind: kind, Until: until, Reason: reason, Actor: o.actor,
	})
}

// CorrectKindHold is [Operator.CorrectHold] for the hold of one kind.
func (o *Operator) CorrectKindHold(ctx context.Context, account Account, kind string, until *time.Time, reason string) (isHeld bool, err error) {
	if err := o.forOperators("correct a hold"); err != nil {
		return false, err
	}
	a, err := o.account(ctx, account)
	if err != nil {
		return false, err
	}
	return o.store.Trip().CorrectActionHold(ctx, dbsqlc.CorrectActionHoldParams{
		Account: a.Account, Provider: a.Provider, Kind: kind, Until: until, Reason: reason, Actor: o.actor,
	})
}

// SetRamp sets the date (2006-01-02) on which ramp week 1 of the person behind an account began.
// Empty: it begins with the next action that is sent. It returns the ramp week now.
func (o *Operator) SetRamp(ctx context.Context, account Account, startedOn, reason string) (week int32, err error) {
	if err := o.forOperators("set a ramp"); err != nil {
		return 0, err
	}
	if startedOn != "" {
		if _, err := time.Parse(time.DateOnly, startedOn); err != nil {
			return 0, invalid("Use for example 2026-01-31.", "%q is not a date", startedOn)
		}
	}
	a, err := o.account(ctx, account)
	if err != nil {
		return 0, err
	}
	return o.store.Trip().SetRamp(ctx, dbsqlc.SetRampParams{
		Account: a.Account, Provider: a.Provider, StartedOn: store.OrNil(startedOn), Reason: reason, Actor: o.actor,
	})
}

// A Verification is what the provider shows of an unknown action.
type Verification struct {
	Outcome string // verified_sent or verified_absent
	Reason  string // for the audit log
	// ProviderRef is the ID of the delivery. Empty: it is not known.
	ProviderRef string
	// NextKind and NextAt are the next action, for campaigns without steps. Empty and nil: the
	// platform passes it later.
	NextKind string
	NextAt   *time.Time
}

// VerifyAction settles an action of which the outcome is unknown, after a person has looked at the
// provider. It returns the new state.
func (o *Operator) VerifyAction(ctx context.Context, id int64, v Verification) (state string, err error) {
	if err := o.forOperators("settle an unknown action"); err != nil {
		return "", err
	}
	return o.store.Trip().VerifyAction(ctx, dbsqlc.VerifyActionParams{
		ID: id, Outcome: v.Outcome, Reason: v.Reason, Actor: o.actor, ProviderRef: v.ProviderRef, NextKind: v.NextKind, NextAt: v.NextAt,
	})
}
