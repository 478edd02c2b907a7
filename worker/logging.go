package worker

import (
	"context"
	"errors"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// quiet returns a logger for River. It lowers River's info lines, such as job counts every few
// seconds, to debug, except for the start and stop of the client. [failures] logs failed jobs.
func quiet(logger *slog.Logger) *slog.Logger { return slog.New(quietHandler{logger.Handler()}) }

type quietHandler struct{ slog.Handler }

// keptAtInfo lists River's lines that stay at level info. They contain the client ID that appears
// in a job's attempted_by.
var keptAtInfo = map[string]bool{"River client started": true, "River client stopped": true}

// Enabled implements [slog.Handler]. It accepts level info because Handle decides which of those
// lines to lower.
func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h quietHandler) Handle(ctx context.Context, line slog.Record) error {
	if line.Level == slog.LevelInfo && !keptAtInfo[line.Message] {
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

// failures logs each failed attempt of a job: a warning if it will be retried, an error if it was
// the last attempt or panicked. River does not call it for a job that was cancelled or interrupted
// by the shutdown of the process.
type failures struct{ logger *slog.Logger }

// HandleError implements [river.ErrorHandler].
func (f failures) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	level, message := slog.LevelWarn, "job failed; it will be retried"
	if job.Attempt >= job.MaxAttempts {
		level, message = slog.LevelError, "job failed on its last attempt; a later tick or heal will cover its work"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		message += " (it exceeded its time limit)"
	}
	f.logger.Log(ctx, level, message, "kind", job.Kind, "job_id", job.ID, "queue", job.Queue, "attempt", job.Attempt,
		"args", string(job.EncodedArgs), "error", err)
	return nil
}

// HandlePanic implements [river.ErrorHandler].
func (f failures) HandlePanic(ctx context.Context, job *rivertype.JobRow, panicked any, trace string) *river.ErrorHandlerResult {
	f.logger.ErrorContext(ctx, "job panicked; it will be retried", "kind", job.Kind, "job_id", job.ID, "queue", job.Queue,
		"attempt", job.Attempt, "args", string(job.EncodedArgs), "panic", panicked, "trace", trace)
	return nil
}
