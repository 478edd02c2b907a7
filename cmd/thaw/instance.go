package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/store"
)

type instanceCmd struct {
	Show  instanceShowCmd  `cmd:"" default:"withargs" help:"Show which instance the database is, and whether it is a copy."`
	Adopt instanceAdoptCmd `cmd:"" help:"Make a copied database an instance of its own, or rename the instance."`
}

func (instanceCmd) Help() string {
	return "A copy of a database resumes nothing and delivers no webhooks until it is adopted. A database counts as a copy if its server " +
		"or its identity in the server is not the one where the first process started.\n\nExample:\n  thaw instance adopt --as staging --reason \"restored from last night's dump\""
}

type instanceShowCmd struct {
	database `embed:""`
	JSON     bool `help:"Print JSON."`
}

func (instanceShowCmd) Help() string { return "Example:\n  thaw instance show --json" }

// instanceState is the output of thaw instance show --json. Times are RFC 3339.
type instanceState struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	IsCopy     bool      `json:"is_copy"`
	Problem    string    `json:"problem,omitempty"` // why it is a copy
	Database   string    `json:"database"`          // where it was recorded
	Server     int64     `json:"server"`            // its system identifier
	RecordedAt time.Time `json:"recorded_at"`
	SeenAt     time.Time `json:"seen_at"` // when a process last found it unchanged
}

func (c *instanceShowCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		row, err := db.Read().Instance(ctx)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return errors.New("no process has started on this database yet: the first one records which instance it is")
		case err != nil:
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, instanceState{
				ID: row.ID.String(), Name: row.Name, IsCopy: row.WhyCopy != "", Problem: row.WhyCopy, Database: row.DatabaseName,
				Server: row.SystemIdentifier, RecordedAt: row.RecordedAt.UTC(), SeenAt: row.SeenAt.UTC(),
			})
		}
		printf(e.stdout, "Instance %s, on server %d since %s. Last seen %s.\n",
			row.Name, row.SystemIdentifier, stamp(row.RecordedAt), stamp(row.SeenAt))
		if row.WhyCopy != "" {
			printf(e.stdout, "COPY: %s. Nothing is resumed and no webhook is delivered. To run it as an instance of its own: thaw instance adopt --as NAME --reason TEXT\n", row.WhyCopy)
		}
		return nil
	})
}

type instanceAdoptCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	As         string `help:"New name of the instance, for example staging: up to 63 letters, digits, dots, underscores and hyphens." required:"" placeholder:"NAME"`
}

func (instanceAdoptCmd) Help() string {
	return "Thaw keeps a copy in safety mode; this command ends it. Messages that the original wrote are not delivered.\n\nExample:\n  thaw instance adopt --as staging --reason \"restored from last night's dump\""
}

func (c *instanceAdoptCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		wasCopy, err := o.AdoptInstance(ctx, c.As, c.Reason)
		switch {
		case err != nil:
			return err
		case wasCopy:
			printf(e.stdout, "This database is now instance %s. The next sweep resumes prospects, within its caps, and new messages are delivered.\n", c.As)
		default:
			printf(e.stdout, "This database is instance %s. It was not a copy.\n", c.As)
		}
		return nil
	})
}
