// Package signing has the secrets and signatures of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md), for
// the deliveries that Thaw receives (package webhook) and the messages that it sends (package
// outbound).
//
// A secret is "whsec_" and 24 to 64 bytes in base64. Errors never contain it. A signature covers
// the ID, the time and the body of a message. The ID is also its idempotency key.
package signing

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	secretPrefix = "whsec_"
	minKey       = 24 // bytes
	maxKey       = 64 // bytes
)

// The headers of a signed message.
const (
	HeaderID        = standardwebhooks.HeaderWebhookID
	HeaderTimestamp = standardwebhooks.HeaderWebhookTimestamp // in Unix seconds
	HeaderSignature = standardwebhooks.HeaderWebhookSignature // one signature per key
)

// Keys are the keys of one secret, or of two while one replaces the other.
type Keys []*standardwebhooks.Webhook

// ParseKeys returns the keys of secrets.
func ParseKeys(secrets []string) (Keys, error) {
	keys := make(Keys, len(secrets))
	for i, secret := range secrets {
		var err error
		if keys[i], err = parseKey(secret); err != nil {
			return nil, fmt.Errorf("secret %d of %d %w", i+1, len(secrets), err)
		}
	}
	return keys, nil
}

// parseKey returns the key of a secret. Its errors complete a sentence about the secret.
func parseKey(secret string) (*standardwebhooks.Webhook, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	if !ok {
		return nil, fmt.Errorf("does not begin with %s: copy it again", secretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("is not base64 after %s: copy it again", secretPrefix)
	}
	if len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Errorf("has %d bytes: use a secret of %d to %d bytes", len(key), minKey, maxKey)
	}
	return standardwebhooks.NewWebhookRaw(key)
}

// Sign returns the headers of a message that is sent at the given time, signed with each key.
func (k Keys) Sign(id string, at time.Time, body []byte) (http.Header, error) {
	signatures := make([]string, len(k))
	for i, key := range k {
		var err error
		if signatures[i], err = key.Sign(id, at, body); err != nil {
			return nil, fmt.Errorf("signing %q: %w", id, err)
		}
	}
	header := http.Header{}
	header.Set(HeaderID, id)
	header.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(HeaderSignature, strings.Join(signatures, " "))
	return header, nil
}

// Verify reports whether a message has a signature of one of the keys. It does not check the time.
func (k Keys) Verify(header http.Header, body []byte) bool {
	return slices.ContainsFunc(k, func(key *standardwebhooks.Webhook) bool {
		return key.VerifyIgnoringTimestamp(body, header) == nil
	})
}

// Sign is [Keys.Sign] with one secret.
func Sign(secret, id string, at time.Time, body []byte) (http.Header, error) {
	keys, err := ParseKeys([]string{secret})
	if err != nil {
		return nil, fmt.Errorf("signing %q: %w", id, err)
	}
	return keys.Sign(id, at, body)
}
