package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/thawline/thaw/internal/signing"
)

// ErrUnavailable marks every error of Apply. The response is 503 with Retry-After, so that the
// provider retries.
var ErrUnavailable = errors.New("the delivery could not be recorded")

const (
	// maxSecrets allows two secrets during a rotation: the old one and the new one.
	maxSecrets = 2

	// minSecret is the minimum length of a secret, in bytes: 16 random hex digits have 64 bits. It
	// also detects a secret that contains a comma and was split in two there.
	minSecret = 16

	// maxClockSkew is how far the signed time of a delivery may be from our clock, in either
	// direction.
	maxClockSkew = 5 * time.Minute

	// retryAfter is the Retry-After of a 503, in seconds.
	retryAfter = "30"
)

// Config configures the routes and where their signals go.
type Config struct {
	Dialects

	// Now is the clock for checking signed times. Default time.Now.
	Now func() time.Time

	// Apply records and applies each signal. Required.
	Apply Apply

	// Logger gets a warning for each rejected delivery and an error for each failure of Apply.
	// Neither contains secrets or bodies. Default: no logging.
	Logger *slog.Logger
}

// Register adds a route to mux for each dialect that has a secret. If it returns an error, it has
// added nothing. Errors refer to a secret by its position and never contain it.
func Register(mux *http.ServeMux, c Config) error {
	if c.Apply == nil {
		return errors.New("registering webhooks: Config.Apply is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	endpoints := map[string]*endpoint{}
	for _, d := range c.all() {
		n := len(d.secrets())
		if n == 0 {
			continue
		}
		if n > maxSecrets {
			return fmt.Errorf("registering webhooks: %s has %d secrets: configure at most %d, the current one and the one it replaces",
				nameOf(d), n, maxSecrets)
		}
		v, err := d.open()
		if err != nil {
			return fmt.Errorf("registering webhooks: %s %w", nameOf(d), err)
		}
		endpoints["POST /webhooks/"+d.route()] = &endpoint{dialect: d, verifier: v, now: c.Now, apply: c.Apply, logger: c.Logger.With("webhook", nameOf(d))}
	}
	for pattern, e := range endpoints {
		mux.Handle(pattern, e)
	}
	return nil
}

// checkLength rejects a secret that is too short. The error does not contain the secret.
func checkLength(i int, secrets []string) error {
	if n := len(secrets[i]); n < minSecret {
		return fmt.Errorf("secret %d of %d has %d characters: use at least %d; a comma separates two secrets, so a secret cannot contain one",
			i+1, len(secrets), n, minSecret)
	}
	return nil
}

// endpoint is one route.
type endpoint struct {
	dialect  dialect
	verifier verifier
	now      func() time.Time
	apply    Apply
	logger   *slog.Logger
}

// ServeHTTP handles one delivery from a provider.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	outcome, err := e.receive(w, r)
	if err != nil {
		e.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, map[string]string{"outcome": outcome})
}

// receive authenticates, decodes and applies a delivery. It returns Apply's outcome.
func (e *endpoint) receive(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := readBody(w, r)
	if err != nil {
		return "", err
	}
	if err := e.verifier.verify(r.Header, body, e.now()); err != nil {
		return "", err
	}
	signal, err := e.dialect.decode(r.Header.Get(signing.HeaderID), body)
	if err != nil {
		return "", err
	}
	outcome, err := e.apply(r.Context(), signal)
	if err != nil {
		return "", fmt.Errorf("%w: applying %q to account %q: %w", ErrUnavailable, signal.Raw, signal.AccountID, err)
	}
	return outcome, nil
}

// refuse writes the response to a delivery that was not recorded.
func (e *endpoint) refuse(w http.ResponseWriter, r *http.Request, err error) {
	no, ours := errors.AsType[refusal](err)
	if !ours || errors.Is(err, ErrUnavailable) {
		e.logger.ErrorContext(r.Context(), "webhook failed", "error", err)
		w.Header().Set("Retry-After", retryAfter)
		no = refusal{http.StatusServiceUnavailable, ErrUnavailable.Error() + " just now: send it again later"}
	} else {
		e.logger.WarnContext(r.Context(), "webhook refused", "status", no.status, "reason", no.reason, "remote", r.RemoteAddr)
	}
	answer(w, no.status, map[string]string{"error": no.reason})
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The only possible error is a sender that closed the connection. It retries.
	_ = json.NewEncoder(w).Encode(body)
}

// refusal is the response to a delivery that an unchanged retry cannot fix. The reason is shown to
// the sender: it says what is wrong and how to fix it, but never reveals the right secret.
type refusal struct {
	status int
	reason string
}

func (r refusal) Error() string { return r.reason }

func malformed(format string, args ...any) error {
	return refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func unauthorized(format string, args ...any) error {
	return refusal{http.StatusUnauthorized, fmt.Sprintf(format, args...)}
}

// checkSignedTime rejects a delivery that was signed too long ago, which may be a replay, or too
// far in the future. Call it after the signature check, so that only a holder of the secret sees
// its errors.
func checkSignedTime(name string, signed, now time.Time) error {
	switch {
	case now.Sub(signed) > maxClockSkew:
		return unauthorized("the time in %s is more than %s in the past: sign each attempt again, and check the sender's clock", name, maxClockSkew)
	case signed.Sub(now) > maxClockSkew:
		return unauthorized("the time in %s is more than %s in the future: check the sender's clock", name, maxClockSkew)
	}
	return nil
}
