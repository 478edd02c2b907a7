package providersim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxBody is the largest request, and maxText the longest ID in it.
	maxBody = 1 << 20
	maxText = 512
	// maxEntries is how many requests are logged. More are refused: a log with gaps proves nothing.
	maxEntries = 2_000_000
	// maxRequested is how many faults may be requested and not yet used.
	maxRequested = 10_000
	// resendAfter is how long after a withdrawal a new invite of the person is refused.
	resendAfter = 21 * 24 * time.Hour
	// webhookTries and webhookWithin are how often, and for how long at a time, a status is sent.
	webhookTries  = 6
	webhookWithin = 30 * time.Second
)

// Config of a [Server].
type Config struct {
	// Seed decides which requests fail.
	Seed uint64
	// Rates are the shares of requests that fail. Default: none.
	Rates Rates
	// Latency is how long each answer takes at most; each takes a random part of it. Default: none.
	Latency time.Duration
	// StatusURL receives the webhook of a change of an account's status, in the format of Unipile
	// v1. Default: none is sent.
	StatusURL string
	// StatusSecret is sent in the header Unipile-Auth.
	StatusSecret string
	// PersonOf returns the person behind an account: a second invite from any account of the person
	// is refused. Default: each account is a person of its own.
	PersonOf func(account string) string
	// ProspectOf returns the prospect behind a recipient, of which there may be several spellings.
	// Default: each recipient is a prospect of its own.
	ProspectOf func(to string) string
	// Now is the clock of the log. Default: [time.Now].
	Now func() time.Time
	// Logger is required.
	Logger *slog.Logger
}

// A Server is a provider. It is an [http.Handler].
type Server struct {
	config Config
	mux    *http.ServeMux
	client *http.Client
	// sending ends the webhooks and slow answers that are under way.
	sending context.Context //nolint:containedctx // Of webhooks, which outlive requests.
	stop    context.CancelFunc
	hooks   sync.WaitGroup

	mu        sync.Mutex
	log       []Entry
	attempts  map[request]int
	delivered map[request]string // the ID of the delivery, by person instead of account, and prospect
	withdrawn map[request]time.Time
	statuses  map[string]string // of accounts; OK if missing
	requested []*Requested
}

// A request is what a sender asks for.
type request struct{ account, kind, to string }

// Requested are faults of the next matching requests.
type Requested struct {
	Fault   string `json:"fault"`
	Account string `json:"account_id"` // empty: of any account
	Kind    string `json:"kind"`       // empty: of any kind
	Count   int    `json:"count"`      // default 1
	// Seconds is how long the answer takes. Only of slow: default 90, at most 300.
	Seconds float64 `json:"seconds"`
}

// New returns a server without requests.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.PersonOf == nil {
		c.PersonOf = func(account string) string { return account }
	}
	if c.ProspectOf == nil {
		c.ProspectOf = func(to string) string { return to }
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		config: c, mux: http.NewServeMux(), client: &http.Client{Timeout: webhookWithin}, sending: ctx, stop: stop,
		attempts: map[request]int{}, delivered: map[request]string{}, withdrawn: map[request]time.Time{}, statuses: map[string]string{},
	}
	s.mux.HandleFunc("POST /api/v1/users/invite", func(w http.ResponseWriter, r *http.Request) { s.act(w, r, "invite", "provider_id") })
	s.mux.HandleFunc("POST /api/v1/chats", func(w http.ResponseWriter, r *http.Request) { s.act(w, r, "message", "attendees_ids") })
	s.mux.HandleFunc("POST /api/v1/emails", func(w http.ResponseWriter, r *http.Request) { s.act(w, r, "email", "to") })
	s.mux.HandleFunc("GET /api/v1/users/{id}", func(w http.ResponseWriter, r *http.Request) { s.act(w, r, "view", "") })
	s.mux.HandleFunc("GET /api/v1/users/invite/sent", s.serveSent)
	s.mux.HandleFunc("DELETE /api/v1/users/invite/sent/{id}", s.serveWithdrawal)
	s.mux.HandleFunc("GET /log", s.serveLog)
	s.mux.HandleFunc("POST /faults", s.serveFaults)
	s.mux.HandleFunc("POST /accounts/{id}", s.serveStatus)
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.mux.ServeHTTP(w, r)
}

// Close stops the webhooks that are under way, and ends the wait of slow answers.
func (s *Server) Close() {
	s.stop()
	s.hooks.Wait()
}

// Fault makes the next matching requests fail.
func (s *Server) Fault(f Requested) error {
	if _, known := faults[f.Fault]; !known {
		return fmt.Errorf("the fault %q is unknown: use one of %s", f.Fault, strings.Join(FaultNames(), ", "))
	}
	if f.Seconds != 0 && !faults[f.Fault].delays {
		return fmt.Errorf("the fault %q has no seconds: use slow", f.Fault)
	}
	if f.Seconds == 0 {
		f.Seconds = slowTime.Seconds()
	}
	if !(f.Seconds > 0 && f.Seconds <= maxSlowTime.Seconds()) {
		return fmt.Errorf("an answer takes %g seconds: use more than 0 and at most %g", f.Seconds, maxSlowTime.Seconds())
	}
	if f.Count == 0 {
		f.Count = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Count < 0 || len(s.requested) >= maxRequested {
		return fmt.Errorf("%d faults are requested, and this one %d times: use at most %d, each at least once", len(s.requested), f.Count, maxRequested)
	}
	s.requested = append(s.requested, &f)
	return nil
}

// SetStatus changes the status of an account and sends its webhook.
func (s *Server) SetStatus(account, status string) error {
	if status != StatusOK && status != StatusCredentials && status != StatusRestricted {
		return fmt.Errorf("the status %q is unknown: use OK, CREDENTIALS or RESTRICTED", status)
	}
	s.mu.Lock()
	s.statuses[account] = status
	s.mu.Unlock()
	s.report(account, status)
	return nil
}

// act serves a request of a sender.
func (s *Server) act(w http.ResponseWriter, r *http.Request, kind, recipient string) {
	fields, err := fieldsOf(r)
	if err != nil {
		problem(w, http.StatusBadRequest, "invalid_parameters", err.Error())
		return
	}
	asked := request{fields["account_id"], kind, r.PathValue("id")}
	if recipient != "" {
		asked.to = fields[recipient]
	}
	if kind == "message" && fields["inmail"] == "true" {
		asked.kind = "inmail"
	}
	if asked.account == "" || asked.to == "" || len(asked.account) > maxText || len(asked.to) > maxText {
		problem(w, http.StatusBadRequest, "invalid_parameters", "account_id or the recipient is missing, or longer than "+strconv.Itoa(maxText))
		return
	}
	entry, becomes, took, ok := s.decide(asked)
	if !ok {
		problem(w, http.StatusServiceUnavailable, "log_is_full", fmt.Sprintf("this simulator has logged %d requests: start a new one", maxEntries))
		return
	}
	if becomes != "" {
		s.report(asked.account, becomes)
	}
	if took > 0 {
		// The server's limit for reading a request would end the wait.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		select {
		case <-r.Context().Done():
		case <-s.sending.Done():
		case <-time.After(took):
		}
	}
	answer(w, entry)
}

// decide logs a request and says how to answer it. The log has it before the answer is sent.
func (s *Server) decide(asked request) (entry Entry, becomes string, took time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) >= maxEntries {
		return entry, "", 0, false
	}
	s.attempts[asked]++
	status := StatusOK
	if known, found := s.statuses[asked.account]; found {
		status = known
	}
	entry = Entry{
		N: len(s.log) + 1, At: s.config.Now().UTC(), Account: asked.account, Kind: asked.kind, To: asked.to,
		Attempt: s.attempts[asked], AccountStatus: status, Status: http.StatusCreated,
	}
	pair := s.pairOf(asked)
	source := chance(s.config.Seed, asked.account, asked.kind, asked.to, strconv.Itoa(entry.Attempt))
	drawn, delivers := s.config.Rates.draw(source, asked.kind), source.Float64()
	took = time.Duration(source.Float64() * float64(s.config.Latency))
	slow := slowTime
	if f, found := s.takeRequested(asked); found {
		drawn, slow = f.Fault, time.Duration(f.Seconds*float64(time.Second))
	}
	if faults[drawn].delays {
		entry.Fault, took, drawn = drawn, slow, ""
	}
	switch {
	case status == StatusCredentials:
		entry.Status, entry.Code = http.StatusUnauthorized, "disconnected_account"
	case status == StatusRestricted:
		entry.Status, entry.Code = http.StatusForbidden, "account_restricted"
	case drawn != "":
		f := faults[drawn]
		entry.Fault, entry.Status, entry.Code = drawn, f.status, f.code
		entry.Delivered = delivers < f.delivers
		if becomes = f.becomes; becomes != "" {
			s.statuses[asked.account] = becomes
		}
	case asked.kind == "invite" && s.delivered[pair] != "":
		entry.Status, entry.Code = http.StatusUnprocessableEntity, "already_invited_recently"
	case asked.kind == "invite" && entry.At.Sub(s.withdrawn[pair]) < resendAfter:
		entry.Status, entry.Code = http.StatusUnprocessableEntity, "cannot_resend_yet"
	default:
		entry.Delivered = true
	}
	if entry.Delivered {
		entry.ID = fmt.Sprintf("%s_%016x", asked.kind, source.Uint64())
		s.delivered[pair] = entry.ID
	}
	s.log = append(s.log, entry)
	return entry, becomes, took, true
}

// pairOf returns what is delivered once.
func (s *Server) pairOf(asked request) request {
	return request{s.config.PersonOf(asked.account), asked.kind, s.config.ProspectOf(asked.to)}
}

// Withdraw withdraws an invite. It reports whether there is an open one with this ID.
func (s *Server) Withdraw(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.log {
		e := &s.log[i]
		if e.ID == id && e.Kind == "invite" && e.WithdrawnAt == nil {
			now := s.config.Now().UTC()
			e.WithdrawnAt = &now
			pair := s.pairOf(request{e.Account, e.Kind, e.To})
			delete(s.delivered, pair)
			s.withdrawn[pair] = now
			return true
		}
	}
	return false
}

func (s *Server) serveWithdrawal(w http.ResponseWriter, r *http.Request) {
	if !s.Withdraw(r.PathValue("id")) {
		problem(w, http.StatusNotFound, "resource_not_found", "there is no open invite with this ID")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"object": "UserInvitationCanceled"})
}

// takeRequested returns the first requested fault that matches. The caller has locked s.mu.
func (s *Server) takeRequested(asked request) (taken Requested, found bool) {
	for i, f := range s.requested {
		if (f.Account == "" || f.Account == asked.account) && (f.Kind == "" || f.Kind == asked.kind) {
			if f.Count--; f.Count == 0 {
				s.requested = slices.Delete(s.requested, i, i+1)
			}
			return *f, true
		}
	}
	return Requested{}, false
}

// answer writes what the sender gets for a logged request.
func answer(w http.ResponseWriter, e Entry) {
	f := faults[e.Fault]
	switch {
	case f.resets:
		panic(http.ErrAbortHandler) // net/http closes the connection without an answer
	case f.hides:
		writeJSON(w, http.StatusOK, map[string]string{"object": "Accepted"})
	case e.Code != "":
		if e.Code == "too_many_requests" {
			w.Header().Set("Retry-After", "60")
		}
		problem(w, e.Status, e.Code, "the simulator was asked for this answer, or the account is "+e.AccountStatus)
	case e.Kind == "invite":
		writeJSON(w, e.Status, map[string]string{"object": "UserInvitationSent", "invitation_id": e.ID})
	case e.Kind == "message" || e.Kind == "inmail":
		writeJSON(w, e.Status, map[string]string{"object": "ChatStarted", "chat_id": "chat_" + e.ID, "message_id": e.ID})
	case e.Kind == "email":
		writeJSON(w, e.Status, map[string]string{"object": "EmailSent", "tracking_id": e.ID, "provider_id": e.ID})
	default:
		writeJSON(w, http.StatusOK, map[string]string{"object": "UserProfile", "provider_id": e.To})
	}
}

// serveSent lists the invites of an account that were delivered, to settle unknown ones.
func (s *Server) serveSent(w http.ResponseWriter, r *http.Request) {
	type invite struct {
		ID string `json:"id"`
		To string `json:"invited_user_id"`
	}
	items := []invite{}
	for _, e := range s.Log(0) {
		if e.Account == r.URL.Query().Get("account_id") && e.Kind == "invite" && e.Delivered && e.WithdrawnAt == nil {
			items = append(items, invite{e.ID, e.To})
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "InvitationList", "items": items})
}

func (s *Server) serveFaults(w http.ResponseWriter, r *http.Request) {
	var f Requested
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		problem(w, http.StatusBadRequest, "invalid_parameters", "the body is not JSON like {\"fault\": \"reset\", \"count\": 3}: "+err.Error())
		return
	}
	if err := s.Fault(f); err != nil {
		problem(w, http.StatusBadRequest, "invalid_parameters", err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	var change struct {
		Status string `json:"status"`
	}
	err := json.NewDecoder(r.Body).Decode(&change)
	if err == nil {
		err = s.SetStatus(r.PathValue("id"), change.Status)
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "invalid_parameters", err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// report sends the status of an account in the background.
func (s *Server) report(account, status string) {
	if s.config.StatusURL == "" {
		return
	}
	s.hooks.Go(func() {
		body, _ := json.Marshal(map[string]any{"AccountStatus": map[string]string{
			"account_id": account, "account_type": "LINKEDIN", "message": status,
		}})
		delay := 100 * time.Millisecond
		for range webhookTries {
			err := s.post(body)
			if err == nil || s.sending.Err() != nil {
				return
			}
			s.config.Logger.Warn("the webhook of an account's status failed; retrying", "account", account, "status", status, "error", err)
			select {
			case <-s.sending.Done():
				return
			case <-time.After(delay):
			}
			delay *= 4
		}
	})
}

func (s *Server) post(body []byte) error {
	r, err := http.NewRequestWithContext(s.sending, http.MethodPost, s.config.StatusURL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Unipile-Auth", s.config.StatusSecret)
	response, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the receiver answered %s", response.Status)
	}
	return nil
}

// fieldsOf reads a request with a JSON body, a multipart form, or a query.
func fieldsOf(r *http.Request) (map[string]string, error) {
	fields := map[string]string{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return nil, fmt.Errorf("the body is not a JSON object: %w", err)
		}
		for name, value := range body {
			switch value := value.(type) {
			case []any:
				if len(value) > 0 {
					fields[name] = fmt.Sprint(value[0])
				}
			default:
				fields[name] = fmt.Sprint(value)
			}
		}
		return fields, nil
	}
	for name := range r.URL.Query() {
		fields[name] = r.URL.Query().Get(name)
	}
	if r.Method == http.MethodGet {
		return fields, nil
	}
	// ServeHTTP limits the body.
	if err := r.ParseMultipartForm(maxBody); err != nil { //nolint:gosec
		return nil, fmt.Errorf("the body is neither JSON nor a multipart form: %w", err)
	}
	for name, values := range r.MultipartForm.Value {
		fields[name] = values[0]
	}
	return fields, nil
}

// problem answers with an error in the provider's format.
func problem(w http.ResponseWriter, status int, code, detail string) {
	writeJSON(w, status, map[string]any{"status": status, "type": "errors/" + code, "title": http.StatusText(status), "detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
