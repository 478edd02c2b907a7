package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/when"
)

// fleet has the fleet-wide settings. They are stored in the database (thaw.settings), so that all
// processes use the same values. A process that is started with one of these flags writes its value
// there.
type fleet struct {
	Tick        *time.Duration `help:"Length of a tick: how often a sweep runs." placeholder:"15m" env:"THAW_TICK"`
	AccountCap  *int32         `help:"Enrollments that one account may resume per tick, by sweep and signals together." placeholder:"200" env:"THAW_ACCOUNT_CAP"`
	FleetCap    *int32         `help:"Enrollments that the sweep may resume per tick, fleet-wide." placeholder:"2000" env:"THAW_FLEET_CAP"`
	SignalCap   *int32         `help:"Enrollments that signals may resume per tick, fleet-wide." placeholder:"2000" env:"THAW_SIGNAL_CAP"`
	Jitter      *time.Duration `help:"Window over which the next actions of resumed enrollments are spread." placeholder:"15m" env:"THAW_JITTER"`
	GracePeriod *time.Duration `help:"How long an account may be in status error or connecting before its enrollments are paused." placeholder:"2h" env:"THAW_GRACE_PERIOD"`
	KeepHistory *time.Duration `help:"How long history (events of prospects and campaigns, sweeps, heals) is kept. The event that explains why a prospect is still paused is kept until the prospect resumes." placeholder:"400d" env:"THAW_KEEP_HISTORY"`
	KeepSignals *time.Duration `help:"How long signal deliveries are kept. A repeated delivery is detected as a duplicate only within this time. The newest signal of an account is kept longer." placeholder:"30d" env:"THAW_KEEP_SIGNALS"`

	SafetyAccounts *int32         `help:"Enter safety mode when at least this many accounts, and --safety-percent of the connected accounts, are lost within --safety-window." placeholder:"10" env:"THAW_SAFETY_ACCOUNTS"`
	SafetyPercent  *int32         `help:"Enter safety mode when at least this percentage of the connected accounts, and --safety-accounts accounts, are lost within --safety-window." placeholder:"20" env:"THAW_SAFETY_PERCENT"`
	SafetyWindow   *time.Duration `help:"Window over which lost accounts are counted for safety mode." placeholder:"10m" env:"THAW_SAFETY_WINDOW"`
	SafetyCalm     *time.Duration `help:"How long the fleet must be calm before safety mode exits automatically." placeholder:"30m" env:"THAW_SAFETY_CALM"`

	SafetySlowPercent *int32         `help:"Also enter safety mode when accounts are lost slowly. At least this percentage of the accounts, and at least --safety-accounts, must have been lost within --safety-slow-window and not reconnected. Accounts must also still be lost at a rate that would reach this percentage in that window." placeholder:"30" env:"THAW_SAFETY_SLOW_PERCENT"`
	SafetySlowWindow  *time.Duration `help:"Window over which slow losses are counted for safety mode." placeholder:"6h" env:"THAW_SAFETY_SLOW_WINDOW"`
	FlapLimit         *int32         `help:"Number of losses within an hour that make an account flapping. 0 disables the check." placeholder:"3" env:"THAW_FLAP_LIMIT"`
	FlapWait          *time.Duration `help:"How long a flapping account must stay connected before prospects are resumed through it." placeholder:"10m" env:"THAW_FLAP_WAIT"`
	SilenceFactor     *int32         `help:"A provider counts as silent when it has sent no signal for this many times its usual longest silence of a day, and for at least 30 minutes. 0 disables the check." placeholder:"2" env:"THAW_SILENCE_FACTOR"`

	ActionGapFrom  *time.Duration `help:"Shortest gap between any two actions of a sender. The gap is drawn at random, up to --action-gap-to." placeholder:"1m" env:"THAW_ACTION_GAP_FROM"`
	ActionGapTo    *time.Duration `help:"Longest gap that is drawn between any two actions of a sender." placeholder:"3m" env:"THAW_ACTION_GAP_TO"`
	ActionLease    *time.Duration `help:"How long a reserved action waits to be started, and how long a started action may take until its outcome counts as unknown." placeholder:"10m" env:"THAW_ACTION_LEASE"`
	PendingInvites *int32         `help:"How many invites of a sender may be open: sent within 180 days, and neither accepted nor withdrawn." placeholder:"500" env:"THAW_PENDING_INVITES"`
	PushActions    *bool          `help:"Reserve due actions and send each to the platform as the webhook action.due. If false, senders claim them (thaw.claim_actions)." placeholder:"false" env:"THAW_PUSH_ACTIONS"`
}

// settingsHelp is part of the help of every command that takes these flags.
const settingsHelp = "The fleet-wide settings, from --tick to --push-actions, are stored in the database and apply to all processes. If you start a process with one of these flags, it changes the setting in the database. The change is logged and recorded in thaw.manual_actions."

// Validate applies the limits of the database before a connection is opened.
func (f *fleet) Validate() error {
	const day = 24 * time.Hour
	for _, check := range []struct {
		flag      string
		value     *time.Duration
		low, high time.Duration
	}{
		{"tick", f.Tick, time.Second, day}, {"jitter", f.Jitter, 0, day}, {"grace-period", f.GracePeriod, 0, 7 * day},
		{"keep-history", f.KeepHistory, 2 * day, 36500 * day}, {"keep-signals", f.KeepSignals, 2 * day, 36500 * day},
		{"safety-window", f.SafetyWindow, time.Minute, day}, {"safety-calm", f.SafetyCalm, time.Minute, 7 * day},
		{"safety-slow-window", f.SafetySlowWindow, time.Hour, 7 * day}, {"flap-wait", f.FlapWait, 0, day},
		{"action-gap-from", f.ActionGapFrom, 0, day}, {"action-gap-to", f.ActionGapTo, 0, day}, {"action-lease", f.ActionLease, 10 * time.Second, day},
	} {
		if check.value != nil && (*check.value < check.low || *check.value > check.high) {
			return fmt.Errorf("--%s=%s: must be between %s and %s", check.flag, when.Duration(*check.value), when.Duration(check.low), when.Duration(check.high))
		}
	}
	if f.Tick != nil && *f.Tick%time.Second != 0 {
		return fmt.Errorf("--tick=%s: must be whole seconds", when.Duration(*f.Tick))
	}
	for _, check := range []struct {
		flag  string
		value *int32
		high  int32
	}{{"flap-limit", f.FlapLimit, 20}, {"silence-factor", f.SilenceFactor, 100}, {"pending-invites", f.PendingInvites, 100_000}} {
		if check.value != nil && (*check.value < 0 || *check.value > check.high) {
			return fmt.Errorf("--%s=%d: must be between 0 and %d", check.flag, *check.value, check.high)
		}
	}
	for _, check := range []struct {
		flag  string
		value *int32
		high  int32
	}{
		{"safety-slow-percent", f.SafetySlowPercent, 100},
		{"account-cap", f.AccountCap, 1_000_000}, {"fleet-cap", f.FleetCap, 1_000_000}, {"signal-cap", f.SignalCap, 1_000_000},
		{"safety-accounts", f.SafetyAccounts, 1_000_000}, {"safety-percent", f.SafetyPercent, 100},
	} {
		if check.value != nil && (*check.value < 1 || *check.value > check.high) {
			return fmt.Errorf("--%s=%d: must be between 1 and %d", check.flag, *check.value, check.high)
		}
	}
	return nil
}

// apply writes the given settings into the database. A trigger records each change as a manual
// action, and apply logs a warning: a process that is restarted with outdated flags must not change
// the fleet unnoticed.
func (f *fleet) apply(ctx context.Context, db *store.Store, e *env) error {
	before, err := db.Read().Settings(ctx)
	if err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	if from, to := or(f.ActionGapFrom, before.ActionGapFrom), or(f.ActionGapTo, before.ActionGapTo); to < from {
		return fmt.Errorf("--action-gap-from would be %s and --action-gap-to %s: set both, and the second one not shorter", when.Duration(from), when.Duration(to))
	}
	changed, err := db.Trip().Configure(ctx, dbsqlc.ConfigureParams{
		Tick: f.Tick, AccountCap: f.AccountCap, FleetCap: f.FleetCap, SignalCap: f.SignalCap, Jitter: f.Jitter, GracePeriod: f.GracePeriod,
		KeepHistory: f.KeepHistory, KeepSignals: f.KeepSignals,
		SafetyAccounts: f.SafetyAccounts, SafetyPercent: f.SafetyPercent, SafetyWindow: f.SafetyWindow, SafetyCalm: f.SafetyCalm,
		SafetySlowPercent: f.SafetySlowPercent, SafetySlowWindow: f.SafetySlowWindow,
		FlapLimit: f.FlapLimit, FlapWait: f.FlapWait, SilenceFactor: f.SilenceFactor,
		ActionGapFrom: f.ActionGapFrom, ActionGapTo: f.ActionGapTo, ActionLease: f.ActionLease, PendingInvites: f.PendingInvites,
		PushActions: f.PushActions,
		ChangedBy:   flagsActor(),
	})
	if err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	if changed > 0 {
		now, err := db.Read().Settings(ctx)
		if err != nil {
			return fmt.Errorf("reading the settings: %w", err)
		}
		e.logger.WarnContext(ctx, "flags of this process changed the fleet-wide settings; the change is in the audit log",
			"from", fmt.Sprintf("%+v", before), "to", fmt.Sprintf("%+v", now))
	}
	return nil
}

// or returns the given value, or the other one if none is given.
func or[T any](given *T, otherwise T) T {
	if given == nil {
		return otherwise
	}
	return *given
}

// flagsActor names the user who started this process, for changes that its flags make.
func flagsActor() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return "flags:" + login() + "@" + host
}
