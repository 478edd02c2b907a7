package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/thawline/thaw/internal/signing"
)

// A sender sends signed webhooks, as a provider does.
type sender struct {
	url, secret string
	client      *http.Client
}

func newSender() *sender {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &sender{
		secret: "whsec_" + base64.StdEncoding.EncodeToString(key),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
	}
}

// env returns the environment with which a thaw process accepts the sender's webhooks.
func (s *sender) env() []string { return []string{"THAW_STANDARD_SECRET=" + s.secret} }

// send returns when the webhook is accepted.
func (s *sender) send(ctx context.Context, account, status string) error {
	request, err := s.request(ctx, account, status)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"applied"`)) {
		return fmt.Errorf("webhook returned %s: %s", response.Status, answer)
	}
	return nil
}

// wire returns a signed webhook as sent over a connection.
func (s *sender) wire(ctx context.Context, account, status string) ([]byte, error) {
	request, err := s.request(ctx, account, status)
	if err != nil {
		return nil, err
	}
	var wire bytes.Buffer
	err = request.Write(&wire)
	return wire.Bytes(), err
}

// request returns a signed webhook. It must be sent within minutes.
func (s *sender) request(ctx context.Context, account, status string) (*http.Request, error) {
	id, now := "msg_"+rand.Text(), time.Now()
	body, err := json.Marshal(map[string]any{
		"type": "account.status", "timestamp": now.UTC().Format(time.RFC3339Nano),
		"data": map[string]string{"provider": "linkedin", "account": account, "status": status},
	})
	if err != nil {
		return nil, err
	}
	header, err := signing.Sign(s.secret, id, now, body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"webhooks/standard", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	return request, nil
}
