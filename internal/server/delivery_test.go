package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/signing"
	"github.com/thawline/thaw/internal/webhook"
)

// A delivery is one webhook request.
type delivery struct {
	path   string
	header http.Header
	body   []byte
}

// An event is the content of a delivery, the same in every dialect.
type event struct {
	id     string // of the delivery; empty for a unique one
	word   string // the status, as the dialect writes it
	at     time.Time
	member string
}

// A dialect is a kind of provider, with its terms for the statuses that the tests need.
type dialect struct {
	name           string
	disconnected   string
	transientError string
	connected      string
	unknown        string // a status that Thaw does not know
	hasIDs         bool   // deliveries have IDs and times: a repeated one is a duplicate, an older one is stale
	deliver        func(t *testing.T, secret string, e event) delivery
	secrets        []string
}

var dialects = []dialect{
	{
		name: "unipile v1", disconnected: "CREDENTIALS", transientError: "ERROR", connected: "OK", unknown: "SYNC_PARTIAL",
		deliver: unipileV1, secrets: v1Secrets,
	},
	{
		name: "unipile v2", disconnected: "account.status.disconnected", transientError: "account.status.errored",
		connected: "account.status.running", unknown: "account.initial_sync.completed",
		hasIDs: true, deliver: unipileV2, secrets: v2Secrets,
	},
	{
		name: "standard", disconnected: "disconnected", transientError: "error", connected: "connected", unknown: "paused",
		hasIDs: true, deliver: standard, secrets: standardSecrets,
	},
}

// unipileV1 has no Content-Type, like webhooks that were registered by API.
func unipileV1(t *testing.T, secret string, e event) delivery {
	t.Helper()
	body := fmt.Sprintf(`{"AccountStatus": {"account_id": "acc_1", "account_type": "LINKEDIN", "message": %q}}`, e.word)
	return delivery{path: "/webhooks/unipile/v1", header: http.Header{"Unipile-Auth": {secret}}, body: []byte(body)}
}

func unipileV2(t *testing.T, secret string, e event) delivery {
	t.Helper()
	body := asJSON(t, map[string]any{
		"id": e.idOrOwn(), "created_at": e.at, "account_id": "acc_1", "type": e.word,
		"payload": map[string]any{"timestamp": e.at},
	})
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("unipile-signature", webhook.SignUnipileV2(secret, time.Now(), body))
	return delivery{path: "/webhooks/unipile/v2", header: header, body: body}
}

func standard(t *testing.T, secret string, e event) delivery {
	t.Helper()
	body := asJSON(t, map[string]any{
		"type": "account.status", "timestamp": e.at,
		"data": map[string]any{"provider": "linkedin", "account": "acc_1", "status": e.word, "member_id": e.member},
	})
	header, err := signing.Sign(secret, e.idOrOwn(), time.Now(), body)
	require.NoError(t, err)
	return delivery{path: "/webhooks/standard", header: header, body: body}
}

// idOrOwn returns the ID of the delivery. It is unique if the event does not set one.
func (e event) idOrOwn() string {
	if e.id != "" {
		return e.id
	}
	return fmt.Sprintf("evt_%s_%d", e.word, e.at.UnixNano())
}

func asJSON(t *testing.T, value any) []byte {
	t.Helper()
	body, err := json.Marshal(value)
	require.NoError(t, err)
	return body
}
