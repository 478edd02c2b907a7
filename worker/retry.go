package worker

import (
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// retryWithin is the longest that a failed job waits for its next attempt. A job fails because the database is away, or busy
// with somebody's lock, and can go on in the moment when that is over. River's own policy waits ever longer: after four
// attempts more than four minutes, and a sweep would miss its tick.
const retryWithin = 30 * time.Second

// cappedRetry is River's policy, but for what it would wait longer than [retryWithin]. jobs.MaxAttempts is meant for it.
type cappedRetry struct{ river.DefaultClientRetryPolicy }

// NextRetry implements [river.ClientRetryPolicy]. The time is the process's, as everything of River that is scheduled.
func (p *cappedRetry) NextRetry(job *rivertype.JobRow) time.Time {
	next, latest := p.DefaultClientRetryPolicy.NextRetry(job), time.Now().Add(retryWithin)
	if next.After(latest) {
		return latest
	}
	return next
}
