package jobs

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Driver is a driver for a River client that only inserts Thaw's jobs. River's own driver notifies
// in the caller's transaction. A transaction that notifies commits under one lock of the whole
// Postgres cluster, which is held while the WAL is flushed, so 32 concurrent transactions are only
// as fast as one. This driver does not notify. Thaw's workers look for new jobs every 50 ms.
//
//	client, err := river.NewClient(jobs.NewDriver(nil), &river.Config{Schema: "thaw"})
//
// Do not use it for a client that works jobs, pauses queues or cancels jobs. These need
// notifications.
type Driver struct{ *riverpgxv5.Driver }

// NewDriver returns a driver that uses pool. If pool is nil, the client can insert only in the
// transactions of its callers.
func NewDriver(pool *pgxpool.Pool) *Driver { return &Driver{riverpgxv5.New(pool)} }

// SupportsListenNotify prevents River's client from notifying.
func (*Driver) SupportsListenNotify() bool { return false }
