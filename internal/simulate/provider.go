package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"sync"
	"time"
)

// A request is one line of the provider's log.
type request struct {
	At        time.Time
	Account   string
	Member    string
	Kind      string
	Prospect  string
	Campaign  string
	Step      int
	Delivered bool
	Answer    string // the outcome that a correct sender reports
}

// A provider is an HTTP server that answers like one: it delivers, and it fails as a draw from the
// seed and the content of the request says. Its log is what the checker sees.
type provider struct {
	seed   uint64
	url    string
	server *http.Server

	mu      sync.Mutex
	now     time.Time
	members map[string]string // by account
	down    map[string]bool   // accounts that are not connected at the provider
	log     []request
	tries   map[string]int // by content
	invited map[string]bool
}

// action is the body of a request. A real provider gets texts; campaign and step stand for them.
type action struct {
	AccountID string `json:"account_id"`
	Kind      string `json:"kind"`
	Prospect  string `json:"provider_id"`
	Campaign  string `json:"campaign"`
	Step      int    `json:"step"`
}

type answer struct {
	ID    string `json:"id,omitempty"`
	Type  string `json:"type,omitempty"`
	Until string `json:"until,omitempty"`
}

func newProvider(ctx context.Context, seed uint64) (*provider, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the provider: %w", err)
	}
	p := &provider{
		seed: seed, url: "http://" + listener.Addr().String(),
		now: start, members: map[string]string{}, down: map[string]bool{}, tries: map[string]int{}, invited: map[string]bool{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/actions", p.act)
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.server.Serve(listener) }() // ends with close
	return p, nil
}

func (p *provider) close() error { return p.server.Close() }

// set changes the state of the provider between two steps of the simulation.
func (p *provider) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// draw returns a number below 10,000 that depends only on the seed, the content of the request and
// how often it was made.
func (p *provider) draw(a action) uint64 {
	key := fmt.Sprint(a.AccountID, a.Kind, a.Prospect, a.Campaign, a.Step)
	p.tries[key]++
	hash := fnv.New64a()
	fmt.Fprint(hash, p.seed, key, p.tries[key])
	return hash.Sum64() % 10000
}

func (p *provider) act(w http.ResponseWriter, r *http.Request) {
	var a action
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	line := request{At: p.now, Account: a.AccountID, Member: p.members[a.AccountID], Kind: a.Kind, Prospect: a.Prospect, Campaign: a.Campaign, Step: a.Step}
	status, body := http.StatusCreated, answer{}
	reset := false
	pair := line.Member + " " + a.Prospect
	switch draw := p.draw(a); {
	case p.down[a.AccountID]:
		line.Answer, status, body.Type = "account_lost", http.StatusUnauthorized, "disconnected_account"
	case a.Kind == "invite" && p.invited[pair]:
		line.Answer, status, body.Type = "already", http.StatusUnprocessableEntity, "already_invited_recently"
	case draw < 30: // the request was carried out, and the answer is lost
		line.Answer, line.Delivered, reset = "unknown", true, true
	case draw < 50: // neither
		line.Answer, status, body.Type = "unknown", http.StatusInternalServerError, "provider_error"
	case draw < 120:
		line.Answer, status, body.Type = "refused", http.StatusUnprocessableEntity, "invalid_recipient"
	case draw < 135:
		line.Answer, status, body.Type = "limited", http.StatusUnprocessableEntity, "limit_exceeded"
	case draw < 185:
		line.Answer, status, body.Type = "throttled", http.StatusTooManyRequests, "too_many_requests"
	default:
		line.Answer, line.Delivered = "sent", true
	}
	if line.Delivered {
		body.ID = fmt.Sprintf("%s_%d", a.Kind, len(p.log))
		if a.Kind == "invite" {
			p.invited[pair] = true
		}
	}
	p.log = append(p.log, line)
	if reset {
		if connection, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = connection.Close()
		}
		return
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
