package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

type scheduleWorker struct {
	river.WorkerDefaults[jobs.ScheduleArgs]
	store  *store.Store
	logger *slog.Logger
	notify func(queues ...string)
	// messages are the queues of the messages that this process delivers.
	messages []string
}

// scheduleSize is how many accounts one transaction serves. It holds their locks until its messages
// are written, and a signal waits for at most that long.
const scheduleSize = 200

// Work gives out what is due now, whichever time the job was inserted for. What is left when the
// time is up is for the next job, a few seconds later.
func (w *scheduleWorker) Work(ctx context.Context, _ *river.Job[jobs.ScheduleArgs]) error {
	began := time.Now()
	var looked, reserved int32
	for time.Since(began) < workSlice {
		batch, err := w.store.Trip().PushActions(ctx, scheduleSize)
		if err != nil {
			return fmt.Errorf("reserving due actions: %w", err)
		}
		if batch.Reserved > 0 {
			w.notify(w.messages...)
		}
		looked, reserved = looked+batch.Looked, reserved+batch.Reserved
		if batch.Looked == 0 {
			break
		}
	}
	if err := w.store.Trip().RecordSchedule(ctx); err != nil {
		return fmt.Errorf("recording the schedule: %w", err)
	}
	if looked > 0 {
		w.logger.DebugContext(ctx, "sent due actions", "accounts", looked, "actions", reserved, "took", time.Since(began))
	}
	return nil
}
