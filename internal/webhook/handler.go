package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// ErrUnavailable marks every error of Apply. It is answered 503 with Retry-After, so that the provider
// sends the delivery again.
var ErrUnavailable = errors.New("the delivery could not be recorded")

const (
	// maxSecrets are the present secret and the one before or after it.
	maxSecrets = 2

	// minSecret is the shortest secret that is taken, in bytes: 16 random hex digits have 64 bits. It also finds a secret that
	// was split in two at a comma of its own.
	minSecret = 16

	// grace period is how far the signed time of a delivery may be from our clock, in either direction.
	maxSkew = 5 * time.Minute

	// retryAfter is what a 503 asks the provider to wait, in seconds.
	retryAfter = "30"
)

// Config says which routes exist and where their signals go.
type Config struct {
	// UnipileV1Secrets are the values that the registered header may have. At most two, of 16 or more visible ASCII characters.
	// None: there is no /webhooks/unipile/v1.
	UnipileV1Secrets []string

	// UnipileV2Secrets are the keys of the unipile-signature header. At most two, of 16 or more bytes.
	// None: there is no /webhooks/unipile/v2.
	UnipileV2Secrets []string

	// UnipileTestEvents says that Unipile v2 events of a test application (application_production is
	// false) count. Default false: they are recorded and change nothing.
	UnipileTestEvents bool

	// StandardSecrets are Standard Webhooks secrets: "whsec_" and base64 of 24 to 64 bytes. At most two.
	// None: there is no /webhooks/standard.
	StandardSecrets []string

	// UnipileV1Header is the name of the header that carries the v1 secret. Default "Unipile-Auth".
	UnipileV1Header string

	// Now is the clock that signed times are compared with. Default time.Now.
	Now func() time.Time

	// Apply takes each signal. Required.
	Apply Apply

	// Logger gets a warning for each delivery that is refused and an error for each that Apply fails
	// on; neither has secrets or bodies in it. Default: nothing is logged.
	Logger *slog.Logger
}

// dialect is how one kind of sender authenticates a delivery and words it.
type dialect interface {
	verify(header http.Header, body []byte, now time.Time) error
	decode(header http.Header, body []byte) (Signal, error)
}

// Register adds a route to mux for each dialect that has a secret. On an error, which names a secret by
// its place and never prints it, nothing is added.
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
	routes := []struct {
		name, pattern string
		secrets       []string
		open          func() (dialect, error)
	}{
		{"unipile v1", "POST /webhooks/unipile/v1", c.UnipileV1Secrets, func() (dialect, error) {
			return newUnipileV1(c.UnipileV1Header, c.UnipileV1Secrets)
		}},
		{"unipile v2", "POST /webhooks/unipile/v2", c.UnipileV2Secrets, func() (dialect, error) {
			return newUnipileV2(c.UnipileV2Secrets, c.UnipileTestEvents)
		}},
		{"standard", "POST /webhooks/standard", c.StandardSecrets, func() (dialect, error) {
			return newStandard(c.StandardSecrets)
		}},
	}
	endpoints := make(map[string]*endpoint, len(routes))
	for _, r := range routes {
		if len(r.secrets) == 0 {
			continue
		}
		if len(r.secrets) > maxSecrets {
			return fmt.Errorf("registering webhooks: %s has %d secrets: configure at most %d, the present one and the one it replaces",
				r.name, len(r.secrets), maxSecrets)
		}
		d, err := r.open()
		if err != nil {
			return fmt.Errorf("registering webhooks: %s %w", r.name, err)
		}
		endpoints[r.pattern] = &endpoint{dialect: d, now: c.Now, apply: c.Apply, logger: c.Logger.With("webhook", r.name)}
	}
	for pattern, e := range endpoints {
		mux.Handle(pattern, e)
	}
	return nil
}

// checkLength refuses a secret that is too short to be one, without quoting it.
func checkLength(i int, secrets []string) error {
	if n := len(secrets[i]); n < minSecret {
		return fmt.Errorf("secret %d of %d has %d characters: use at least %d; a comma separates two secrets, so a secret cannot contain one",
			i+1, len(secrets), n, minSecret)
	}
	return nil
}

// endpoint is one route.
type endpoint struct {
	dialect dialect
	now     func() time.Time
	apply   Apply
	logger  *slog.Logger
}

// ServeHTTP takes one delivery from a provider.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	outcome, err := e.receive(w, r)
	if err != nil {
		e.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, map[string]string{"outcome": outcome})
}

// receive takes a delivery through all its stages and returns Apply's outcome.
func (e *endpoint) receive(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := readBody(w, r)
	if err != nil {
		return "", err
	}
	if err := e.dialect.verify(r.Header, body, e.now()); err != nil {
		return "", err
	}
	signal, err := e.dialect.decode(r.Header, body)
	if err != nil {
		return "", err
	}
	outcome, err := e.apply(r.Context(), signal)
	if err != nil {
		return "", fmt.Errorf("%w: applying %q to account %q: %w", ErrUnavailable, signal.Raw, signal.AccountID, err)
	}
	return outcome, nil
}

// refuse answers a delivery that was not recorded.
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
	// The only error left is a sender that has gone; it sends again.
	_ = json.NewEncoder(w).Encode(body)
}

// refusal is an answer to a delivery that sending again unchanged cannot fix. The reason is shown to
// the sender: it says what was wrong and how to fix it, without saying what would have been right
// about a secret.
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

// checkSignedTime refuses a delivery that was signed too long ago, which may be a replay, or too far in
// the future. It comes after the check of the signature, so that only a holder of the secret learns of it.
func checkSignedTime(name string, signed, now time.Time) error {
	switch {
	case now.Sub(signed) > maxSkew:
		return unauthorized("the time in %s is more than %s in the past: sign each attempt anew and check the sender's clock", name, maxSkew)
	case signed.Sub(now) > maxSkew:
		return unauthorized("the time in %s is more than %s in the future: check the sender's clock", name, maxSkew)
	}
	return nil
}
