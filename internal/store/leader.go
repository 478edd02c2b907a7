package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// HasLeader says whether any worker process is alive: the queue elects one of them, for a few seconds at a time. The queue's
// schema is a setting, so this one query is not a generated one.
func (s *Store) HasLeader(ctx context.Context, riverSchema string) (bool, error) {
	var elected bool
	table := pgx.Identifier{riverSchema, "river_leader"}.Sanitize()
	err := s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+" WHERE expires_at > now())").Scan(&elected)
	if err != nil {
		return false, fmt.Errorf("looking for a leader: %w", err)
	}
	return elected, nil
}
