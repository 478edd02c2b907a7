package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type windowsCmd struct {
	List windowsListCmd `cmd:"" default:"withargs" help:"List the windows in which accounts send. The word list can be left out."`
	Set  windowsSetCmd  `cmd:"" help:"Replace the windows of an account, of a workspace or of the fleet."`
}

func (windowsCmd) Help() string { return "Example:\n  thaw windows --workspace acme" }

type windowsListCmd struct {
	database  `embed:""`
	listFlags `embed:""`
	Workspace string `help:"Only windows of this workspace and its accounts. It is named by ${workspace_id}." placeholder:"KEY"`
	Account   string `help:"Only windows of this account, named by ${account_id}, or by its name." placeholder:"ID"`
}

func (windowsListCmd) Help() string {
	return "The windows of an account replace those of its workspace, and these replace those of the fleet. thaw limits ACCOUNT shows when its window opens.\n\n" +
		"Example:\n  thaw windows list --account h_EKCy2lRLef5NzHp0iw4A"
}

func (c *windowsListCmd) Validate() error { return c.listFlags.Validate() }

func (c *windowsListCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		scope, err := workspaceScope(ctx, db, c.Workspace)
		if err != nil {
			return err
		}
		id := int64(0)
		if c.Account != "" {
			if id, err = accountID(ctx, e, db, scope, c.Account); err != nil {
				return err
			}
		}
		page, err := readmodel.SendingWindows(ctx, db, scope, id, readmodel.Paging{Limit: c.Limit})
		if err != nil {
			return err
		}
		if page.NextCursor != nil {
			defer c.sayUncounted(e, "windows")
		}
		if c.JSON {
			return writeJSON(e.stdout, page.Items)
		}
		t := newTable(text("OF"), fixed("DAYS"), fixed("OPENS"), fixed("CLOSES"), fixed("TIME ZONE"))
		for _, w := range page.Items {
			of, zone := "the fleet", "of the account"
			if w.Account != "" {
				of = "account " + w.Account
			} else if w.Workspace != "" {
				of = "workspace " + w.Workspace
			}
			if w.Timezone != nil {
				zone = *w.Timezone
			}
			t.add(of, daysText(w.Weekdays), w.Opens, w.Closes, zone)
		}
		t.write(e.stdout)
		return nil
	})
}

// weekdays are the names of days in flags and tables. The first is ISO weekday 1.
var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// daysText formats ISO weekdays: mon-fri, or mon,wed.
func daysText(days []int32) string {
	if last := len(days) - 1; last > 0 && int(days[last]-days[0]) == last {
		return weekdays[days[0]-1] + "-" + weekdays[days[last]-1]
	}
	names := make([]string, len(days))
	for i, day := range days {
		names[i] = weekdays[day-1]
	}
	return strings.Join(names, ",")
}

type windowsSetCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Window     []string `help:"A window: days, opening and closing time, and optionally an IANA time zone, for example \"mon-fri 09:00-17:00 Europe/Berlin\". Repeat it for several windows. Without a zone, that of each account applies." placeholder:"WINDOW" sep:"none"`
	Remove     bool     `help:"Remove the windows: those of the workspace or the fleet apply again."`
	Workspace  string   `help:"Workspace that the windows are for, named by ${workspace_id}." placeholder:"KEY" xor:"target"`
	Account    string   `help:"Account that the windows are for, named by ${account_id}, or by its name." placeholder:"ID" xor:"target"`
	Fleet      bool     `help:"Set the windows of all accounts that have no others." xor:"target"`
	Provider   string   `help:"Provider of the account, if several providers use its ID." placeholder:"NAME"`
}

func (windowsSetCmd) Help() string {
	return "A window that closes at or before it opens closes on the next day. An account of which neither windows nor account have a time zone sends nothing.\n\n" +
		"Example:\n  thaw windows set --workspace acme --window \"mon-fri 09:00-17:00 Europe/Berlin\" --reason \"office hours\""
}

func (c *windowsSetCmd) Validate() error {
	switch {
	case c.Workspace == "" && c.Account == "" && !c.Fleet:
		return errors.New("no target given: pass --workspace, --account or --fleet")
	case len(c.Window) == 0 && !c.Remove:
		return errors.New("no window given: pass --window, or --remove")
	case len(c.Window) > 0 && c.Remove:
		return errors.New("--window and --remove cannot be combined: --window replaces all windows")
	}
	return nil
}

func (c *windowsSetCmd) Run(ctx context.Context, e *env) error {
	set := operator.Windows{Workspace: c.Workspace, Provider: c.Provider}
	for _, text := range c.Window {
		window, err := parseWindow(text)
		if err != nil {
			return err
		}
		set.Windows = append(set.Windows, window)
	}
	if err := c.resolveAccount(ctx, e, &c.Account); err != nil {
		return err
	}
	set.Account = c.Account
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		if err := o.SetWindows(ctx, set, c.Reason); err != nil {
			return err
		}
		target := "the fleet"
		if c.Account != "" {
			target = "account " + c.Account
		} else if c.Workspace != "" {
			target = "workspace " + c.Workspace
		}
		if c.Remove {
			printf(e.stdout, "%s has no windows of its own\n", target)
		} else {
			printf(e.stdout, "%s sends in %s\n", target, many(len(set.Windows), "window"))
		}
		return nil
	})
}

// parseWindow reads a window as --window has it. The database checks times and zone.
func parseWindow(text string) (operator.Window, error) {
	invalid := fmt.Errorf("%q is not a window: use for example \"mon-fri 09:00-17:00 Europe/Berlin\"", text)
	fields := strings.Fields(text)
	if len(fields) < 2 || len(fields) > 3 {
		return operator.Window{}, invalid
	}
	opens, closes, isRange := strings.Cut(fields[1], "-")
	if !isRange {
		return operator.Window{}, invalid
	}
	window := operator.Window{Opens: opens, Closes: closes}
	if len(fields) == 3 {
		window.Timezone = &fields[2]
	}
	for _, part := range strings.Split(strings.ToLower(fields[0]), ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, last := slices.Index(weekdays, from), slices.Index(weekdays, to)
		if first < 0 || last < 0 {
			return operator.Window{}, invalid
		}
		for day := first; ; day = (day + 1) % len(weekdays) {
			if !slices.Contains(window.Weekdays, day+1) {
				window.Weekdays = append(window.Weekdays, day+1)
			}
			if day == last {
				break
			}
		}
	}
	return window, nil
}
