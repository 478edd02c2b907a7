package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/signing"
)

const standardSecret = "whsec_Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3MtMDAx"

// web is the HTTP client of all external callers.
var web = &http.Client{
	Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 10 * time.Second},
	Timeout:   20 * time.Second,
}

// A delivery describes how the provider sends a signal. The zero value: once, with a new ID and the
// current time.
type delivery struct {
	id     string    // webhook-id
	at     time.Time // time of the status, by the database's clock
	member string
	// patience is how long the provider repeats the delivery, with the same ID, until it gets a
	// 2xx.
	patience time.Duration
	// to returns the target of the next attempt, like a load balancer. If nil, all attempts go to
	// the same process.
	to func() *process
}

// signal sends a signed status to /webhooks/standard. It returns the last status code, or 0 if
// there was no response. It is safe for concurrent use.
func (s *scenario) signal(p *process, account, status string, d delivery) (code int) {
	s.Helper()
	code, _ = s.deliver(p, account, status, d)
	return code
}

// deliver is signal that also returns the body of the last response.
func (s *scenario) deliver(p *process, account, status string, d delivery) (code int, answer string) {
	s.Helper()
	if d.id == "" {
		d.id = fmt.Sprintf("evt_%016x", s.rand.Uint64())
	}
	if d.at.IsZero() {
		d.at = s.now()
	}
	data := map[string]string{"provider": "linkedin", "account": account, "status": status}
	if d.member != "" {
		data["member_id"] = d.member
	}
	body, err := json.Marshal(map[string]any{"type": "account.status", "timestamp": d.at.UTC().Format(time.RFC3339Nano), "data": data})
	require.NoError(s, err)
	for deadline := time.Now().Add(d.patience); ; {
		code, answer = s.post(p, d.id, body)
		if code/100 == 2 || time.Now().After(deadline) {
			return code, answer
		}
		select {
		case <-s.Context().Done():
			return code, answer
		case <-time.After(50 * time.Millisecond):
		}
		if d.to != nil {
			p = d.to()
		}
	}
}

// post makes one attempt. Code 0 means no response.
func (s *scenario) post(p *process, id string, body []byte) (code int, answer string) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodPost, p.base+"/webhooks/standard", bytes.NewReader(body))
	require.NoError(s, err)
	request.Header, err = signing.Sign(standardSecret, id, time.Now(), body)
	require.NoError(s, err)
	response, err := web.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error() // interrupted: it is unknown whether it was accepted
	}
	return response.StatusCode, string(text)
}
