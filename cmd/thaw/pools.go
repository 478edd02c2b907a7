package main

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	dbconn "github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/process"
	"github.com/thawline/thaw/internal/store"
)

// budgetFlag has the number of connections of a long-running process.
type budgetFlag struct {
	MaxConnections int `help:"Database connections that this process opens at most, 7 or more. Default: pool_max_conns of the database URL, else 12." placeholder:"N" env:"THAW_MAX_CONNECTIONS"`
}

// budget shares out the connections of a process that serves HTTP, works, or both. What of the URL changes nothing is logged.
func (f budgetFlag) budget(ctx context.Context, d database, web, work bool, logger *slog.Logger) (dbconn.Budget, error) {
	_, settings, err := dbconn.Parse(d.DatabaseURL)
	if err != nil {
		return dbconn.Budget{}, err
	}
	if len(settings.Ignored) > 0 {
		logger.DebugContext(ctx, "parameters of the database URL that change nothing here", "parameters", settings.Ignored)
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

// openPools returns the pools of a process, each of which has reached a server that can be written to. The caller calls
// closePools.
func (d database) openPools(ctx context.Context, b dbconn.Budget) (pools process.Pools, err error) {
	defer func() {
		if err != nil {
			closePools(pools)
		}
	}()
	for _, p := range []struct {
		pool    **pgxpool.Pool
		size    int
		noFlush bool
		limits  dbconn.Limits
	}{
		{&pools.Reads, b.Reads, false, dbconn.Limits{}},
		// What River writes by itself is bookkeeping: a crash of the server that takes back the last of it leaves jobs to be
		// handed out once more.
		{&pools.Queue, b.Queue, true, dbconn.Limits{}},
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
