package chaos_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

const platformSecret = "whsec_cGxhdGZvcm0tcGxhdGZvcm0tcGxhdGZvcm0tMDAx"

// A platform is an unreliable webhook receiver: it returns 500, responds slowly, or cuts the
// connection before or after it has stored a message. It verifies every message with the library of
// the specification.
type platform struct {
	s   *scenario
	url string

	mu sync.Mutex
	// tries, taken and answered count by message ID: requests, stored messages, and stored messages
	// answered with 2xx.
	tries, taken, answered map[string]int
	types                  map[string]string
	// forged counts requests without a valid signature.
	forged int
}

// platform starts a receiver on loopback until the test ends.
func (s *scenario) platform() *platform {
	s.Helper()
	verifier, err := standardwebhooks.NewWebhook(platformSecret)
	require.NoError(s, err)
	p := &platform{s: s, tries: map[string]int{}, taken: map[string]int{}, answered: map[string]int{}, types: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was killed
		}
		var message struct{ Type string }
		if err = verifier.Verify(body, r.Header); err == nil {
			err = json.Unmarshal(body, &message)
		}
		if err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.forged++
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.answer(w, r.Header.Get("webhook-id"), message.Type)
	}))
	s.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// options are the flags with which a process delivers to the platform.
func (p *platform) options() []string {
	return []string{"--webhook-url=" + p.url, "--webhook-secret=" + platformSecret, "--webhook-allow-private"}
}

// answer fails the first three requests of a message at random and accepts later ones. Thaw gives
// up after ten attempts.
func (p *platform) answer(w http.ResponseWriter, id, kind string) {
	dice := p.s.rand.IntN(16)
	p.mu.Lock()
	p.tries[id]++
	if p.tries[id] > 3 {
		dice = -1
	}
	p.mu.Unlock()
	switch dice {
	case 0, 1:
		p.s.fault("messages answered 500")
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	case 2:
		p.s.fault("messages cut off before they were stored")
		panic(http.ErrAbortHandler)
	case 3:
		p.s.fault("messages cut off after they were stored")
		p.take(id, kind, false)
		panic(http.ErrAbortHandler)
	case 4:
		p.s.fault("messages accepted slowly")
		p.s.pause(time.Duration(100+p.s.rand.IntN(900)) * time.Millisecond)
	}
	p.take(id, kind, true)
	w.WriteHeader(http.StatusNoContent)
}

func (p *platform) take(id, kind string, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[id]++
	p.types[id] = kind
	if answered {
		p.answered[id]++
	}
}
