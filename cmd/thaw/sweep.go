package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/when"
)

type sweepCmd struct {
	database `embed:""`
	Wait     bool          `help:"Wait until the sweep is done, and print its summary. If no worker process is alive, this process does the work."`
	Timeout  time.Duration `help:"How long to wait with --wait." default:"5m"`
	JSON     bool          `help:"Print JSON."`
}

func (sweepCmd) Help() string {
	return "Each tick is swept once. If the current tick is already swept, --wait prints its summary.\n\nExample:\n  thaw sweep --wait --json"
}

// A summary is the JSON output of a sweep.
type summary struct {
	TickAt            time.Time `json:"tick_at"`
	AccountsPlanned   int32     `json:"accounts_planned"`
	AccountsProcessed int32     `json:"accounts_processed"`
	Resumed           int32     `json:"resumed"`
	Moved             int32     `json:"moved"`
	CampaignsResumed  int32     `json:"campaigns_resumed"`
	Remaining         int32     `json:"remaining"`
	Seconds           float64   `json:"seconds"`
}

func (c *sweepCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		tick, err := db.Trip().EnqueueSweep(ctx)
		if err != nil {
			return fmt.Errorf("starting the sweep: %w", err)
		}
		if !c.Wait {
			if c.JSON {
				return writeJSON(e.stdout, map[string]time.Time{"tick_at": tick.UTC()})
			}
			printf(e.stdout, "sweep of tick %s queued\n", stamp(tick))
			return nil
		}
		var swept dbsqlc.SweepRow
		err = waiting(ctx, e, c.database, db, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, c.Timeout)
			defer cancel()
			err := poll(ctx, func() (done bool, err error) {
				swept, err = db.Read().Sweep(ctx, tick)
				if errors.Is(err, pgx.ErrNoRows) {
					return false, nil
				}
				return swept.FinishedAt != nil, err
			})
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("the sweep of tick %s was not done within %s: run \"thaw status\" to see the remaining accounts, and check the log of the workers", stamp(tick), when.Duration(c.Timeout))
			}
			return err
		})
		if err != nil {
			return err
		}
		s := summary{
			TickAt: swept.TickAt.UTC(), AccountsPlanned: swept.AccountsPlanned, AccountsProcessed: swept.AccountsProcessed,
			Resumed: swept.Resumed, Moved: swept.Moved, CampaignsResumed: swept.CampaignsResumed,
			Remaining: swept.Remaining, Seconds: swept.FinishedAt.Sub(swept.StartedAt).Seconds(),
		}
		if c.JSON {
			return writeJSON(e.stdout, s)
		}
		printf(e.stdout, "tick %s: %s of %s, %s resumed, %s moved to a sibling account, %s resumed, %s remaining, in %.1f s\n",
			stamp(s.TickAt), number(s.AccountsProcessed), many(s.AccountsPlanned, "account"), many(s.Resumed, "enrollment"), number(s.Moved), many(s.CampaignsResumed, "campaign"), number(s.Remaining), s.Seconds)
		return nil
	})
}
