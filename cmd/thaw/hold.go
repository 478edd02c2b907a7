package main

import (
	"context"
	"time"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

type holdCmd struct {
	database `embed:""`
	why      `embed:""`
	Account  string    `arg:"" help:"The account, by the provider's name for it."`
	Until    time.Time `help:"The end, as 2026-03-01T09:00:00Z." required:"" placeholder:"TIME"`
	Provider string    `help:"The provider that calls it so." default:"linkedin"`
}

func (holdCmd) Help() string {
	return "Nobody is woken through the account, and nothing is sent, until then. A hold can be made longer, but nobody can shorten it.\n\nExample:\n  thaw hold h_EKCy2lRLef5NzHp0iw4A --until 2026-03-01T09:00:00Z --why \"a new device; let it settle\""
}

func (c *holdCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		until, err := db.Hold(ctx, dbsqlc.HoldParams{
			Account: c.Account, Until: c.Until, Why: c.Why, DecidedBy: operator(), Provider: c.Provider,
		})
		if err != nil {
			return err
		}
		printf(e.stdout, "account %s rests until %s\n", c.Account, stamp(until))
		return nil
	})
}
