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

// A sender claims what is due, looks again in the moment before each call, and reports what came of
// it. Each step is a transaction of its own: a crash after Start leaves an action that counts as
// unknown when its lease ends, and is never sent twice.
func ExampleClaim() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	var due []jobs.Claimed
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
		due, err = jobs.Claim(ctx, tx, jobs.ClaimOptions{Limit: 10, Actor: "sender-1"})
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, action := range due {
		var now jobs.Reservation
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
			now, err = jobs.Start(ctx, tx, action.ID)
			return err
		})
		if err != nil || now.Code != "" {
			fmt.Println("not now:", action.ID, now.Code, err)
			continue
		}
		came := jobs.Settlement{Outcome: jobs.OutcomeUnknown} // a timeout, for example
		if ref, ok := callProvider(action); ok {
			came = jobs.Settlement{Outcome: jobs.OutcomeSent, ProviderRef: ref}
		}
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := jobs.Settle(ctx, tx, action.ID, came)
			return err
		})
		if err != nil {
			log.Print(err) // repeat it: settling twice with the same outcome is harmless
		}
	}
}

// callProvider stands for the program's own request to the provider.
func callProvider(jobs.Claimed) (ref string, ok bool) { return "inv_1", true }
