package providersim

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// An Entry is one request of a sender.
type Entry struct {
	N       int       `json:"n"` // from 1, in the order of arrival
	At      time.Time `json:"at"`
	Account string    `json:"account_id"`
	Kind    string    `json:"kind"` // invite, message, inmail, email or view
	To      string    `json:"to"`
	// Attempt counts the requests of this account, kind and recipient, from 1.
	Attempt int    `json:"attempt"`
	Fault   string `json:"fault,omitempty"`
	Status  int    `json:"status"` // 0: the connection was closed without an answer
	Code    string `json:"code,omitempty"`
	// Delivered is whether the request had its effect, whatever the answer was.
	Delivered bool   `json:"delivered"`
	ID        string `json:"id,omitempty"`
	// WithdrawnAt is when the invite was withdrawn.
	WithdrawnAt *time.Time `json:"withdrawn_at,omitempty"`
	// AccountStatus is that of the account when the request arrived.
	AccountStatus string `json:"account_status"`
}

// Log returns the requests so far, after the one with this number.
func (s *Server) Log(after int) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	after = min(max(after, 0), len(s.log))
	return append([]Entry(nil), s.log[after:]...)
}

func (s *Server) serveLog(w http.ResponseWriter, r *http.Request) {
	after := 0
	if text := r.URL.Query().Get("after"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			problem(w, http.StatusBadRequest, "invalid_parameters", "after is not the number of a request")
			return
		}
		after = n
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	to := json.NewEncoder(w)
	for _, entry := range s.Log(after) {
		if to.Encode(entry) != nil {
			return
		}
	}
}
