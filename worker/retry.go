package worker

import (
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// retryWithin is the maximum delay before a failed job is retried. Jobs fail because the database
// is down or a lock is held, and can continue as soon as that ends. River's own policy backs off
// without this limit: after four attempts it waits more than four minutes, and a sweep would miss
// its tick.
const retryWithin = 30 * time.Second

// cappedRetry is River's retry policy with delays capped at [retryWithin]. jobs.MaxAttempts is
// chosen for it.
type cappedRetry struct{ river.DefaultClientRetryPolicy }

// NextRetry implements [river.ClientRetryPolicy]. It uses the process's clock, as River does for
// all scheduled times.
func (p *cappedRetry) NextRetry(job *rivertype.JobRow) time.Time {
	next, latest := p.DefaultClientRetryPolicy.NextRetry(job), time.Now().Add(retryWithin)
	if next.After(latest) {
		return latest
	}
	return next
}
