package jobs_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/thawline/thaw/jobs"
)

// The platform learns that a seat is connected again. It updates its own table and sends a signal
// to Thaw in one transaction: both happen, or neither.
func ExampleSend() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE seats SET last_seen = now() WHERE account_id = 'jane'"); err != nil {
			return err
		}
		outcome, err := jobs.Send(ctx, tx, jobs.Signal{AccountID: "jane", Status: "connected"})
		fmt.Println("outcome:", outcome) // outcome: applied
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A client that only inserts needs no workers. Inserting the sweep job of a tick twice makes one
// job.
func ExampleSweepArgs() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	client, err := river.NewClient(jobs.NewDriver(pool), &river.Config{Schema: "thaw"})
	if err != nil {
		log.Fatal(err)
	}

	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Ticks follow the database clock.
		var tick time.Time
		if err := tx.QueryRow(ctx, "SELECT thaw.tick()").Scan(&tick); err != nil {
			return err
		}
		inserted, err := client.InsertTx(ctx, tx, jobs.SweepArgs{TickAt: jobs.TickAt(tick)}, nil)
		if err != nil {
			return err
		}
		fmt.Println("duplicate:", inserted.UniqueSkippedAsDuplicate)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
}
