package jobs_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/localpg"
	"github.com/thawline/thaw/jobs"
	"github.com/thawline/thaw/schema"
)

// The platform learns that a seat is connected again. It updates its own table and sends a signal
// to Thaw in one transaction: both happen, or neither.
func ExampleSend() {
	ctx := context.Background()
	pool, drop := platform(ctx)
	defer drop()

	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE seats SET last_seen = now() WHERE account_id = 'jane'"); err != nil {
			return err
		}
		outcome, err := jobs.Send(ctx, tx, jobs.Signal{AccountID: "jane", Status: "connected"})
		fmt.Println("outcome:", outcome)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	var seen bool
	var status, kind, state string
	if err := pool.QueryRow(ctx, `
		SELECT seats.last_seen IS NOT NULL, account.status, job.kind, job.state
		FROM seats, thaw.accounts AS account, thaw.river_job AS job`).Scan(&seen, &status, &kind, &state); err != nil {
		log.Fatal(err)
	}
	fmt.Println("seen:", seen)
	fmt.Println("account:", status)
	fmt.Println("job:", kind, state)
	// Output:
	// outcome: applied
	// seen: true
	// account: connected
	// job: resume_account available
}

// A client that only inserts needs no workers. Inserting the sweep job of a tick twice makes one
// job.
func ExampleSweepArgs() {
	ctx := context.Background()
	pool, drop := platform(ctx)
	defer drop()
	client, err := river.NewClient(jobs.NewDriver(pool), &river.Config{Schema: schema.Name})
	if err != nil {
		log.Fatal(err)
	}

	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Ticks follow the database clock.
		var tick time.Time
		if err := tx.QueryRow(ctx, "SELECT thaw.tick()").Scan(&tick); err != nil {
			return err
		}
		for range 2 {
			inserted, err := client.InsertTx(ctx, tx, jobs.SweepArgs{TickAt: jobs.TickAt(tick)}, nil)
			if err != nil {
				return err
			}
			fmt.Println(inserted.Job.Kind, "in queue", inserted.Job.Queue, "- duplicate:", inserted.UniqueSkippedAsDuplicate)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// sweep in queue sweep - duplicate: false
	// sweep in queue sweep - duplicate: true
}

// platform creates a database with Thaw's schema, a table of the platform, and one seat in both.
func platform(ctx context.Context) (pool *pgxpool.Pool, drop func()) {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	server, err := localpg.Open(ctx, localpg.Options{})
	must(err)
	name := fmt.Sprintf("thaw_example_%d", os.Getpid())
	admin, err := pgx.Connect(ctx, server.URL(""))
	must(err)
	_, err = admin.Exec(ctx, "CREATE DATABASE "+name)
	must(err)

	pool, err = pgxpool.New(ctx, server.URL(name))
	must(err)
	migrator, err := schema.NewMigrator(pool, "", slog.New(slog.DiscardHandler))
	must(err)
	_, err = migrator.Up(ctx)
	must(err)
	must(migrator.Close())
	_, err = pool.Exec(ctx, `
		CREATE TABLE seats (account_id text PRIMARY KEY, last_seen timestamptz);
		INSERT INTO seats VALUES ('jane');
		INSERT INTO thaw.workspaces (key) VALUES ('acme');
		INSERT INTO thaw.accounts (workspace_id, provider_account_id) VALUES (1, 'jane');`)
	must(err)
	return pool, func() {
		pool.Close()
		_, err := admin.Exec(ctx, "DROP DATABASE "+name)
		must(err)
		must(admin.Close(ctx))
		must(server.Close())
	}
}
