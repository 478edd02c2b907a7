package webhook

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/thawline/thaw/internal/enum"
)

const (
	standardSecretPrefix = "whsec_"
	standardMinKey       = 24 // bytes
	standardMaxKey       = 64 // bytes

	// standardType is the only type that is about an account's status.
	standardType = "account.status"
)

// standardMeanings has the values of data.status: Thaw's statuses, reconnected, locked and
// unlocked.
var standardMeanings = func() map[string]meaning {
	all := map[string]meaning{reconnected: {status: reconnected}, locked: {status: locked}, unlocked: {status: unlocked}}
	for _, status := range enum.Names(enum.AccountStatuses) {
		all[status] = meaning{status: status}
	}
	return all
}()

// standard implements Standard Webhooks. The signature covers webhook-id, webhook-timestamp and the
// body. webhook-id is the idempotency key.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
type standard struct {
	keys []*standardwebhooks.Webhook
}

func newStandard(secrets []string) (*standard, error) {
	s := &standard{}
	for i, secret := range secrets {
		key, err := StandardKey(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d of %d %w", i+1, len(secrets), err)
		}
		s.keys = append(s.keys, key)
	}
	return s, nil
}

// StandardKey parses a secret: "whsec_" and 24 to 64 bytes in base64. Its errors do not contain the
// secret.
func StandardKey(secret string) (*standardwebhooks.Webhook, error) {
	encoded, ok := strings.CutPrefix(secret, standardSecretPrefix)
	if !ok {
		return nil, fmt.Errorf("does not begin with %s: copy it again", standardSecretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("is not base64 after %s: copy it again", standardSecretPrefix)
	}
	if len(key) < standardMinKey || len(key) > standardMaxKey {
		return nil, fmt.Errorf("has %d bytes: use a secret of %d to %d bytes", len(key), standardMinKey, standardMaxKey)
	}
	return standardwebhooks.NewWebhookRaw(key)
}

// SignStandard returns the three headers of Standard Webhooks for a body sent at the given time.
// The secret is "whsec_" and 24 to 64 bytes in base64. It is the sender's side of
// /webhooks/standard.
func SignStandard(secret, id string, at time.Time, body []byte) (http.Header, error) {
	key, err := StandardKey(secret)
	if err != nil {
		return nil, fmt.Errorf("signing webhook: the secret %w", err)
	}
	signature, err := key.Sign(id, at, body)
	if err != nil {
		return nil, fmt.Errorf("signing webhook: %w", err)
	}
	header := http.Header{}
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return header, nil
}

// verify checks the signature with the library and the time with checkSignedTime, because the
// library has its own clock.
func (s *standard) verify(header http.Header, body []byte, now time.Time) error {
	for _, name := range []string{standardwebhooks.HeaderWebhookID, standardwebhooks.HeaderWebhookTimestamp, standardwebhooks.HeaderWebhookSignature} {
		if header.Get(name) == "" {
			return unauthorized("the header %s is missing: sign the delivery", name)
		}
	}
	seconds, err := strconv.ParseInt(header.Get(standardwebhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil {
		return unauthorized("the header %s is not a number: send the time of signing in Unix seconds", standardwebhooks.HeaderWebhookTimestamp)
	}
	if !s.signed(header, body) {
		return unauthorized("no signature in %s matches: sign \"id.timestamp.body\", with the raw body as sent, using the secret that is configured here",
			standardwebhooks.HeaderWebhookSignature)
	}
	return checkSignedTime(standardwebhooks.HeaderWebhookTimestamp, time.Unix(seconds, 0), now)
}

func (s *standard) signed(header http.Header, body []byte) bool {
	return slices.ContainsFunc(s.keys, func(key *standardwebhooks.Webhook) bool {
		return key.VerifyIgnoringTimestamp(body, header) == nil
	})
}

func (s *standard) decode(header http.Header, body []byte) (Signal, error) {
	return decodeStandard(header.Get(standardwebhooks.HeaderWebhookID), body)
}

func decodeStandard(id string, body []byte) (Signal, error) {
	if err := checkJSON(body); err != nil {
		return Signal{}, err
	}
	var event struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
		Data      struct {
			Provider string `json:"provider"`
			Account  string `json:"account"`
			Status   string `json:"status"`
			MemberID string `json:"member_id"`
			V1ID     string `json:"v1_account_id"`
		} `json:"data"`
	}
	wrongType := fill(body, &event)
	isStatus := event.Type == standardType
	// Events that we ignore may have any data.
	if wrongType != nil && (isStatus || event.Type == "") {
		return Signal{}, wrongType
	}
	if err := required(text{standardwebhooks.HeaderWebhookID, id}, text{"type", event.Type}); err != nil {
		return Signal{}, err
	}
	// Other events may use other time formats. The time matters only for a status.
	occurredAt, err := parseTime(text{"timestamp", event.Timestamp})
	if err != nil && isStatus {
		return Signal{}, err
	}
	signal := Signal{
		Source:      "standard",
		DeliveryKey: "standard:" + id,
		Raw:         event.Type,
		OccurredAt:  occurredAt,
		Body:        body,
	}
	if !isStatus {
		return signal, nil
	}
	data := event.Data
	err = required(
		text{"data.provider", data.Provider},
		text{"data.account", data.Account},
		text{"data.status", data.Status},
	)
	if err != nil {
		return Signal{}, err
	}
	if err := optional(text{"data.member_id", data.MemberID}, text{"data.v1_account_id", data.V1ID}); err != nil {
		return Signal{}, err
	}
	signal.Provider, signal.AccountID, signal.MemberID, signal.V1AccountID = data.Provider, data.Account, data.MemberID, data.V1ID
	signal.Raw, signal.Status = data.Status, standardMeanings[data.Status].status
	return signal, nil
}
