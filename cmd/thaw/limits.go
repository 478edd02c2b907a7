package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/when"
)

type limitsCmd struct {
	Show  limitsShowCmd  `cmd:"" default:"withargs" help:"Show what limits the sending of an account now. The word show can be left out."`
	List  limitsListCmd  `cmd:"" help:"List the limits that replace the defaults, and the ceilings of the fleet."`
	Set   limitsSetCmd   `cmd:"" help:"Set a limit of a workspace, an account or a campaign, or restore the default."`
	Clamp limitsClampCmd `cmd:"" help:"Set the most that any limit of a kind may allow in the fleet."`
	Ramp  limitsRampCmd  `cmd:"" help:"Set when the ramp of an account began."`
}

func (limitsCmd) Help() string { return "Example:\n  thaw limits h_EKCy2lRLef5NzHp0iw4A" }

type limitsShowCmd struct {
	database  `embed:""`
	Account   string `arg:"" help:"The account, named by ${account_id}, or by its name."`
	Workspace string `help:"Workspace of the account, if several have its ID. It is named by ${workspace_id}." placeholder:"KEY"`
	JSON      bool   `help:"Print JSON."`
}

func (limitsShowCmd) Help() string {
	return "Quotas, days, gaps and the ramp belong to the person behind the account, whose other accounts share them.\n\n" +
		"Example:\n  thaw limits show h_EKCy2lRLef5NzHp0iw4A"
}

func (c *limitsShowCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		scope, err := workspaceScope(ctx, db, c.Workspace)
		if err != nil {
			return err
		}
		id, err := accountID(ctx, e, db, scope, c.Account)
		if err != nil {
			return err
		}
		found, err := readmodel.Sending(ctx, db, scope, id)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, found)
		}
		printSending(e.stdout, found)
		return nil
	})
}

func printSending(out *output, s readmodel.AccountSending) {
	zone := "the time zone is unknown"
	if s.Timezone != "" {
		zone = "day " + s.Day + " in " + s.Timezone
	}
	printf(out, "account %s of %s: %s, ramp week %d, %s\n", s.Account, s.Workspace, s.Tier, s.RampWeek, zone)
	switch {
	case s.WindowClosesAt != nil:
		printf(out, "the sending window is open until %s\n", stampIn(*s.WindowClosesAt, s.Timezone))
	case s.WindowOpensAt != nil:
		printf(out, "the sending window opens %s\n", stampIn(*s.WindowOpensAt, s.Timezone))
	}
	t := newTable(fixed("KIND"), numbers("TODAY"), numbers("7 DAYS"), fixed("GAP"), text("HELD BY"), fixed("OPENS (UTC)"))
	for _, k := range s.Kinds {
		held := k.Brief
		if held == "" {
			held = "-"
		}
		t.add(k.Kind, usedOf(k.UsedToday, k.PerDay), usedOf(k.UsedInWeek, k.PerWeek), gapText(&k.GapFromSeconds, &k.GapToSeconds), held, minute(k.OpensAt, "-"))
	}
	t.write(out)
	for _, k := range s.Kinds {
		if k.PendingInvites != nil {
			printf(out, "open invites: %s\n", usedOf(*k.PendingInvites, k.MaxPendingInvites))
		}
	}
	for _, k := range s.Kinds {
		if k.HeldUntil != nil {
			reason := "held elsewhere" // by an account of the same person in another workspace
			if k.HeldReason != nil {
				reason = *k.HeldReason
			}
			printf(out, "%s on hold until %s: %s\n", k.Kind, stampIn(*k.HeldUntil, s.Timezone), reason)
		}
	}
	if s.Unknown > 0 {
		printf(out, "unknown actions: %d; to settle them, see thaw actions --unknown --account %s\n", s.Unknown, s.Account)
	}
}

// usedOf formats what is used of a cap.
func usedOf(used int, limit *int) string {
	if limit == nil {
		return number(used)
	}
	return number(used) + " of " + number(*limit)
}

// gapText formats a gap in seconds.
func gapText(from, to *float64) string {
	if from == nil || to == nil || *to == 0 {
		return "-"
	}
	length := func(seconds float64) string { return when.Duration(time.Duration(seconds * float64(time.Second))) }
	return length(*from) + " to " + length(*to)
}

type limitsListCmd struct {
	database  `embed:""`
	listFlags `embed:""`
	Workspace string `help:"Only limits of this workspace, named by ${workspace_id}." placeholder:"KEY"`
}

func (limitsListCmd) Help() string {
	return "With --json, the default limits by tier and ramp week are printed too.\n\nExample:\n  thaw limits list --workspace acme"
}

func (c *limitsListCmd) Validate() error { return c.listFlags.Validate() }

func (c *limitsListCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		scope, err := workspaceScope(ctx, db, c.Workspace)
		if err != nil {
			return err
		}
		limits, err := readmodel.LimitsOfSending(ctx, db, scope, readmodel.Paging{Limit: c.Limit})
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, limits)
		}
		if limits.NextCursor != nil {
			defer c.sayUncounted(e, "limits")
		}
		t := newTable(text("OF"), fixed("KIND"), numbers("PER DAY"), numbers("PER 7 DAYS"), fixed("GAP"), text("BY"), text("REASON"))
		for _, ceiling := range limits.Ceilings {
			t.add("ceiling of the fleet", ceiling.Kind, number(ceiling.PerDay), orDash(ceiling.PerWeek), shortestGap(ceiling.GapFromSeconds), "", "")
		}
		for _, own := range limits.Items {
			t.add(ownerOf(own), own.Kind, orDash(own.PerDay), orDash(own.PerWeek), gapText(own.GapFromSeconds, own.GapToSeconds), own.Actor, own.Reason)
		}
		t.write(e.stdout)
		return nil
	})
}

func orDash(n *int) string {
	if n == nil {
		return "-"
	}
	return number(*n)
}

func shortestGap(seconds float64) string {
	if seconds == 0 {
		return "-"
	}
	return "at least " + when.Duration(time.Duration(seconds*float64(time.Second)))
}

func ownerOf(own readmodel.OwnLimit) string {
	switch {
	case own.Account != nil:
		return "account " + *own.Account
	case own.Campaign != nil:
		return "campaign " + *own.Campaign + " of " + own.Workspace
	}
	return "workspace " + own.Workspace
}

type limitsSetCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Kind       string         `arg:"" help:"Kind of action: invite, message, inmail, view or email."`
	Workspace  string         `help:"Workspace that the limit is for, or that has the account or campaign. It is named by ${workspace_id}." placeholder:"KEY"`
	Account    string         `help:"Account that the limit is for, named by ${account_id}, or by its name." placeholder:"ID"`
	Campaign   string         `help:"Campaign that the limit is for, named by ${campaign_id}. Requires --workspace. It has a cap per day only." placeholder:"KEY"`
	Provider   string         `help:"Provider of the account, if several providers use its ID." placeholder:"NAME"`
	PerDay     *int32         `help:"Actions per local day." placeholder:"N"`
	PerWeek    *int32         `help:"Actions in 7 days (168 hours)." placeholder:"N"`
	GapFrom    *time.Duration `help:"Shortest gap between two actions of the kind, for example 3m." placeholder:"DURATION"`
	GapTo      *time.Duration `help:"Longest gap. Each gap is drawn between the two." placeholder:"DURATION"`
	Default    bool           `help:"Remove the limit: the default applies again."`
}

func (limitsSetCmd) Help() string {
	return "A value that is not given keeps its default. In the ramp weeks 1 to 5 a limit can only lower a cap, and it is never above the ceiling of the fleet " +
		"(thaw limits clamp).\n\nExample:\n  thaw limits set invite --account h_EKCy2lRLef5NzHp0iw4A --per-day 15 --reason \"a warning of the provider\""
}

func (c *limitsSetCmd) Validate() error {
	isEmpty := c.PerDay == nil && c.PerWeek == nil && c.GapFrom == nil && c.GapTo == nil
	switch {
	case c.Workspace == "" && c.Account == "":
		return errors.New("no target given: pass --workspace or --account")
	case c.Account != "" && c.Campaign != "":
		return errors.New("--account and --campaign cannot be combined: set two limits")
	case isEmpty && !c.Default:
		return errors.New("no limit given: pass --per-day, --per-week or a gap, or --default to remove the limit")
	case !isEmpty && c.Default:
		return errors.New("--default removes the limit: leave out the other values")
	}
	return nil
}

func (c *limitsSetCmd) Run(ctx context.Context, e *env) error {
	if err := c.resolveAccount(ctx, e, &c.Account); err != nil {
		return err
	}
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		isChanged, err := o.SetLimit(ctx, operator.Limit{
			Workspace: c.Workspace, Account: c.Account, Provider: c.Provider, Campaign: c.Campaign, Kind: c.Kind, PerDay: c.PerDay, PerWeek: c.PerWeek,
			GapFrom: c.GapFrom, GapTo: c.GapTo,
		}, c.Reason)
		target := "workspace " + c.Workspace
		if c.Account != "" {
			target = "account " + c.Account
		} else if c.Campaign != "" {
			target = "campaign " + c.Campaign + " of " + c.Workspace
		}
		switch {
		case err != nil:
			return err
		case !isChanged:
			printf(e.stdout, "No change: the %s limit of %s is so already.\n", c.Kind, target)
		case c.Default:
			printf(e.stdout, "the %s limit of %s is the default again\n", c.Kind, target)
		default:
			printf(e.stdout, "the %s limit of %s is set\n", c.Kind, target)
		}
		return nil
	})
}

type limitsClampCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Kind       string         `arg:"" help:"Kind of action: invite, message, inmail, view or email."`
	PerDay     *int32         `help:"Actions of an account per local day, at most." placeholder:"N"`
	PerWeek    *int32         `help:"Actions of an account in 7 days (168 hours), at most." placeholder:"N"`
	GapFrom    *time.Duration `help:"Shortest gap that any limit may set." placeholder:"DURATION"`
}

func (limitsClampCmd) Help() string {
	return "Limits above the ceiling are cut to it at once, also the defaults. A value that is not given stays as it is.\n\n" +
		"Example:\n  thaw limits clamp invite --per-day 20 --reason \"the provider is strict this week\""
}

func (c *limitsClampCmd) Validate() error {
	if c.PerDay == nil && c.PerWeek == nil && c.GapFrom == nil {
		return errors.New("no ceiling given: pass --per-day, --per-week or --gap-from")
	}
	return nil
}

func (c *limitsClampCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		isChanged, err := o.SetCeiling(ctx, operator.Ceiling{Kind: c.Kind, PerDay: c.PerDay, PerWeek: c.PerWeek, GapFrom: c.GapFrom}, c.Reason)
		switch {
		case err != nil:
			return err
		case !isChanged:
			printf(e.stdout, "No change: the %s ceiling is so already.\n", c.Kind)
		default:
			printf(e.stdout, "the %s ceiling of the fleet is set\n", c.Kind)
		}
		return nil
	})
}

type limitsRampCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Account    string `arg:"" help:"The account, named by ${account_id}, or by its name."`
	StartedOn  string `help:"Date on which ramp week 1 began, for example 2026-01-31." placeholder:"DATE" xor:"when" required:""`
	Restart    bool   `help:"Begin the ramp with the next action that is sent." xor:"when" required:""`
	Provider   string `help:"Provider of the account, if several providers use its ID." placeholder:"NAME"`
}

func (limitsRampCmd) Help() string {
	return "For an account that sent before it came to Thaw: without a date, it would begin at week 1. The ramp is of the person behind the account.\n\n" +
		"Example:\n  thaw limits ramp h_EKCy2lRLef5NzHp0iw4A --started-on 2025-06-01 --reason \"sends since June\""
}

func (c *limitsRampCmd) Run(ctx context.Context, e *env) error {
	if err := c.resolveAccount(ctx, e, &c.Account); err != nil {
		return err
	}
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		week, err := o.SetRamp(ctx, operator.Account{ID: c.Account, Provider: c.Provider}, c.StartedOn, c.Reason)
		if err != nil {
			return err
		}
		printf(e.stdout, "account %s is in ramp week %s\n", c.Account, strconv.Itoa(int(week)))
		return nil
	})
}
