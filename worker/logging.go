package worker

import (
	"context"
	"errors"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// quiet is a logger for River: what it says at level info, such as its counts of jobs every few seconds, is at level debug, but
// for its start and its end. Failures of jobs are logged by [failures].
func quiet(logger *slog.Logger) *slog.Logger { return slog.New(quietHandler{logger.Handler()}) }

type quietHandler struct{ slog.Handler }

// loud are the lines of River that stay at level info: they name the client that a job's attempted_by has.
var loud = map[string]bool{"River client started": true, "River client stopped": true}

// Enabled implements [slog.Handler]. Info is enabled, because Handle tells which of it stays.
func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h quietHandler) Handle(ctx context.Context, line slog.Record) error {
	if line.Level == slog.LevelInfo && !loud[line.Message] {
		line.Level = slog.LevelDebug
		if !h.Handler.Enabled(ctx, line.Level) {
			return nil
		}
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs implements [slog.Handler].
func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}

// failures logs each attempt of a job that failed: a warning while it is tried again, an error when it is given up or has
// panicked. River calls it neither for a job that is cancelled nor for one that the end of the process has interrupted.
type failures struct{ logger *slog.Logger }

// HandleError implements [river.ErrorHandler].
func (f failures) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	level, message := slog.LevelWarn, "a job failed; it will be tried again"
	if job.Attempt >= job.MaxAttempts {
		level, message = slog.LevelError, "a job failed for the last time; a later tick or heal does what it would have done"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		message += " (it took longer than its time limit)"
	}
	f.logger.Log(ctx, level, message, "kind", job.Kind, "job_id", job.ID, "queue", job.Queue, "attempt", job.Attempt,
		"args", string(job.EncodedArgs), "error", err)
	return nil
}

// HandlePanic implements [river.ErrorHandler].
func (f failures) HandlePanic(ctx context.Context, job *rivertype.JobRow, panicked any, trace string) *river.ErrorHandlerResult {
	f.logger.ErrorContext(ctx, "a job panicked; it will be tried again", "kind", job.Kind, "job_id", job.ID, "queue", job.Queue,
		"attempt", job.Attempt, "args", string(job.EncodedArgs), "panic", panicked, "trace", trace)
	return nil
}
