package main

import (
	"errors"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/schema"
)

// explainError adds the fix to an error if it is known.
func explainError(err error) string {
	var fromPostgres *pgconn.PgError
	switch {
	case errors.Is(err, schema.ErrPending):
		return err.Error() + "\nRun \"thaw migrate up\" on this database first (serve, work and web also take --migrate)."
	case errors.Is(err, schema.ErrNewer):
		return err.Error() + "\nUse the thaw of that version or a newer one. To go back, run \"thaw migrate down\" with that version."
	case errors.Is(err, schema.ErrChanged):
		return err.Error() + "\nA build other than this one applied them. Use the program that migrated this database. If it holds only test data, delete it with that program (\"thaw migrate down --to 0\") or with DROP SCHEMA thaw CASCADE."
	// The symptoms of a pooler in transaction mode that was not detected when connecting.
	case errors.As(err, &fromPostgres) && (fromPostgres.Code == pgerrcode.InvalidSQLStatementName || fromPostgres.Code == pgerrcode.DuplicatePreparedStatement):
		return fromPostgres.Message + "\nBehind a connection pooler in transaction mode set THAW_POLL_ONLY=true (--poll-only)."
	}
	// The details of a database that cannot be used are for operators, who read this.
	if problem := operator.AsProblem(err); problem != nil && problem.Kind != operator.Unavailable {
		return problem.Error()
	}
	return err.Error()
}
