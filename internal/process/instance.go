package process

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
)

// checkInstance records which instance the database is when the first process starts, and compares
// it from then on. Only another name than the configured one is an error: a copy is in safety mode
// and delivers nothing, which the database itself ensures, and its pages must be reachable.
func checkInstance(ctx context.Context, c Config) error {
	var problem string
	var found dbsqlc.InstanceRow
	err := store.New(c.Pools.Reads).Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) (err error) {
		if problem, err = q.CheckInstance(ctx, c.Instance); err != nil {
			return err
		}
		found, err = q.Instance(ctx)
		return err
	})
	switch {
	case err != nil:
		// The database may be a standby. The job watch checks again within a minute.
		c.Logger.WarnContext(ctx, "could not check which instance this database is", "error", err)
	case c.Instance != "" && found.Name != c.Instance:
		return fmt.Errorf("this database is instance %q, and --instance is %q: connect to the right database, or rename it with thaw instance adopt --as %s",
			found.Name, c.Instance, c.Instance)
	case problem != "":
		c.Logger.ErrorContext(ctx, problem, "instance", found.Name)
	}
	return nil
}
