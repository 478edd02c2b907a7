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
	Kind       string    `help:"Hold only this kind of action, for example invite: other kinds go on, and prospects resume." placeholder:"KIND"`
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
		until, err := c.hold(ctx, o)
		if err != nil {
			return err
		}
		printf(e.stdout, "%s is on hold until %s\n", c.target(), when.Text(until, time.Local))
		return nil
	})
}

func (c *holdCmd) hold(ctx context.Context, o *operator.Operator) (time.Time, error) {
	if c.Kind != "" {
		return o.HoldKind(ctx, c.account(), c.Kind, c.Until, c.Reason)
	}
	return o.Hold(ctx, c.account(), c.Until, c.Reason)
}

// target names what is held.
func (c *holdCmd) target() string {
	if c.Kind != "" {
		return "the kind " + c.Kind + " of account " + c.Account
	}
	return "account " + c.Account
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
	correct := o.CorrectHold
	if c.Kind != "" {
		correct = func(ctx context.Context, account operator.Account, until *time.Time, reason string) (bool, error) {
			return o.CorrectKindHold(ctx, account, c.Kind, until, reason)
		}
	}
	isHeld, err := correct(ctx, c.account(), until, c.Reason)
	switch {
	case err != nil:
		return err
	case isHeld:
		printf(e.stdout, "%s is on hold until %s\n", c.target(), when.Text(c.Until, time.Local))
	default:
		printf(e.stdout, "%s is no longer on hold\n", c.target())
	}
	return nil
}
