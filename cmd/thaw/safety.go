package main

import (
	"context"
	"fmt"

	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

type safetyCmd struct {
	Enter  safetyEnterCmd  `cmd:"" help:"Begin safety mode: nobody is resumed, and nothing is sent."`
	Exit   safetyExitCmd   `cmd:"" help:"End safety mode. The next tick goes on, within its caps."`
	Status safetyStatusCmd `cmd:"" help:"Say whether safety mode is on, since when, why, and until when."`

	History safetyHistoryCmd `cmd:"" help:"Say when it began and ended, by whom, and why."`
}

func (safetyCmd) Help() string {
	return "It begins by itself when many accounts are lost at once, and ends by itself when it has been calm for a while.\n\nExample:\n  thaw safety enter --reason \"the provider has announced an incident\""
}

// why is what every decision of a person needs.
type why struct {
	Reason string `help:"Why, for whoever asks later." required:"" placeholder:"TEXT"`
}

type safetyEnterCmd struct {
	database `embed:""`
	why      `embed:""`
	Stay     bool `help:"Until it is cleared by a person: it does not end by itself."`
}

func (safetyEnterCmd) Help() string {
	return "Example:\n  thaw safety enter --reason \"the provider has announced an incident\""
}

func (c *safetyEnterCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		entered, err := db.SafetyEnter(ctx, dbsqlc.SafetyEnterParams{Reason: c.Reason, Actor: operator(), Stays: c.Stay})
		switch {
		case err != nil:
			return err
		case entered:
			printf(e.stdout, "Safety mode is on. Nobody is resumed, and nothing is sent.\n")
		default:
			printf(e.stdout, "Safety mode was on already, and stays as it was: thaw safety status says why.\n")
		}
		return nil
	})
}

type safetyExitCmd struct {
	database `embed:""`
	why      `embed:""`
}

func (safetyExitCmd) Help() string {
	return "Example:\n  thaw safety exit --reason \"the provider says that it is over\""
}

func (c *safetyExitCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		cleared, err := db.SafetyExit(ctx, dbsqlc.SafetyExitParams{Reason: c.Reason, Actor: operator()})
		switch {
		case err != nil:
			return err
		case cleared:
			printf(e.stdout, "Safety mode is off. The next tick goes on, within its caps.\n")
		default:
			printf(e.stdout, "Safety mode was off already.\n")
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
		safety, err := readmodel.ReadSafety(ctx, db.Pool())
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

// describeSafety says in one line how it is with safety mode.
func describeSafety(s readmodel.Safety) string {
	if !s.On {
		return "Safety mode is off."
	}
	ends := "until a person clears it"
	if s.EndsAt != nil {
		ends = "until " + stamp(*s.EndsAt) + ", if it is calm"
	}
	return fmt.Sprintf("SAFETY MODE since %s by %s: %s. Nobody is resumed, and nothing is sent, %s.", stampOr(s.Since, "?"), s.EnteredBy, deref(s.Reason), ends)
}

type safetyHistoryCmd struct {
	database `embed:""`
	JSON     bool `help:"Print JSON."`
}

func (safetyHistoryCmd) Help() string { return "Example:\n  thaw safety history --json" }

func (c *safetyHistoryCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		moments, err := readmodel.SafetyHistory(ctx, db.Pool())
		if err != nil {
			return err
		}
		return printMoments(e, moments, c.JSON)
	})
}
