package database

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// pingAfter is how long a connection must have been idle to be checked before it is used.
	pingAfter = time.Second
	// pingTimeout is how long it may take to answer.
	pingTimeout = 2 * time.Second
)

// checkIdle makes a pool check idle connections before use. A firewall or a failed host drops
// connections without telling either end. If one idle connection does not answer in time, the pool
// closes all of them: checked one after the other, each would cost pingTimeout. pool returns the
// pool of this configuration.
func checkIdle(config *pgxpool.Config, pool func() *pgxpool.Pool) {
	config.PingTimeout = pingTimeout
	config.ShouldPing = func(ctx context.Context, idle pgxpool.ShouldPingParams) bool {
		if idle.IdleDuration <= pingAfter {
			return false
		}
		ping, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		if idle.Conn.Ping(ping) == nil {
			return false
		}
		if ping.Err() != nil && ctx.Err() == nil {
			if pool := pool(); pool != nil {
				pool.Reset()
			}
		}
		return true // The connection is closed: the pool's own ping fails at once and removes it.
	}
}
