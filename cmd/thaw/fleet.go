package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// fleet has the numbers that hold for the whole fleet. They live in the database (thaw.settings), so that all processes
// work by the same ones; a process that is started with one of them given writes it there.
type fleet struct {
	Tick        *time.Duration `help:"Length of a tick: how often a sweep runs." placeholder:"15m" env:"THAW_TICK"`
	AccountCap  *int32         `help:"Enrollments that one account may resume in a tick, through sweep and signals together." placeholder:"200" env:"THAW_ACCOUNT_CAP"`
	FleetCap    *int32         `help:"Enrollments that the sweep of a tick may resume in the whole fleet." placeholder:"2000" env:"THAW_FLEET_CAP"`
	SignalCap   *int32         `help:"Enrollments that signals may resume in a tick in the whole fleet." placeholder:"2000" env:"THAW_SIGNAL_CAP"`
	Jitter      *time.Duration `help:"Window over which the next actions of resumed enrollments are spread." placeholder:"15m" env:"THAW_JITTER"`
	GracePeriod *time.Duration `help:"How long an account may be in error or connecting before its enrollments are paused." placeholder:"2h" env:"THAW_GRACE_PERIOD"`
	KeepHistory *time.Duration `help:"How long history is kept: what happened to prospects and campaigns, sweeps, heals. What says why a prospect still waits is kept until it does not. 9600h are 400 days." placeholder:"9600h" env:"THAW_KEEP_HISTORY"`
	KeepSignals *time.Duration `help:"How long deliveries of signals are kept, and so how late a repeated one is known as such. The newest of an account is kept longer. 720h are 30 days." placeholder:"720h" env:"THAW_KEEP_SIGNALS"`

	SafetyAccounts *int32         `help:"Safety mode begins when so many accounts are lost at once; and --safety-percent says of how many." placeholder:"10" env:"THAW_SAFETY_ACCOUNTS"`
	SafetyPercent  *int32         `help:"Safety mode begins when such a part of the connected accounts is lost at once, in percent; and at least --safety-accounts." placeholder:"20" env:"THAW_SAFETY_PERCENT"`
	SafetyWindow   *time.Duration `help:"At once, for safety mode: within this time." placeholder:"10m" env:"THAW_SAFETY_WINDOW"`
	SafetyCalm     *time.Duration `help:"How long it must have been calm for safety mode to end by itself." placeholder:"30m" env:"THAW_SAFETY_CALM"`

	SafetySlowPercent *int32         `help:"Safety mode also begins when such a part of the accounts was lost within --safety-slow-window and is not back, in percent, and more are being lost; and at least --safety-accounts." placeholder:"30" env:"THAW_SAFETY_SLOW_PERCENT"`
	SafetySlowWindow  *time.Duration `help:"The time within which losses that come slowly are counted for safety mode." placeholder:"6h" env:"THAW_SAFETY_SLOW_WINDOW"`
	FlapLimit         *int32         `help:"An account that was lost this often within an hour is flapping; 0: no account is." placeholder:"3" env:"THAW_FLAP_LIMIT"`
	FlapWait          *time.Duration `help:"How long a flapping account must have been connected before prospects are resumed through it." placeholder:"10m" env:"THAW_FLAP_WAIT"`
	SilenceFactor     *int32         `help:"A provider is silent when it has sent nothing for this many times its longest usual silence; 0: never." placeholder:"2" env:"THAW_SILENCE_FACTOR"`
}

// numbersHelp is for the commands that take these flags.
const numbersHelp = "The numbers of the fleet, from --tick to --silence-factor, are kept in the database and hold for all processes: one that is started with such a flag changes the number there, which is logged and recorded in thaw.manual_actions."

// Validate says what the database would refuse, before there is one.
func (f *fleet) Validate() error {
	const day = 24 * time.Hour
	for _, check := range []struct {
		flag      string
		value     *time.Duration
		low, high time.Duration
	}{
		{"tick", f.Tick, time.Second, day}, {"jitter", f.Jitter, 0, day}, {"grace_period", f.GracePeriod, 0, 7 * day},
		{"keep-history", f.KeepHistory, 2 * day, 36500 * day}, {"keep-signals", f.KeepSignals, 2 * day, 36500 * day},
		{"safety-window", f.SafetyWindow, time.Minute, day}, {"safety-calm", f.SafetyCalm, time.Minute, 7 * day},
		{"safety-slow-window", f.SafetySlowWindow, time.Hour, 7 * day}, {"flap-wait", f.FlapWait, 0, day},
	} {
		if check.value != nil && (*check.value < check.low || *check.value > check.high) {
			return fmt.Errorf("--%s=%s: must be between %s and %s", check.flag, *check.value, check.low, check.high)
		}
	}
	if f.Tick != nil && *f.Tick%time.Second != 0 {
		return fmt.Errorf("--tick=%s: must be whole seconds", *f.Tick)
	}
	for _, check := range []struct {
		flag  string
		value *int32
		high  int32
	}{{"flap-limit", f.FlapLimit, 20}, {"silence-factor", f.SilenceFactor, 100}} {
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

// apply writes what was given into the database. What differs there is recorded as a manual action, by a trigger, and logged:
// an old process that is started again with old flags must not change the fleet unnoticed.
func (f *fleet) apply(ctx context.Context, db *store.Store, e *env) error {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	before, err := db.Settings(ctx)
	if err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	changed, err := db.Configure(ctx, dbsqlc.ConfigureParams{
		Tick: f.Tick, AccountCap: f.AccountCap, FleetCap: f.FleetCap, SignalCap: f.SignalCap, Jitter: f.Jitter, GracePeriod: f.GracePeriod,
		KeepHistory: f.KeepHistory, KeepSignals: f.KeepSignals,
		SafetyAccounts: f.SafetyAccounts, SafetyPercent: f.SafetyPercent, SafetyWindow: f.SafetyWindow, SafetyCalm: f.SafetyCalm,
		SafetySlowPercent: f.SafetySlowPercent, SafetySlowWindow: f.SafetySlowWindow,
		FlapLimit: f.FlapLimit, FlapWait: f.FlapWait, SilenceFactor: f.SilenceFactor,
		ChangedBy: "flags:" + login() + "@" + host,
	})
	if err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	if changed > 0 {
		now, err := db.Settings(ctx)
		if err != nil {
			return fmt.Errorf("reading the settings: %w", err)
		}
		e.logger.WarnContext(ctx, "settings of the fleet changed by flags of this process, for all processes; the audit log has it",
			"from", fmt.Sprintf("%+v", before), "to", fmt.Sprintf("%+v", now))
	}
	return nil
}
