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

	"github.com/thawline/thaw/internal/database"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema"
)

// keepReadiness is how long an answer of /readyz is good for whoever asks next: anybody may ask, and each look takes several
// queries.
const keepReadiness = time.Second

type health struct {
	store       *store.Store
	migrator    *schema.Migrator
	riverSchema string
	logger      *slog.Logger

	mu   sync.Mutex
	kept readiness
}

// A readiness is what a look at all checks found.
type readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"`
	at     time.Time
}

// live serves GET /healthz, for whoever restarts processes: this one answers. It does not ask the database, because a
// restart would not fix that.
func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"live":true}` + "\n"))
}

// ready serves GET /readyz, for load balancers and alarms: 200 when all checks say "ok", else 503 with what is wrong.
func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	found := h.readiness(r.Context())
	w.Header().Set("Content-Type", "application/json")
	if !found.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(found)
}

// readiness returns the last look if it is young enough, or looks. Of several that ask at the same time one looks and the others
// wait for it; one that goes away does not take the look with it.
func (h *health) readiness(ctx context.Context) readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.kept.at) > keepReadiness {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		h.kept = h.look(ctx)
		h.kept.at = time.Now()
	}
	return h.kept
}

func (h *health) look(ctx context.Context) readiness {
	found := readiness{Ready: true, Checks: map[string]string{}}
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
		found.Checks[check.name] = verdict
		if verdict == ok {
			continue
		}
		found.Ready = false
		if check.first || err != nil {
			break
		}
	}
	return found
}

// ok is the verdict of a check that found nothing wrong.
const ok = "ok"

func (h *health) database(ctx context.Context) (string, error) {
	state, err := h.store.DatabaseState(ctx)
	switch {
	case errors.Is(err, database.ErrReadOnly), err == nil && state.IsReadOnly:
		return "the server is read-only: a standby, or a primary that was demoted; nothing can be recorded", nil
	case err != nil:
		return "", err
	case state.WaitingCommits > 0:
		return fmt.Sprintf("%d commits wait for a synchronous standby that does not answer: look at pg_stat_replication and synchronous_standby_names", state.WaitingCommits), nil
	default:
		return ok, nil
	}
}

func (h *health) migrations(ctx context.Context) (string, error) {
	err := h.migrator.Check(ctx)
	switch {
	case errors.Is(err, schema.ErrPending):
		return "pending: run thaw migrate up", nil
	// While a newer version is rolled out, the old processes go on.
	case errors.Is(err, schema.ErrNewer):
		return ok, nil
	default:
		return ok, err
	}
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
