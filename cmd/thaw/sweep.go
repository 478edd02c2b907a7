package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

type sweepCmd struct {
	database `embed:""`
	Wait     bool          `help:"Wait until the tick is swept, and print its summary. If no worker process is alive, this one works."`
	Timeout  time.Duration `help:"How long to wait." default:"5m"`
	JSON     bool          `help:"Print JSON."`
}

func (sweepCmd) Help() string {
	return "A tick is swept once; where it is already, --wait prints its summary.\n\nExample:\n  thaw sweep --wait --json"
}

// A summary is what a tick did, for programs.
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
		tick, err := db.EnqueueSweep(ctx)
		if err != nil {
			return fmt.Errorf("asking for the sweep: %w", err)
		}
		if !c.Wait {
			if c.JSON {
				return writeJSON(e.stdout, map[string]time.Time{"tick_at": tick.UTC()})
			}
			printf(e.stdout, "the sweep of tick %s is asked for\n", stamp(tick))
			return nil
		}
		var swept dbsqlc.SweepRow
		err = waiting(ctx, e, c.database, db, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, c.Timeout)
			defer cancel()
			err := poll(ctx, func() (done bool, err error) {
				swept, err = db.Sweep(ctx, tick)
				if errors.Is(err, pgx.ErrNoRows) {
					return false, nil
				}
				return swept.FinishedAt != nil, err
			})
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("tick %s is not swept after %s: thaw status shows what is left, the workers' log why", stamp(tick), c.Timeout)
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
		printf(e.stdout, "tick %s: %d of %d accounts, %d enrollments resumed (%d re-pointed), %d campaigns started, %d left, in %.1f s\n",
			stamp(s.TickAt), s.AccountsProcessed, s.AccountsPlanned, s.Resumed, s.Moved, s.CampaignsResumed, s.Remaining, s.Seconds)
		return nil
	})
}
