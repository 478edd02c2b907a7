package main

import (
	"context"
	"errors"
	"time"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/when"
)

type holdCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Account    string    `arg:"" help:"The account, named by ${account_id}, or by its name."`
	Until      time.Time `help:"End of the hold: ${times}. At most a year from now. A time without a zone is local time." placeholder:"TIME"`
	Correct    bool      `help:"Correct a mistaken hold: set an earlier end, or an end more than a year from now. Without --until the hold ends now. Requires the role that owns the schema. The reason is recorded."`
	End        bool      `help:"End a mistaken hold now. Same as --correct without --until."`
	Provider   string    `help:"Provider of the account, if several providers use its ID." placeholder:"NAME"`
}

func (holdCmd) Help() string {
	return "Until the hold ends, no prospect is resumed through the account and nothing is sent. A hold can be extended but not shortened. To correct a mistake, use --correct or --end.\n\nExample:\n  thaw hold h_EKCy2lRLef5NzHp0iw4A --until 3d --reason \"a new device; let it settle\""
}

func (c *holdCmd) Run(ctx context.Context, e *env) error {
	if err := c.resolveAccount(ctx, e, &c.Account); err != nil {
		return err
	}
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		if c.Correct || c.End {
			return c.correct(ctx, e, o)
		}
		until, err := o.Hold(ctx, c.account(), c.Until, c.Reason)
		if err != nil {
			return err
		}
		printf(e.stdout, "account %s is on hold until %s\n", c.Account, when.Text(until, time.Local))
		return nil
	})
}

// Validate requires --until, except with --correct, which then ends the hold now.
func (c *holdCmd) Validate() error {
	if c.End && !c.Until.IsZero() {
		return errors.New("--end ends the hold now: leave out --until, or use --correct")
	}
	if c.Until.IsZero() && !c.Correct && !c.End {
		return errors.New("no end given: pass --until, for example --until 3d or --until \"2026-12-02 14:00\"")
	}
	return nil
}

func (c *holdCmd) account() operator.Account {
	return operator.Account{ID: c.Account, Provider: c.Provider}
}

func (c *holdCmd) correct(ctx context.Context, e *env, o *operator.Operator) error {
	var until *time.Time
	if !c.Until.IsZero() {
		until = &c.Until
	}
	isHeld, err := o.CorrectHold(ctx, c.account(), until, c.Reason)
	switch {
	case err != nil:
		return err
	case isHeld:
		printf(e.stdout, "account %s is on hold until %s\n", c.Account, when.Text(c.Until, time.Local))
	default:
		printf(e.stdout, "account %s is no longer on hold\n", c.Account)
	}
	return nil
}
