package jobs

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Driver is the driver for a River client that only inserts jobs of Thaw. River's own notifies in the caller's transaction, and
// a transaction that notifies commits under one lock of the whole Postgres cluster, held while the WAL is flushed: 32 of them
// side by side are as fast as one. With this driver nothing is notified; Thaw's workers look for new jobs every 50 ms.
//
//	client, err := river.NewClient(jobs.NewDriver(nil), &river.Config{Schema: "thaw"})
//
// It is not for a client that works, or that pauses queues and cancels jobs: those need their notifications.
type Driver struct{ *riverpgxv5.Driver }

// NewDriver returns a driver on pool. Nil: the client inserts in transactions of its callers only.
func NewDriver(pool *pgxpool.Pool) *Driver { return &Driver{riverpgxv5.New(pool)} }

// SupportsListenNotify keeps River's client from notifying.
func (*Driver) SupportsListenNotify() bool { return false }
