package main

import (
	"context"
	"errors"
	"time"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

type holdCmd struct {
	database `embed:""`
	why      `embed:""`
	Account  string    `arg:"" help:"The account, by the provider's name for it."`
	Until    time.Time `help:"The end, as 2026-03-01T09:00:00Z, at most a year away." placeholder:"TIME"`
	Correct  bool      `help:"Correct a hold that was a mistake: it may get an earlier end, or one more than a year away; without --until it ends now. Needs the rights of the schema's owner. The reason is recorded."`
	Provider string    `help:"The provider that calls it so." default:"linkedin"`
}

func (holdCmd) Help() string {
	return "Nobody is resumed through the account, and nothing is sent, until then. A hold can be made longer, but not shorter; --correct is for a mistake.\n\nExample:\n  thaw hold h_EKCy2lRLef5NzHp0iw4A --until 2026-03-01T09:00:00Z --reason \"a new device; let it settle\""
}

func (c *holdCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		if c.Correct {
			return c.correct(ctx, e, db)
		}
		until, err := db.Hold(ctx, dbsqlc.HoldParams{
			Account: c.Account, Until: c.Until, Reason: c.Reason, Actor: operator(), Provider: c.Provider,
		})
		if err != nil {
			return err
		}
		printf(e.stdout, "account %s rests until %s\n", c.Account, stamp(until))
		return nil
	})
}

// Validate implements kong's check: a hold has an end, unless one is corrected to end now.
func (c *holdCmd) Validate() error {
	if c.Until.IsZero() && !c.Correct {
		return errors.New("missing flags: --until=TIME")
	}
	return nil
}

func (c *holdCmd) correct(ctx context.Context, e *env, db *store.Store) error {
	var until *time.Time
	if !c.Until.IsZero() {
		until = &c.Until
	}
	isHeld, err := db.CorrectHold(ctx, dbsqlc.CorrectHoldParams{
		Account: c.Account, Until: until, Reason: c.Reason, Actor: operator(), Provider: c.Provider,
	})
	switch {
	case err != nil:
		return err
	case isHeld:
		printf(e.stdout, "account %s is on hold until %s\n", c.Account, stamp(c.Until))
	default:
		printf(e.stdout, "account %s is no longer on hold\n", c.Account)
	}
	return nil
}
