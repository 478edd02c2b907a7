package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// errTried rolls back a transaction on purpose.
var errTried = errors.New("tried")

// TryHeal returns what a heal would do. It starts the heal, counts, and rolls back. So it applies
// the same rules, fails if the heal would fail, and changes nothing.
func (s *Store) TryHeal(ctx context.Context, heal dbsqlc.StartHealParams) (preview dbsqlc.PreviewHealRow, err error) {
	err = s.Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		id, err := q.StartHeal(ctx, heal)
		if err != nil {
			return err
		}
		if preview, err = q.PreviewHeal(ctx, id); err != nil {
			return err
		}
		return errTried
	})
	if errors.Is(err, errTried) {
		err = nil
	}
	return preview, err
}
