package main

import (
	"context"
	"fmt"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type safetyCmd struct {
	Enter  safetyEnterCmd  `cmd:"" help:"Enter safety mode: nothing is resumed, and nothing is sent."`
	Exit   safetyExitCmd   `cmd:"" help:"Exit safety mode. The next sweep resumes prospects, within its caps."`
	Status safetyStatusCmd `cmd:"" help:"Show whether safety mode is on, since when, why, and until when."`

	History safetyHistoryCmd `cmd:"" help:"Show when safety mode was entered and exited, by whom, and why."`
}

func (safetyCmd) Help() string {
	return "Thaw enters safety mode automatically when many accounts are lost at once, and exits it automatically after a calm period.\n\nExample:\n  thaw safety enter --reason \"the provider has announced an incident\""
}

// reasonFlag is the reason for a manual action. Its aliases were its names before.
type reasonFlag struct {
	Reason string `help:"Reason, for the audit log." aliases:"why,note" required:"" placeholder:"TEXT"`
}

type safetyEnterCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	ManualExit bool `help:"Stay in safety mode until a person exits it." aliases:"stay"`
}

func (safetyEnterCmd) Help() string {
	return "Example:\n  thaw safety enter --reason \"the provider has announced an incident\""
}

func (c *safetyEnterCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		entered, err := o.EnterSafety(ctx, c.Reason, c.ManualExit)
		switch {
		case err != nil:
			return err
		case entered:
			printf(e.stdout, "Safety mode is on. Nothing is resumed, and nothing is sent.\n")
		default:
			printf(e.stdout, "No change: safety mode is already on. Run \"thaw safety status\" to see why.\n")
		}
		return nil
	})
}

type safetyExitCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
}

func (safetyExitCmd) Help() string {
	return "Example:\n  thaw safety exit --reason \"the provider has resolved the incident\""
}

func (c *safetyExitCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		exited, err := o.ExitSafety(ctx, c.Reason)
		switch {
		case err != nil:
			return err
		case exited:
			printf(e.stdout, "Safety mode is off. The next sweep resumes prospects, within its caps.\n")
		default:
			printf(e.stdout, "No change: safety mode is already off.\n")
		}
		return nil
	})
}

type safetyStatusCmd struct {
	database `embed:""`
	JSON     bool `help:"Print JSON."`
}

func (safetyStatusCmd) Help() string { return "Example:\n  thaw safety status --json" }

func (c *safetyStatusCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		safety, err := readmodel.ReadSafety(ctx, db)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, safety)
		}
		printLine(e.stdout, describeSafety(safety))
		return nil
	})
}

// describeSafety describes the state of safety mode in one line.
func describeSafety(s readmodel.Safety) string {
	if !s.On {
		return "Safety mode is off."
	}
	ends := "A person must exit it."
	if s.EndsAt != nil {
		ends = "It exits automatically at " + stamp(*s.EndsAt) + " if the fleet stays calm."
	}
	return fmt.Sprintf("SAFETY MODE since %s, entered by %s: %s. Nothing is resumed, and nothing is sent. %s", stampOr(s.Since, "?"), s.EnteredBy, deref(s.Reason), ends)
}

type safetyHistoryCmd struct {
	database  `embed:""`
	listFlags `embed:""`
}

func (safetyHistoryCmd) Help() string { return "Example:\n  thaw safety history --json" }

func (c *safetyHistoryCmd) Validate() error { return c.listFlags.Validate() }

func (c *safetyHistoryCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		history, err := readmodel.SafetyHistory(ctx, db, c.Limit)
		if err != nil {
			return err
		}
		return printHistory(e, history, c.listFlags)
	})
}
