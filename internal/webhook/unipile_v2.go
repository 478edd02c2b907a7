package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const unipileV2Header = "unipile-signature"

// unipileV2Meanings has the values of type that say something about an account's status. Others, such as
// account.initial_sync.completed, are tolerated.
// https://developer.unipile.com/v2.0/reference/event-types-1
var unipileV2Meanings = map[string]meaning{
	"account.status.running":      {status: connected},
	"account.reconnect":           {status: connected},
	"account.add":                 {status: connecting, fresh: true},
	"account.status.errored":      {status: failing},
	"account.status.paused":       {status: failing},
	"account.status.disconnected": {status: disconnected},
	"account.remove":              {status: removed},
}

// unipileV2 is authenticated by a signature header, "t=<unix s>,v0=<hex>", where v0 is the HMAC-SHA256
// of t, a dot and the raw body. There may be several v0, one a secret.
//
// The scheme is known from integrators and not from an official text. All that depends on it is in this
// file.
type unipileV2 struct {
	secrets []string
}

func newUnipileV2(secrets []string) (*unipileV2, error) {
	for i, secret := range secrets {
		if secret == "" || secret != strings.TrimSpace(secret) {
			return nil, fmt.Errorf("secret %d of %d is empty or has space around it: copy it again", i+1, len(secrets))
		}
		if err := checkLength(i, secrets); err != nil {
			return nil, err
		}
	}
	return &unipileV2{secrets: secrets}, nil
}

// SignUnipileV2 returns the value of the header unipile-signature for a body that is sent at the given
// time. It is the sender's side of /webhooks/unipile/v2.
func SignUnipileV2(secret string, at time.Time, body []byte) (headerValue string) {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v0=" + hex.EncodeToString(unipileV2MAC(secret, t, body))
}

func unipileV2MAC(secret, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

func (u *unipileV2) verify(header http.Header, body []byte, now time.Time) error {
	value := header.Get(unipileV2Header)
	if value == "" {
		return unauthorized("the header %s is missing: sign the delivery", unipileV2Header)
	}
	t, signatures := parseUnipileSignature(value)
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil || len(signatures) == 0 {
		return unauthorized("the header %s cannot be read: send it as t=<unix seconds>,v0=<hex>", unipileV2Header)
	}
	if !u.signed(t, body, signatures) {
		return unauthorized("no signature in %s matches: sign \"t.body\", the body byte for byte as sent, with the secret that is configured here", unipileV2Header)
	}
	return checkSignedTime(unipileV2Header, time.Unix(seconds, 0), now)
}

// parseUnipileSignature splits the header. Keys that it does not know are left out, and so are
// signatures that are not hex.
func parseUnipileSignature(value string) (t string, signatures [][]byte) {
	for part := range strings.SplitSeq(value, ",") {
		key, val, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch key {
		case "t":
			t = val
		case "v0":
			if signature, err := hex.DecodeString(val); err == nil {
				signatures = append(signatures, signature)
			}
		}
	}
	return t, signatures
}

func (u *unipileV2) signed(t string, body []byte, signatures [][]byte) bool {
	for _, secret := range u.secrets {
		want := unipileV2MAC(secret, t, body)
		for _, signature := range signatures {
			if hmac.Equal(signature, want) {
				return true
			}
		}
	}
	return false
}

func (u *unipileV2) decode(_ http.Header, body []byte) (Signal, error) {
	return decodeUnipileV2(body)
}

func decodeUnipileV2(body []byte) (Signal, error) {
	if err := checkJSON(body); err != nil {
		return Signal{}, err
	}
	var event struct {
		ID        string `json:"id"`
		Type      string `json:"type"`
		CreatedAt string `json:"created_at"`
		AccountID string `json:"account_id"`
		Payload   struct {
			Timestamp string `json:"timestamp"`
		} `json:"payload"`
	}
	wrongType := fill(body, &event)
	m, known := unipileV2Meanings[event.Type]
	// An event that we ignore may have any shape beyond its id and type.
	if wrongType != nil && (known || event.ID == "" || event.Type == "") {
		return Signal{}, wrongType
	}
	if err := required(text{"id", event.ID}, text{"type", event.Type}); err != nil {
		return Signal{}, err
	}
	account := text{"account_id", event.AccountID}
	if err := optional(account); err != nil {
		return Signal{}, err
	}
	if err := required(account); err != nil && known {
		return Signal{}, err
	}
	occurredAt, err := unipileV2Time(event.Payload.Timestamp, event.CreatedAt)
	if err != nil && known {
		return Signal{}, err
	}
	return Signal{
		Source:      "unipile_v2",
		DeliveryKey: "unipile_v2:" + event.ID,
		Provider:    "linkedin",
		AccountID:   event.AccountID,
		Raw:         event.Type,
		Status:      m.status,
		Fresh:       m.fresh,
		OccurredAt:  occurredAt,
		Body:        body,
	}, nil
}

// unipileV2Time is when the account changed, else when the event about it was made.
func unipileV2Time(payloadTimestamp, createdAt string) (time.Time, error) {
	if payloadTimestamp != "" {
		return parseTime(text{"payload.timestamp", payloadTimestamp})
	}
	return parseTime(text{"created_at", createdAt})
}
