package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/webhook"
)

func TestUnipileV1Meanings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		message, status string
		fresh           bool
	}{
		{"OK", "connected", false},
		{"RECONNECTED", "reconnected", false},
		{"SYNC_SUCCESS", "connected", false},
		{"CREATION_SUCCESS", "connecting", true},
		{"CONNECTING", "connecting", false},
		{"ERROR", "error", false},
		{"STOPPED", "error", false},
		{"CREDENTIALS", "disconnected", false},
		{"PERMISSIONS", "needs_verification", false},
		{"DELETED", "removed", false},
		// The provider may have such a word in thaw.provider_words.
		{"ok", "ok", false},
		{"HIBERNATING", "HIBERNATING", false},
	}
	for _, test := range tests {
		t.Run(test.message, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			body := fmt.Sprintf(`{"AccountStatus":{"account_id":"a","account_type":"WHATSAPP","message":%q}}`, test.message)

			require.Equal(t, http.StatusOK, s.post(t, v1Path, headers("Unipile-Auth", v1Secret), body).status)

			require.Equal(t, []webhook.Signal{{
				Source: "unipile_v1", Provider: "whatsapp", AccountID: "a",
				Raw: test.message, Status: test.status, Fresh: test.fresh, Body: []byte(body),
			}}, s.received())
		})
	}
}

func TestUnipileV1Secret(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		header http.Header
		status int
		says   string
	}{
		{"good", headers("Unipile-Auth", v1Secret), http.StatusOK, ""},
		{"rotated", headers("Unipile-Auth", v1Rotated), http.StatusOK, ""},
		{"lower-case name", headers("unipile-auth", v1Secret), http.StatusOK, ""},
		{"JSON content type", headers("Unipile-Auth", v1Secret, "Content-Type", "application/json"), http.StatusOK, ""},
		{"any content type", headers("Unipile-Auth", v1Secret, "Content-Type", "text/plain; charset=latin1"), http.StatusOK, ""},
		{"absent", headers(), http.StatusUnauthorized, "Unipile-Auth is missing"},
		{"empty", headers("Unipile-Auth", ""), http.StatusUnauthorized, "Unipile-Auth is missing"},
		{"wrong", headers("Unipile-Auth", "guess"), http.StatusUnauthorized, "secret in Unipile-Auth is wrong"},
		{"prefix of the secret", headers("Unipile-Auth", v1Secret[:10]), http.StatusUnauthorized, "wrong"},
		{"longer than the secret", headers("Unipile-Auth", v1Secret+"1"), http.StatusUnauthorized, "wrong"},
		{"secret of another route", headers("Unipile-Auth", v2Secret), http.StatusUnauthorized, "wrong"},
		{"in another header", headers("Authorization", v1Secret), http.StatusUnauthorized, "missing"},
	}
	s := setup(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer := s.post(t, v1Path, test.header, v1Body)

			require.Equal(t, test.status, answer.status, answer.body)
			require.NotContains(t, answer.body, v1Secret)
			if test.says != "" {
				require.Contains(t, answer.error(t), test.says)
			}
		})
	}
}

func TestUnipileV1CustomHeader(t *testing.T) {
	t.Parallel()
	s := &testServer{}
	mux := http.NewServeMux()
	require.NoError(t, webhook.Register(mux, webhook.Config{
		Dialects: webhook.Dialects{UnipileV1: webhook.UnipileV1{Secrets: []string{v1Secret}, Header: "X-Thaw-Secret"}},
		Apply:    s.apply,
	}))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)

	require.Equal(t, http.StatusOK, s.post(t, v1Path, headers("X-Thaw-Secret", v1Secret), v1Body).status)
	require.Equal(t, http.StatusUnauthorized, s.post(t, v1Path, headers("Unipile-Auth", v1Secret), v1Body).status)
}

func TestUnipileV1Malformed(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, says string }{
		{"another kind of webhook", `{"event":"message_received","account_id":"a","message":"hi"}`, "AccountStatus is missing"},
		{"hosted-auth callback", `{"status":"CREATION_SUCCESS","account_id":"a","name":"token"}`, "AccountStatus is missing"},
		{"AccountStatus null", `{"AccountStatus":null}`, "AccountStatus is missing"},
		{"AccountStatus a string", `{"AccountStatus":"OK"}`, "AccountStatus is a JSON string: send an object"},
		{"no account", `{"AccountStatus":{"account_type":"LINKEDIN","message":"OK"}}`, "AccountStatus.account_id is missing"},
		{"no type", `{"AccountStatus":{"account_id":"a","message":"OK"}}`, "AccountStatus.account_type is missing"},
		{"no message", `{"AccountStatus":{"account_id":"a","account_type":"LINKEDIN","message":""}}`, "AccountStatus.message is missing"},
		{"account a number", `{"AccountStatus":{"account_id":7,"account_type":"LINKEDIN","message":"OK"}}`, "AccountStatus.account_id is a JSON number: send a string"},
		{"account too long", `{"AccountStatus":{"account_id":"` + strings.Repeat("a", 257) + `","account_type":"LINKEDIN","message":"OK"}}`, "AccountStatus.account_id is 257 bytes long"},
	}
	s := setup(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer := s.post(t, v1Path, headers("Unipile-Auth", v1Secret), test.body)

			require.Equal(t, http.StatusBadRequest, answer.status)
			require.Contains(t, answer.error(t), test.says)
			require.Empty(t, s.received())
		})
	}
}

// Unipile v1 authenticates with a header that the platform chose when it registered the webhook.
func ExampleRegister() {
	mux := http.NewServeMux()
	err := webhook.Register(mux, webhook.Config{
		Dialects: webhook.Dialects{UnipileV1: webhook.UnipileV1{Secrets: []string{"the-secret-you-registered"}}},
		Apply: func(_ context.Context, s webhook.Signal) (string, error) {
			fmt.Printf("%s account %s: %s means %s\n", s.Provider, s.AccountID, s.Raw, s.Status)
			return "applied", nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	request := httptest.NewRequest(http.MethodPost, "/webhooks/unipile/v1", strings.NewReader(
		`{"AccountStatus":{"account_id":"h_EKCy","account_type":"LINKEDIN","message":"CREDENTIALS"}}`))
	request.Header.Set("Unipile-Auth", "the-secret-you-registered")
	response := httptest.NewRecorder()
	mux.ServeHTTP(response, request)
	fmt.Print(response.Code, " ", response.Body)

	// Output:
	// linkedin account h_EKCy: CREDENTIALS means disconnected
	// 200 {"outcome":"applied"}
}
