package main

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/schema"
)

// explainError adds to an error how to mend it, where that is known.
func explainError(err error) string {
	var fromPostgres *pgconn.PgError
	switch {
	case errors.Is(err, schema.ErrPending):
		return err.Error() + "\nRun \"thaw migrate up\" on this database first (serve, work and web also take --migrate)."
	case errors.As(err, &fromPostgres) && fromPostgres.Hint != "":
		return fromPostgres.Message + "\n" + fromPostgres.Hint
	default:
		return err.Error()
	}
}
