package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/signing"
)

// post sends a message about an account to our own webhook in the format of Unipile v1, with the
// secret in a header.
// https://developer.unipile.com/docs/account-lifecycle
func (s *story) post(ctx context.Context, account, message string) error {
	type accountStatus struct {
		AccountID   string `json:"account_id"`
		AccountType string `json:"account_type"`
		Message     string `json:"message"`
	}
	body, err := json.Marshal(map[string]accountStatus{"AccountStatus": {account, "LINKEDIN", message}})
	if err != nil {
		return err
	}
	return s.deliver(ctx, "/webhooks/unipile/v1", body, message, account)
}

// deliver posts a body about an account to one of our own webhooks. The first body of each route is
// printed.
func (s *story) deliver(ctx context.Context, path string, body []byte, message, account string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if path == "/webhooks/standard" {
		signed, err := signing.Sign(s.standardSecret, "msg_"+rand.Text(), time.Now(), body)
		if err != nil {
			return err
		}
		request.Header = signed
	} else {
		request.Header.Set("Unipile-Auth", s.secret)
	}
	answer, err := s.request(request)
	if err != nil {
		return err
	}
	var received struct {
		Outcome string `json:"outcome"`
	}
	if err := json.Unmarshal(answer, &received); err != nil || received.Outcome != "applied" {
		return fmt.Errorf("posting %s: expected outcome applied, got %s", body, answer)
	}
	if !slices.Contains(s.posted, path) {
		s.posted = append(s.posted, path)
		s.say("%s", body)
	}
	s.say("POST %s  %-16s  %s  -> 200 %s", path, message, account, received.Outcome)
	return nil
}

// get requests one of our own pages.
func (s *story) get(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return err
	}
	if _, err = s.request(request); err == nil {
		s.say("GET %-8s -> 200", path)
	}
	return err
}

// request returns the body of a response, whose status must be 200.
func (s *story) request(request *http.Request) ([]byte, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the response of %s: %w", request.URL, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: expected 200, got %s: %s", request.Method, request.URL, response.Status, answer)
	}
	return answer, nil
}
