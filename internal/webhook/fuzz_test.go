package webhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// statuses are all statuses that a signal may have.
var statuses = []string{"connecting", "connected", "needs_verification", "disconnected", "restricted", "error", "removed", "reconnected", "locked", "unlocked"}

// checkDecoded checks what must hold for any input: an error is a 400; a signal has a known status,
// the provider's own word or none, has an account if it has a status, and contains nothing that
// Postgres rejects.
func checkDecoded(t *testing.T, body []byte, s Signal, err error) {
	t.Helper()
	if err != nil {
		no, ok := errors.AsType[refusal](err)
		require.True(t, ok, "not a refusal: %v", err)
		require.Equal(t, http.StatusBadRequest, no.status)
		require.NotEmpty(t, no.reason)
		return
	}
	if s.Status != "" {
		require.True(t, slices.Contains(statuses, s.Status) || s.Status == s.Raw, "status %q", s.Status)
		require.NotEmpty(t, s.AccountID)
		require.NotEmpty(t, s.Provider)
	}
	require.NotEmpty(t, s.Source)
	require.NotEmpty(t, s.Raw)
	for _, text := range []string{s.DeliveryKey, s.Provider, s.AccountID, s.MemberID, s.Raw} {
		require.True(t, utf8.ValidString(text) && !strings.ContainsRune(text, 0), "Postgres rejects %q", text)
	}
	require.True(t, json.Valid(s.Body))
	require.Equal(t, body, s.Body)
}

// seed adds bodies that are relevant for every decoder.
func seed(f *testing.F, add func(body string)) {
	f.Helper()
	for _, body := range []string{``, `null`, `[]`, `{}`, `{"type":"\u0000"}`, `{"type":"\ud83d"}`, `{"n":1e99999}`, "{\"\xff\":0}"} {
		add(body)
	}
}

func FuzzUnipileV1(f *testing.F) {
	add := func(body string) { f.Add([]byte(body)) }
	seed(f, add)
	for word := range unipileV1Meanings {
		add(`{"AccountStatus":{"account_id":"a","account_type":"LINKEDIN","message":"` + word + `"}}`)
	}
	add(`{"AccountStatus":null}`)
	add(`{"AccountStatus":{"account_id":1}}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := new(UnipileV1).decode("", body)
		checkDecoded(t, body, s, err)
	})
}

func FuzzUnipileV2(f *testing.F) {
	add := func(body string) { f.Add([]byte(body)) }
	seed(f, add)
	for eventType := range unipileV2Meanings {
		add(`{"id":"evt_1","created_at":"2026-05-07T10:00:00Z","account_id":"acc_1","type":"` + eventType + `","payload":{"timestamp":"2026-05-07T09:59:58.000Z"}}`)
	}
	add(`{"id":"evt_1","type":"message.new","payload":[]}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := new(UnipileV2).decode("", body)
		checkDecoded(t, body, s, err)
	})
}

func FuzzStandard(f *testing.F) {
	add := func(body string) { f.Add("msg_1", []byte(body)) }
	seed(f, add)
	for _, status := range statuses {
		add(`{"type":"account.status","timestamp":"2026-05-07T10:00:00Z","data":{"provider":"linkedin","account":"a","status":"` + status + `","member_id":"m"}}`)
	}
	add(`{"type":"endpoint.test","data":[]}`)
	f.Add("\xff", []byte(`{"type":"endpoint.test"}`))
	f.Fuzz(func(t *testing.T, id string, body []byte) {
		s, err := new(Standard).decode(id, body)
		checkDecoded(t, body, s, err)
	})
}
