package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema"
)

type health struct {
	store       *store.Store
	migrator    *schema.Migrator
	riverSchema string
	logger      *slog.Logger
}

// live serves GET /healthz, for whoever restarts processes: this one answers. It does not ask the database, because a
// restart would not mend that.
func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"live":true}` + "\n"))
}

// ready serves GET /readyz, for load balancers and alarms: 200 when all checks say "ok", else 503 with what is wrong.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	checks := map[string]string{}
	ready := true
	for _, check := range []struct {
		name string
		run  func(context.Context) (string, error)
		// first says that the checks behind it mean nothing without it.
		first bool
	}{
		{"database", h.database, true}, {"migrations", h.migrations, true}, {"leader", h.leader, false}, {"sweep", h.sweep, false},
	} {
		verdict, err := check.run(ctx)
		if err != nil {
			h.logger.ErrorContext(ctx, "a readiness check could not be made", "check", check.name, "error", err)
			verdict = "could not be checked; the log says why"
		}
		checks[check.name] = verdict
		if verdict == ok {
			continue
		}
		ready = false
		if check.first || err != nil {
			break
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"ready": ready, "checks": checks})
}

// ok is the verdict of a check that found nothing wrong.
const ok = "ok"

func (h *health) database(ctx context.Context) (string, error) {
	return ok, h.store.Pool().Ping(ctx)
}

func (h *health) migrations(ctx context.Context) (string, error) {
	err := h.migrator.Check(ctx)
	if errors.Is(err, schema.ErrPending) {
		return "pending: run thaw migrate up", nil
	}
	return ok, err
}

func (h *health) leader(ctx context.Context) (string, error) {
	elected, err := h.store.HasLeader(ctx, h.riverSchema)
	switch {
	case err != nil:
		return "", err
	case !elected:
		return "no worker process is alive: start thaw serve or thaw work", nil
	default:
		return ok, nil
	}
}

func (h *health) sweep(ctx context.Context) (string, error) {
	age, err := h.store.SweepAge(ctx)
	switch {
	case err != nil:
		return "", err
	case !age.Fresh && age.TickAt.Unix() == 0:
		return "no tick was swept yet", nil
	case !age.Fresh:
		return "the last tick that was swept is " + age.TickAt.UTC().Format(time.RFC3339) + ", more than two ticks ago", nil
	default:
		return ok, nil
	}
}
