package webhook_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/signing"
	"github.com/thawline/thaw/internal/webhook"
)

func TestStandardMeanings(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"connecting":         "connecting",
		"connected":          "connected",
		"needs_verification": "needs_verification",
		"disconnected":       "disconnected",
		"restricted":         "restricted",
		"error":              "error",
		"removed":            "removed",
		"reconnected":        "reconnected",
		"locked":             "locked",
		"unlocked":           "unlocked",
		// Words that the provider may have in thaw.provider_words.
		"CONNECTED":     "CONNECTED",
		"oauth_expired": "oauth_expired",
	}
	for word, status := range tests {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			body := fmt.Sprintf(`{"type":"account.status","data":{"provider":"xing","account":"a-1","status":%q}}`, word)

			require.Equal(t, http.StatusOK, s.post(t, standardPath, signedStandard(t, "msg_7", body), body).status)

			require.Equal(t, []webhook.Signal{{
				Source: "standard", DeliveryKey: "standard:msg_7", Provider: "xing", AccountID: "a-1",
				Raw: word, Status: status, Body: []byte(body),
			}}, s.received())
		})
	}
}

// Events that are not about an account's status are recorded, with any data.
func TestStandardOtherTypes(t *testing.T) {
	t.Parallel()
	for _, data := range []string{``, `,"data":{}`, `,"data":[1]`, `,"data":{"status":"connected","account":7}`} {
		t.Run("with"+data, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			body := `{"type":"endpoint.test","timestamp":"2026-05-07T10:00:00Z"` + data + `}`

			answer := s.post(t, standardPath, signedStandard(t, "msg_1", body), body)

			require.Equal(t, http.StatusOK, answer.status, answer.body)
			require.Equal(t, []webhook.Signal{{
				Source: "standard", DeliveryKey: "standard:msg_1", Raw: "endpoint.test",
				OccurredAt: time.Date(2026, 5, 7, 10, 0, 0, 0, time.UTC), Body: []byte(body),
			}}, s.received())
		})
	}
}

// Other events may use other time formats.
func TestStandardOtherTypesMayHaveAnyTime(t *testing.T) {
	t.Parallel()
	for _, timestamp := range []string{`"now"`, `"2026-05-07 10:00"`, `1778148003`, `null`, `"12000-01-01T00:00:00Z"`} {
		t.Run(timestamp, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			body := `{"type":"endpoint.test","timestamp":` + timestamp + `}`

			require.Equal(t, http.StatusOK, s.post(t, standardPath, signedStandard(t, "msg_1", body), body).status)

			require.Equal(t, []webhook.Signal{{Source: "standard", DeliveryKey: "standard:msg_1", Raw: "endpoint.test", Body: []byte(body)}}, s.received())
		})
	}
}

// The former account ID links the accounts of a fleet that moves from one API to another.
func TestStandardFormerAccount(t *testing.T) {
	t.Parallel()
	s := setup(t)
	body := `{"type":"account.status","data":{"provider":"linkedin","account":"new","status":"connected","v1_account_id":"old"}}`

	require.Equal(t, http.StatusOK, s.post(t, standardPath, signedStandard(t, "msg_1", body), body).status)

	require.Equal(t, "old", s.received()[0].V1AccountID)
}

func TestStandardMalformed(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, says string }{
		{"no type", `{"data":{"provider":"linkedin","account":"a","status":"connected"}}`, "type is missing"},
		{"type a number", `{"type":1}`, "type is a JSON number: send a string"},
		{"no data", `{"type":"account.status"}`, "data.provider is missing"},
		{"data a list", `{"type":"account.status","data":[]}`, "data is a JSON array: send an object"},
		{"no provider", `{"type":"account.status","data":{"account":"a","status":"connected"}}`, "data.provider is missing"},
		{"no account", `{"type":"account.status","data":{"provider":"linkedin","status":"connected"}}`, "data.account is missing"},
		{"no status", `{"type":"account.status","data":{"provider":"linkedin","account":"a"}}`, "data.status is missing"},
		{"member a number", `{"type":"account.status","data":{"provider":"linkedin","account":"a","status":"connected","member_id":7}}`, "data.member_id is a JSON number"},
		{"member too long", `{"type":"account.status","data":{"provider":"linkedin","account":"a","status":"connected","member_id":"` + strings.Repeat("m", 257) + `"}}`, "data.member_id is 257 bytes long"},
		{"time", `{"type":"account.status","timestamp":"2026-05-07 10:00","data":{"provider":"linkedin","account":"a","status":"connected"}}`, "timestamp is not an RFC 3339 time"},
		{"time in the year 0", `{"type":"account.status","timestamp":"0000-01-01T00:00:00+01:00","data":{"provider":"linkedin","account":"a","status":"connected"}}`, "timestamp is in the year -1: send a time from 2000 to 2099"},
		{"time in the far past", `{"type":"account.status","timestamp":"1999-12-31T23:59:59Z","data":{"provider":"linkedin","account":"a","status":"connected"}}`, "timestamp is in the year 1999"},
		{"time in the year 10000", `{"type":"account.status","timestamp":"9999-12-31T23:59:59-01:00","data":{"provider":"linkedin","account":"a","status":"connected"}}`, "timestamp is in the year 10000"},
		{"status with a line break", `{"type":"account.status","data":{"provider":"linkedin","account":"a","status":"con\nnected"}}`, "data.status contains control characters"},
		{"former account too long", `{"type":"account.status","data":{"provider":"linkedin","account":"a","status":"connected","v1_account_id":"` + strings.Repeat("m", 257) + `"}}`, "data.v1_account_id is 257 bytes long"},
	}
	s := setup(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer := s.post(t, standardPath, signedStandard(t, "msg_1", test.body), test.body)

			require.Equal(t, http.StatusBadRequest, answer.status)
			require.Contains(t, answer.error(t), test.says)
			require.Empty(t, s.received())
		})
	}
}

// HTTP allows header values that are not UTF-8.
func TestStandardIDThatCannotBeStored(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for id, says := range map[string]string{
		"msg_\xff":               "webhook-id is not valid text",
		strings.Repeat("i", 257): "webhook-id is 257 bytes long",
	} {
		answer := s.post(t, standardPath, signedStandard(t, id, standardBody), standardBody)

		require.Equal(t, http.StatusBadRequest, answer.status)
		require.Contains(t, answer.error(t), says)
	}
	require.Empty(t, s.received())
}

func TestStandardSignature(t *testing.T) {
	t.Parallel()
	const body = standardBody
	sign := func(secret string, at time.Time, body string) http.Header {
		h, err := signing.Sign(secret, "msg_1", at, []byte(body))
		require.NoError(t, err)
		return h
	}
	with := func(h http.Header, name, value string) http.Header {
		h.Set(name, value)
		return h
	}
	without := func(h http.Header, name string) http.Header {
		h.Del(name)
		return h
	}
	good := func() http.Header { return sign(standardSecret, now, body) }
	signature := good().Get("webhook-signature")
	foreign := sign(standardForeign, now, body).Get("webhook-signature")

	tests := []struct {
		name   string
		header http.Header
		status int
		says   string
	}{
		{"good", good(), http.StatusOK, ""},
		{"rotated", sign(standardRotated, now, body), http.StatusOK, ""},
		{"several, the last one good", with(good(), "webhook-signature", foreign+" v1a,abc "+signature), http.StatusOK, ""},
		{"several, the first one good", with(good(), "webhook-signature", signature+" "+foreign), http.StatusOK, ""},
		{"oldest", sign(standardSecret, now.Add(-5*time.Minute), body), http.StatusOK, ""},
		{"latest accepted time", sign(standardSecret, now.Add(5*time.Minute), body), http.StatusOK, ""},

		{"too old", sign(standardSecret, now.Add(-5*time.Minute-time.Second), body), http.StatusUnauthorized, "webhook-timestamp is more than 5m0s in the past"},
		{"too far in the future", sign(standardSecret, now.Add(5*time.Minute+time.Second), body), http.StatusUnauthorized, "webhook-timestamp is more than 5m0s in the future"},
		{"largest time", sign(standardSecret, time.Unix(1<<62, 0), body), http.StatusUnauthorized, "in the future"},
		{"unsigned", headers(), http.StatusUnauthorized, "webhook-id is missing"},
		{"without id", without(good(), "webhook-id"), http.StatusUnauthorized, "webhook-id is missing"},
		{"without time", without(good(), "webhook-timestamp"), http.StatusUnauthorized, "webhook-timestamp is missing"},
		{"without signature", without(good(), "webhook-signature"), http.StatusUnauthorized, "webhook-signature is missing"},
		{"time not a number", with(good(), "webhook-timestamp", "2026-05-07T10:00:03Z"), http.StatusUnauthorized, "webhook-timestamp is not a number"},
		{"wrong secret", sign(standardForeign, now, body), http.StatusUnauthorized, "no signature"},
		{"signature of another body", sign(standardSecret, now, body+" "), http.StatusUnauthorized, "no signature"},
		{"signature of another ID", with(good(), "webhook-id", "msg_2"), http.StatusUnauthorized, "no signature"},
		{"signature of another time", with(good(), "webhook-timestamp", strconv.FormatInt(now.Unix()+1, 10)), http.StatusUnauthorized, "no signature"},
		{"signature of another version", with(good(), "webhook-signature", "v2"+signature[2:]), http.StatusUnauthorized, "no signature"},
		{"without version", with(good(), "webhook-signature", signature[3:]), http.StatusUnauthorized, "no signature"},
	}
	s := setup(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer := s.post(t, standardPath, test.header, body)

			require.Equal(t, test.status, answer.status, answer.body)
			if test.says != "" {
				require.Contains(t, answer.error(t), test.says)
				require.NotContains(t, answer.body, signature[3:], "the response must not contain the right signature")
			}
		})
	}
}
