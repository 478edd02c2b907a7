package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema"
)

// readinessTTL is how long a result of /readyz is cached. The route is public, and a check takes
// several queries.
const readinessTTL = time.Second

type health struct {
	store    *store.Store
	migrator *schema.Migrator
	leaving  context.Context
	logger   *slog.Logger

	mu   sync.Mutex
	kept readiness
}

// A readiness is the result of all checks.
type readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"`
	// Warnings are faults of the whole fleet. They do not make the process unready: no other process
	// would do better, and a load balancer that takes all of them out loses the provider's webhooks
	// and the pages. With --poll-only, a rolling restart has no worker until a leader is elected.
	Warnings []string `json:"warnings,omitempty"`
	at       time.Time
}

// live serves GET /healthz, for liveness probes. It does not check the database, because a restart
// would not fix the database.
func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"live":true}` + "\n"))
}

// ready serves GET /readyz, for load balancers and alerts: 200 if all checks are "ok", else 503
// with the problems. It fails as soon as the process was asked to stop.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	found := readiness{Checks: map[string]string{"process": "stopping: send requests to another process"}}
	if h.leaving.Err() == nil {
		found = h.readiness(r.Context())
	}
	w.Header().Set("Content-Type", "application/json")
	if !found.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(found)
}

// readiness returns the cached result, or runs the checks if it is too old. Concurrent requests
// share one run. A request that is cancelled does not cancel the run.
func (h *health) readiness(ctx context.Context) readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.kept.at) > readinessTTL {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		h.kept = h.check(ctx)
		h.kept.at = time.Now()
	}
	return h.kept
}

func (h *health) check(ctx context.Context) readiness {
	found := readiness{Ready: true, Checks: map[string]string{}}
	for _, check := range []struct {
		name string
		run  func(context.Context) (string, error)
		// first is set if the later checks are meaningless when this one fails.
		first bool
	}{
		{"database", h.database, true}, {"migrations", h.migrations, true}, {"instance", h.instance, false},
	} {
		verdict, err := check.run(ctx)
		if err != nil {
			h.logger.ErrorContext(ctx, "readiness check failed", "check", check.name, "error", err)
			verdict = "check failed; see the log"
		}
		found.Checks[check.name] = verdict
		if verdict == ok {
			continue
		}
		found.Ready = false
		if check.first || err != nil {
			return found
		}
	}
	for _, warn := range []func(context.Context) ([]string, error){h.worker, h.sweep, h.adoption} {
		warnings, err := warn(ctx)
		if err != nil {
			h.logger.ErrorContext(ctx, "looking for warnings failed", "error", err)
			warnings = []string{"The state of the fleet could not be read: see the log."}
		}
		found.Warnings = append(found.Warnings, warnings...)
		if err != nil {
			break
		}
	}
	return found
}

// ok is the verdict of a check that passed.
const ok = "ok"

func (h *health) database(ctx context.Context) (string, error) {
	state, err := h.store.Read().DatabaseState(ctx)
	switch {
	case errors.Is(err, database.ErrReadOnly), err == nil && state.IsReadOnly:
		return "the database is read-only (a standby, or a demoted primary): nothing can be recorded", nil
	case err != nil:
		return "", err
	case state.WaitingCommits > 0:
		return fmt.Sprintf("%d commits wait for a synchronous standby that does not respond: check pg_stat_replication and synchronous_standby_names", state.WaitingCommits), nil
	default:
		return ok, nil
	}
}

func (h *health) migrations(ctx context.Context) (string, error) {
	err := h.migrator.Check(ctx)
	switch {
	case errors.Is(err, schema.ErrPending):
		return "pending: run thaw migrate up", nil
	// During a rolling upgrade, processes of the old version keep running.
	case errors.Is(err, schema.ErrNewer):
		return ok, nil
	default:
		return ok, err
	}
}

// instance fails in a copy of a database, which does nothing outward until it is adopted.
func (h *health) instance(ctx context.Context) (string, error) {
	instance, err := h.store.Read().Instance(ctx)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ok, nil // no process has recorded it yet
	case err != nil:
		return "", err
	case instance.WhyCopy != "":
		return instance.WhyCopy + ": run thaw instance adopt --as NAME --reason TEXT", nil
	default:
		return ok, nil
	}
}

func (h *health) worker(ctx context.Context) ([]string, error) {
	alive, err := h.store.Read().WorkersAlive(ctx)
	if err != nil || alive > 0 {
		return nil, err
	}
	return []string{"No worker process is alive, so prospects are neither paused nor resumed. Start thaw serve or thaw work."}, nil
}

func (h *health) sweep(ctx context.Context) ([]string, error) {
	age, err := h.store.Read().SweepAge(ctx)
	switch {
	case err != nil || age.Fresh:
		return nil, err
	case age.TickAt.Unix() == 0:
		return []string{"No sweep has run yet. The first one runs as soon as a worker process is alive."}, nil
	default:
		return []string{"The last sweep was for tick " + age.TickAt.UTC().Format(time.RFC3339) + ", more than two ticks ago. Check the log of the worker processes."}, nil
	}
}

func (h *health) adoption(ctx context.Context) ([]string, error) {
	summary, err := h.store.Read().AdoptSummary(ctx)
	if err != nil {
		return nil, err
	}
	return readmodel.AdoptionOf(summary).Problems(), nil
}
