package webhook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/webhook"
)

// All fields of the envelope and the payload, besides the type, that change the signal.
func TestUnipileV2Fields(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, eventType, fields string
		want                    webhook.Signal // Provider, Status, Fresh, Product, V1AccountID
	}{
		{"network", "account.status.running", `"account_provider":"INSTAGRAM","payload":{}`, webhook.Signal{Provider: "instagram", Status: "connected"}},
		{"no network", "account.status.running", `"payload":{}`, webhook.Signal{Provider: "linkedin", Status: "connected"}},
		{"production", "account.status.running", `"application_production":true`, webhook.Signal{Provider: "linkedin", Status: "connected"}},
		{"test application", "account.status.disconnected", `"application_production":false`, webhook.Signal{Provider: "linkedin"}},
		{"one product", "account.status.disconnected", `"payload":{"product":"sales_navigator"}`, webhook.Signal{Provider: "linkedin", Status: "disconnected", Product: "sales_navigator"}},
		{"one product works", "account.status.running", `"payload":{"product":"CLASSIC"}`, webhook.Signal{Provider: "linkedin", Status: "connected", Product: "classic"}},
		{"lock of a product locks the account", "account.locked", `"payload":{"product":"recruiter"}`, webhook.Signal{Provider: "linkedin", Status: "locked"}},
		{"reconnect that runs", "account.reconnect", `"payload":{"account":{"id":"acc_7","status":"running"}}`, webhook.Signal{Provider: "linkedin", Status: "connected"}},
		{"reconnect that does not", "account.reconnect", `"payload":{"account":{"id":"acc_7","status":"disconnected"}}`, webhook.Signal{Provider: "linkedin", Status: "reconnected"}},
		{"added and running", "account.add", `"payload":{"account":{"id":"acc_7","status":"OK"}}`, webhook.Signal{Provider: "linkedin", Status: "connected"}},
		{"added", "account.add", `"payload":{"account":{"id":"acc_7"}}`, webhook.Signal{Provider: "linkedin", Status: "connecting", Fresh: true}},
		{"former account", "account.add", `"payload":{"account":{"metadata":{"v1_account_id":"h_old"}}}`, webhook.Signal{Provider: "linkedin", Status: "connecting", Fresh: true, V1AccountID: "h_old"}},
		{"former account in the payload", "account.status.running", `"payload":{"metadata":{"v1_account_id":"h_old"}}`, webhook.Signal{Provider: "linkedin", Status: "connected", V1AccountID: "h_old"}},
		{"former account in the envelope", "account.status.running", `"metadata":{"v1_account_id":"h_old"}`, webhook.Signal{Provider: "linkedin", Status: "connected", V1AccountID: "h_old"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			body := fmt.Sprintf(`{"id":"evt_7","created_at":"2026-05-07T10:00:00Z","account_id":"acc_7","type":%q,%s}`, test.eventType, test.fields)

			require.Equal(t, http.StatusOK, s.post(t, v2Path, signedV2(body), body).status)

			got := s.received()[0]
			require.Equal(t, test.want, webhook.Signal{
				Provider: got.Provider, Status: got.Status, Fresh: got.Fresh, Product: got.Product, V1AccountID: got.V1AccountID,
			})
		})
	}
}

// A staging system has only a test application.
func TestUnipileV2TestEventsAllowed(t *testing.T) {
	t.Parallel()
	s := &testServer{}
	mux := http.NewServeMux()
	require.NoError(t, webhook.Register(mux, webhook.Config{
		Dialects: webhook.Dialects{UnipileV2: webhook.UnipileV2{Secrets: []string{v2Secret}, TestEvents: true}}, Apply: s.apply, Now: func() time.Time { return now },
	}))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	body := `{"id":"evt_7","account_id":"acc_7","type":"account.status.running","application_production":false}`

	require.Equal(t, http.StatusOK, s.post(t, v2Path, signedV2(body), body).status)

	require.Equal(t, "connected", s.received()[0].Status)
}

func TestUnipileV2Meanings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		eventType, status string
		fresh             bool
	}{
		{"account.status.running", "connected", false},
		{"account.reconnect", "reconnected", false},
		{"account.status.degraded", "error", false},
		{"account.status.partial", "needs_verification", false},
		{"account.locked", "locked", false},
		{"account.unlocked", "unlocked", false},
		{"account.add", "connecting", true},
		{"account.status.errored", "error", false},
		{"account.status.paused", "error", false},
		{"account.status.disconnected", "disconnected", false},
		{"account.remove", "removed", false},
		{"account.initial_sync.running", "", false},
		{"account.initial_sync.failed", "", false},
		{"account.initial_sync.completed", "", false},
		{"account.status.hibernating", "", false},
	}
	for _, test := range tests {
		t.Run(test.eventType, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			body := fmt.Sprintf(`{"id":"evt_7","created_at":"2026-05-07T10:00:00Z","account_id":"acc_7","type":%q}`, test.eventType)

			require.Equal(t, http.StatusOK, s.post(t, v2Path, signedV2(body), body).status)

			require.Equal(t, []webhook.Signal{{
				Source: "unipile_v2", DeliveryKey: "unipile_v2:evt_7", Provider: "linkedin", AccountID: "acc_7",
				Raw: test.eventType, Status: test.status, Fresh: test.fresh,
				OccurredAt: time.Date(2026, 5, 7, 10, 0, 0, 0, time.UTC), Body: []byte(body),
			}}, s.received())
		})
	}
}

func TestUnipileV2Time(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, times string
		want        time.Time
	}{
		{"from the payload", `"created_at":"2026-05-07T10:00:00Z","payload":{"timestamp":"2026-05-07T09:59:58.25Z"}`,
			time.Date(2026, 5, 7, 9, 59, 58, 250e6, time.UTC)},
		{"in another time zone", `"payload":{"timestamp":"2026-05-07T11:59:58+02:00"}`, time.Date(2026, 5, 7, 9, 59, 58, 0, time.UTC)},
		{"from the event", `"created_at":"2026-05-07T10:00:00.000Z","payload":{"product":"classic"}`, time.Date(2026, 5, 7, 10, 0, 0, 0, time.UTC)},
		{"not given", `"payload":null`, time.Time{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			body := `{"id":"evt_1","account_id":"acc_1","type":"account.status.running",` + test.times + `}`

			require.Equal(t, http.StatusOK, s.post(t, v2Path, signedV2(body), body).status)

			require.Equal(t, test.want, s.received()[0].OccurredAt)
		})
	}
}

// Events that we ignore are accepted in any shape. Otherwise the sender would retry them.
func TestUnipileV2OtherEvents(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, account string }{
		{"no account", `{"id":"evt_1","type":"application.created"}`, ""},
		{"account of another shape", `{"id":"evt_1","type":"application.created","account_id":{"id":7}}`, ""},
		{"payload a list", `{"id":"evt_1","type":"message.new","account_id":"acc_1","payload":[1,2]}`, "acc_1"},
		{"time a number", `{"id":"evt_1","type":"message.new","account_id":"acc_1","payload":{"timestamp":1778148000}}`, "acc_1"},
		{"time of another format", `{"id":"evt_1","type":"message.new","account_id":"acc_1","created_at":"yesterday"}`, "acc_1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)

			answer := s.post(t, v2Path, signedV2(test.body), test.body)

			require.Equal(t, http.StatusOK, answer.status, answer.body)
			signal := s.received()[0]
			require.Empty(t, signal.Status)
			require.Equal(t, test.account, signal.AccountID)
			require.True(t, signal.OccurredAt.IsZero())
		})
	}
}

func TestUnipileV2Malformed(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, says string }{
		{"no id", `{"type":"account.add","account_id":"acc_1"}`, "id is missing"},
		{"id a number", `{"id":1,"type":"message.new","account_id":"acc_1"}`, "id is a JSON number"},
		{"id too long", `{"id":"` + strings.Repeat("e", 257) + `","type":"message.new"}`, "id is 257 bytes long"},
		{"no type", `{"id":"evt_1","account_id":"acc_1"}`, "type is missing"},
		{"no account", `{"id":"evt_1","type":"account.status.running"}`, "account_id is missing"},
		{"account null", `{"id":"evt_1","type":"account.status.running","account_id":null}`, "account_id is missing"},
		{"account a number", `{"id":"evt_1","type":"account.status.running","account_id":1}`, "account_id is a JSON number"},
		{"payload a list", `{"id":"evt_1","type":"account.status.running","account_id":"acc_1","payload":[]}`, "payload is a JSON array: send an object"},
		{"payload time", `{"id":"evt_1","type":"account.status.running","account_id":"acc_1","payload":{"timestamp":"10:00"}}`, "payload.timestamp is not an RFC 3339 time"},
		{"event time", `{"id":"evt_1","type":"account.status.running","account_id":"acc_1","created_at":"07.05.2026"}`, "created_at is not an RFC 3339 time"},
	}
	s := setup(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer := s.post(t, v2Path, signedV2(test.body), test.body)

			require.Equal(t, http.StatusBadRequest, answer.status)
			require.Contains(t, answer.error(t), test.says)
			require.Empty(t, s.received())
		})
	}
}

func TestUnipileV2Signature(t *testing.T) {
	t.Parallel()
	const body = v2Body
	sign := func(secret string, at time.Time) string { return webhook.SignUnipileV2(secret, at, []byte(body)) }
	good := sign(v2Secret, now)
	stamp, signature, _ := strings.Cut(good, ",")

	tests := []struct {
		name, value string
		status      int
		says        string
	}{
		{"good", good, http.StatusOK, ""},
		{"rotated", sign(v2Rotated, now), http.StatusOK, ""},
		{"in capitals and with spaces", stamp + ", v0=" + strings.ToUpper(signature[3:]), http.StatusOK, ""},
		{"several, the last one good", stamp + ",v0=" + strings.Repeat("00", 32) + "," + signature, http.StatusOK, ""},
		{"several, the first one good", stamp + "," + signature + ",v0=not-hex", http.StatusOK, ""},
		{"with another version beside it", stamp + ",v9=abc," + signature, http.StatusOK, ""},
		{"oldest", sign(v2Secret, now.Add(-5*time.Minute)), http.StatusOK, ""},
		{"latest accepted time", sign(v2Secret, now.Add(5*time.Minute)), http.StatusOK, ""},

		{"too old", sign(v2Secret, now.Add(-5*time.Minute-time.Second)), http.StatusUnauthorized, "in the past"},
		{"too far in the future", sign(v2Secret, now.Add(5*time.Minute+time.Second)), http.StatusUnauthorized, "in the future"},
		{"absent", "", http.StatusUnauthorized, "unipile-signature is missing"},
		{"wrong secret", sign("guess", now), http.StatusUnauthorized, "no signature"},
		{"secret of another route", sign(v1Secret, now), http.StatusUnauthorized, "no signature"},
		{"signature of another body", webhook.SignUnipileV2(v2Secret, now, []byte(body+" ")), http.StatusUnauthorized, "no signature"},
		{"signature of another time", fmt.Sprintf("t=%d,%s", now.Unix()+1, signature), http.StatusUnauthorized, "no signature"},
		{"truncated", good[:len(good)-2], http.StatusUnauthorized, "no signature"},
		{"without signature", stamp, http.StatusUnauthorized, "malformed"},
		{"with an empty signature", stamp + ",v0=", http.StatusUnauthorized, "no signature"},
		{"with another version only", stamp + ",v1=" + signature[3:], http.StatusUnauthorized, "malformed"},
		{"without time", signature, http.StatusUnauthorized, "malformed"},
		{"time not a number", "t=now," + signature, http.StatusUnauthorized, "malformed"},
		{"nonsense", "sha256=abc", http.StatusUnauthorized, "malformed"},
	}
	s := setup(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			answer := s.post(t, v2Path, headers("unipile-signature", test.value), body)

			require.Equal(t, test.status, answer.status, answer.body)
			if test.says != "" {
				require.Contains(t, answer.error(t), test.says)
				require.NotContains(t, answer.body, signature[3:], "the response must not contain the right signature")
			}
		})
	}
}

// The signature was made with openssl, so that signing and verifying cannot share a bug:
//
//	printf '1778148003.{"id":"evt_1"}' | openssl dgst -sha256 -hmac v2-secret-of-the-tests
func TestSignUnipileV2(t *testing.T) {
	t.Parallel()
	require.Equal(t, "t=1778148003,v0=88928d55c621ef68c8dac8c6ec2e7cfe7f83fc592dabf0227b7c04c26fc29a3c", webhook.SignUnipileV2(v2Secret, now, []byte(`{"id":"evt_1"}`)))
}
