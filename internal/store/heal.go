package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// errTried takes a transaction back on purpose.
var errTried = errors.New("tried")

// TryHeal says how many enrollments a heal could resume, and through how many accounts: it starts the heal, counts, and takes it
// back. So it keeps the same rules, fails where the heal would fail, and changes nothing.
func (s *Store) TryHeal(ctx context.Context, heal dbsqlc.StartHealParams) (scope dbsqlc.HealScopeRow, err error) {
	err = s.Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		id, err := q.StartHeal(ctx, heal)
		if err != nil {
			return err
		}
		if scope, err = q.HealScope(ctx, id); err != nil {
			return err
		}
		return errTried
	})
	if errors.Is(err, errTried) {
		err = nil
	}
	return scope, err
}
