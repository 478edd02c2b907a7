package jobs_test

import (
	"context"
	"errors"
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
// it until there is an answer. Each step is a transaction of its own: a crash after Start leaves an
// action that counts as unknown when its lease ends, and is never sent twice.
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
		came := jobs.Settlement{Outcome: jobs.OutcomeReleased}
		switch {
		case err != nil:
			// The answer is lost, so there is no call. If Start was committed, it cannot be released
			// (ErrConflict).
			log.Print(err)
		case now.Code == jobs.CodeCooldown && now.ID != 0:
			// The reservation is kept, and takes up quota until its lease ends. Released, the action is
			// due again when the gap is over. A sender that can wait calls Start again at now.OpensAt.
		case now.Code != "":
			fmt.Println("not now:", action.ID, now.Code)
			continue
		default:
			came = callProvider(action)
		}
		for { // until there is an answer: the same report again is harmless
			attempt, cancel := context.WithTimeout(ctx, 15*time.Second)
			err := pgx.BeginFunc(attempt, pool, func(tx pgx.Tx) error {
				_, err := jobs.Settle(attempt, tx, action.ID, came)
				return err
			})
			cancel()
			if err != nil {
				log.Print(err)
			}
			if err == nil || errors.Is(err, jobs.ErrConflict) || errors.Is(err, jobs.ErrInvalid) || errors.Is(err, jobs.ErrNotFound) {
				break
			}
			<-time.After(time.Second)
		}
	}
}

// callProvider stands for the program's own request to the provider. A timeout is OutcomeUnknown.
func callProvider(jobs.Claimed) jobs.Settlement {
	return jobs.Settlement{Outcome: jobs.OutcomeSent, ProviderRef: "inv_1"}
}
