package webhook_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/webhook"
)

func TestDecodeRecord(t *testing.T) {
	t.Parallel()
	received := time.Date(2026, 5, 7, 10, 0, 0, 0, time.UTC)
	v1 := webhook.Record{Route: "unipile/v1", ReceivedAt: received, Body: []byte(`{"AccountStatus":{"account_id":"a","account_type":"LINKEDIN","message":"CREDENTIALS"}}`)}
	s, err := webhook.Decode(v1)
	require.NoError(t, err)
	require.Equal(t, received, s.OccurredAt, "v1 sends no time")
	require.Equal(t, "disconnected", s.Status)
	again, err := webhook.Decode(v1)
	require.NoError(t, err)
	require.Equal(t, s.DeliveryKey, again.DeliveryKey)
	later := v1
	later.ReceivedAt = received.Add(time.Second)
	other, err := webhook.Decode(later)
	require.NoError(t, err)
	require.NotEqual(t, s.DeliveryKey, other.DeliveryKey)

	s, err = webhook.Decode(webhook.Record{Route: "unipile/v2", ReceivedAt: received.Add(time.Hour), Body: []byte(`{"id":"evt_1","type":"account.status.running","created_at":"2026-05-07T10:00:00Z","account_id":"a","payload":{}}`)})
	require.NoError(t, err)
	require.Equal(t, received, s.OccurredAt)
	require.Equal(t, "unipile_v2:evt_1", s.DeliveryKey, "the same key as for the received delivery, which makes it a duplicate")

	for name, r := range map[string]webhook.Record{
		"received_at is missing": {Route: "unipile/v1", Body: v1.Body},
		`route "v1" is unknown`:  {Route: "v1", ReceivedAt: received, Body: v1.Body},
		"not valid JSON":         {Route: "unipile/v1", ReceivedAt: received, Body: []byte("{")},
		"webhook-id is missing":  {Route: "standard", ReceivedAt: received, Body: []byte(`{"type":"account.status"}`)},
	} {
		_, err := webhook.Decode(r)
		require.ErrorContains(t, err, name)
	}
}
