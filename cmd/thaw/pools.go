package main

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	dbconn "github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/process"
	"github.com/thawline/thaw/internal/store"
)

// budgetFlag has the connection limit of a long-running process.
type connectionsFlag struct {
	MaxConnections int `help:"Maximum number of database connections of this process, at least 7. Default: pool_max_conns of the database URL, or 12." placeholder:"N" env:"THAW_MAX_CONNECTIONS"`
}

// budget divides the connections of a process that serves HTTP, works, or both. It logs ignored
// parameters of the database URL.
func (f connectionsFlag) share(ctx context.Context, d database, web, work bool, logger *slog.Logger) (dbconn.Budget, error) {
	_, settings, err := dbconn.Parse(d.DatabaseURL)
	if err != nil {
		return dbconn.Budget{}, err
	}
	if len(settings.Ignored) > 0 {
		logger.DebugContext(ctx, "ignoring parameters of the database URL", "parameters", settings.Ignored)
	}
	connections := f.MaxConnections
	switch {
	case connections != 0:
	case settings.MaxConnections != 0:
		connections = settings.MaxConnections
	default:
		connections = dbconn.DefaultConnections
	}
	return dbconn.Share(connections, web, work, d.PollOnly)
}

// openPools returns the pools of a process, each connected to a writable server. The caller calls
// closePools.
func (d database) openPools(ctx context.Context, b dbconn.Budget) (pools process.Pools, err error) {
	defer func() {
		if err != nil {
			closePools(pools)
		}
	}()
	// A process that is frozen in the middle of a transaction must not hold its locks, not even those
	// of River's own transactions.
	idle := dbconn.Limits{Idle: store.IdleTimeout}
	for _, p := range []struct {
		pool    **pgxpool.Pool
		size    int
		noFlush bool
		limits  dbconn.Limits
	}{
		{&pools.Reads, b.Reads, false, idle},
		// River's own writes are bookkeeping. If a crash of the server loses the last of them, jobs
		// are handed out again.
		{&pools.Queue, b.Queue, true, idle},
		{&pools.Passes, b.Passes, false, store.SessionLimits},
		{&pools.Webhooks, b.Webhooks, false, store.SessionLimits},
	} {
		if p.size == 0 {
			continue
		}
		*p.pool, err = dbconn.Open(ctx, dbconn.Options{
			URL: d.DatabaseURL, Size: p.size, PollOnly: d.PollOnly, Writes: true, NoFlush: p.noFlush, Limits: p.limits,
		})
		if err != nil {
			return pools, err
		}
	}
	return pools, nil
}

// closePools closes the pools that were opened.
func closePools(p process.Pools) {
	for _, pool := range []*pgxpool.Pool{p.Webhooks, p.Passes, p.Queue, p.Reads} {
		if pool != nil {
			pool.Close()
		}
	}
}
