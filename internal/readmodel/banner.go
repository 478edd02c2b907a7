package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A Banner is what every page shows at its top, because it concerns the whole fleet.
type Banner struct {
	Now time.Time // by the database clock
	Conditions
}

// ReadBanner reads a few single rows, because every page does.
func ReadBanner(ctx context.Context, db *store.Store) (Banner, error) {
	var b Banner
	err := db.Snapshot(ctx, func(q *dbsqlc.Queries) error {
		now, err := q.Clock(ctx)
		if err != nil {
			return err
		}
		b.Now = now.UTC()
		b.Conditions, err = readConditions(ctx, q)
		return err
	})
	if err != nil {
		return Banner{}, fmt.Errorf("reading the banner: %w", err)
	}
	return b, nil
}
