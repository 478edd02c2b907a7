package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/providersim"
)

// Requests are the provider simulator, which fails a request only if it is asked to. Its log says
// what was requested and delivered. On demand it has done what is requested, and does not answer.
type requests struct {
	s   *scenario
	sim *providersim.Server
	url string

	mu   sync.Mutex
	next *held // the next request is this one
}

// A held request was carried out and is not answered.
type held struct {
	arrived  chan struct{} // closed when it is there; then the fields below are set
	released chan struct{}

	account, to string
}

func (s *scenario) requests() *requests {
	s.Helper()
	r := &requests{s: s, sim: providersim.New(providersim.Config{Now: s.now, Logger: slog.New(slog.DiscardHandler)})}
	s.Cleanup(r.sim.Close)
	r.url = s.listen(r)
	return r
}

// hold withholds the answer to the next request.
func (r *requests) hold() *held {
	h := &held{arrived: make(chan struct{}), released: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = h
	return h
}

func (r *requests) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the sender was killed
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	r.sim.ServeHTTP(answer, request)

	r.mu.Lock()
	h := r.next
	r.next = nil
	r.mu.Unlock()
	if h != nil {
		var asked struct {
			Account   string   `json:"account_id"`
			Invited   string   `json:"provider_id"`
			Attendees []string `json:"attendees_ids"`
		}
		_ = json.Unmarshal(body, &asked)
		h.account, h.to = asked.Account, asked.Invited
		if len(asked.Attendees) > 0 {
			h.to = asked.Attendees[0]
		}
		close(h.arrived)
		select {
		case <-h.released:
		case <-request.Context().Done():
			return
		}
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// delivered returns the ID of the delivery of an action, or "" if it was not requested.
func (r *requests) delivered(account, kind, to string) (id string) {
	for _, e := range r.sim.Log(0) {
		if e.Account == account && e.Kind == kind && e.To == to {
			id = e.ID
		}
	}
	return id
}

// A limit is what a sender may be asked to do at most.
type limit struct{ perDay, perWeek int }

// wrong says what the log proves against the product: an action that was requested twice, and
// accounts that exceeded their limit for a kind.
func (r *requests) wrong(zone *time.Location, limits map[string]limit) (wrong []string) {
	for _, e := range r.sim.Log(0) {
		if e.Attempt > 1 {
			wrong = append(wrong, fmt.Sprintf("%s to %s through %s was requested %d times", e.Kind, e.To, e.Account, e.Attempt))
		}
		if !e.Delivered {
			wrong = append(wrong, fmt.Sprintf("%s to %s through %s failed: %s", e.Kind, e.To, e.Account, e.Code))
		}
	}
	return append(wrong, r.exceeded(zone, limits)...)
}

// exceeded returns the accounts with more deliveries of a kind than their limit.
func (r *requests) exceeded(zone *time.Location, limits map[string]limit) (wrong []string) {
	times := map[[2]string][]time.Time{}
	for _, e := range r.sim.Log(0) {
		if _, limited := limits[e.Account]; limited && e.Delivered {
			times[[2]string{e.Account, e.Kind}] = append(times[[2]string{e.Account, e.Kind}], e.At)
		}
	}
	for of, at := range times {
		slices.SortFunc(at, time.Time.Compare)
		days := map[string]int{}
		for i, t := range at {
			day := t.In(zone).Format(time.DateOnly)
			days[day]++
			inWeek := 0
			for _, later := range at[i:] {
				if later.Sub(t) < 7*24*time.Hour {
					inWeek++
				}
			}
			if days[day] > limits[of[0]].perDay || inWeek > limits[of[0]].perWeek {
				wrong = append(wrong, fmt.Sprintf("%s: %d of kind %s on %s, and %d in the 168 h from then", of[0], days[day], of[1], day, inWeek))
			}
		}
	}
	return wrong
}

// listen serves HTTP on loopback until the test ends.
func (s *scenario) listen(handler http.Handler) (url string) {
	s.Helper()
	server := httptest.NewServer(handler)
	s.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	require.NotEmpty(s, server.URL)
	return server.URL
}
