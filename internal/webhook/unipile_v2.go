package webhook

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// UnipileV2 are the settings of Unipile v2.
type UnipileV2 struct {
	// Secrets are the keys of the signature: at most two, of 16 or more bytes.
	Secrets []string `name:"unipile-v2-secret" type:"secrets" help:"Signing secret of Unipile v2. At least 16 characters, no comma. Two secrets are accepted, separated by a comma. Without a secret the route is disabled." placeholder:"SECRET" env:"THAW_UNIPILE_V2_SECRET"`
	// TestEvents applies events of a test application (application_production is false). By default
	// they are recorded and change nothing.
	TestEvents bool `name:"unipile-test-events" help:"Apply events of Unipile v2 test applications (application_production is false). Without this flag they are only recorded." env:"THAW_UNIPILE_TEST_EVENTS"`
}

func (s *UnipileV2) route() string     { return "unipile/v2" }
func (s *UnipileV2) secrets() []string { return s.Secrets }

const unipileV2Header = "unipile-signature"

// unipileV2Meanings has the event types that are about an account's status. Others, such as
// account.initial_sync.completed, are ignored. Degraded means that one product has an error and
// another works. Partial means that one product needs a login. Paused is no longer sent.
// https://developer.unipile.com/v2.0/reference/event-types-1
var unipileV2Meanings = map[string]meaning{
	"account.status.running":      {status: connected},
	"account.reconnect":           {status: reconnected},
	"account.add":                 {status: connecting, fresh: true},
	"account.status.errored":      {status: failing},
	"account.status.paused":       {status: failing},
	"account.status.degraded":     {status: failing},
	"account.status.partial":      {status: needsVerification},
	"account.status.disconnected": {status: disconnected},
	"account.locked":              {status: locked},
	"account.unlocked":            {status: unlocked},
	"account.remove":              {status: removed},
}

// unipileV2 authenticates by a signature header, "t=<unix s>,v0=<hex>", where v0 is the HMAC-SHA256
// of t, a dot and the raw body. There may be several v0, one per secret.
//
// The scheme is known from integrators, not from official documentation. Only this file depends on
// it.
type unipileV2 struct {
	secrets []string
}

func (s *UnipileV2) open() (verifier, error) {
	for i, secret := range s.Secrets {
		if secret == "" || secret != strings.TrimSpace(secret) {
			return nil, fmt.Errorf("secret %d of %d is empty or has leading or trailing spaces: copy it again", i+1, len(s.Secrets))
		}
		if err := checkLength(i, s.Secrets); err != nil {
			return nil, err
		}
	}
	return &unipileV2{secrets: s.Secrets}, nil
}

// SignUnipileV2 returns the unipile-signature header for a body sent at the given time. It is the
// sender's side of /webhooks/unipile/v2.
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
		return unauthorized("the header %s is malformed: send it as t=<unix seconds>,v0=<hex>", unipileV2Header)
	}
	if !u.signed(t, body, signatures) {
		return unauthorized("no signature in %s matches: sign \"t.body\", with the raw body as sent, using the secret that is configured here", unipileV2Header)
	}
	return checkSignedTime(unipileV2Header, time.Unix(seconds, 0), now)
}

// parseUnipileSignature splits the header. It skips unknown keys and signatures that are not hex.
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

// unipileV2Account is the account in account.add and account.reconnect.
type unipileV2Account struct {
	Status   string            `json:"status"`
	Metadata unipileV2Metadata `json:"metadata"`
}

// unipileV2Metadata links an account of v2 to its account of v1.
type unipileV2Metadata struct {
	V1AccountID string `json:"v1_account_id"`
}

// runs reports whether the event says that the account works.
func (a unipileV2Account) runs() bool {
	return strings.EqualFold(a.Status, "running") || strings.EqualFold(a.Status, "ok")
}

func (s *UnipileV2) decode(_ string, body []byte) (Signal, error) {
	if err := checkJSON(body); err != nil {
		return Signal{}, err
	}
	var event struct {
		ID         string            `json:"id"`
		Type       string            `json:"type"`
		CreatedAt  string            `json:"created_at"`
		AccountID  string            `json:"account_id"`
		Provider   string            `json:"account_provider"`
		Production *bool             `json:"application_production"`
		Metadata   unipileV2Metadata `json:"metadata"`
		Payload    struct {
			Timestamp string            `json:"timestamp"`
			Product   string            `json:"product"`
			Account   unipileV2Account  `json:"account"`
			Metadata  unipileV2Metadata `json:"metadata"`
		} `json:"payload"`
	}
	wrongType := fill(body, &event)
	m, known := unipileV2Meanings[event.Type]
	// Events that we ignore may have any shape besides their id and type.
	if wrongType != nil && (known || event.ID == "" || event.Type == "") {
		return Signal{}, wrongType
	}
	if err := required(text{"id", event.ID}, text{"type", event.Type}); err != nil {
		return Signal{}, err
	}
	account, provider := text{"account_id", event.AccountID}, text{"account_provider", event.Provider}
	if err := optional(account, provider); err != nil {
		return Signal{}, err
	}
	if err := required(account); err != nil && known {
		return Signal{}, err
	}
	occurredAt, err := unipileV2Time(event.Payload.Timestamp, event.CreatedAt)
	if err != nil && known {
		return Signal{}, err
	}
	signal := Signal{
		Source:      "unipile_v2",
		DeliveryKey: "unipile_v2:" + event.ID,
		Provider:    strings.ToLower(cmp.Or(event.Provider, "linkedin")),
		AccountID:   event.AccountID,
		Raw:         event.Type,
		OccurredAt:  occurredAt,
		Body:        body,
	}
	// Events of a test application are not about accounts of the platform.
	if !known || !s.TestEvents && event.Production != nil && !*event.Production {
		return signal, nil
	}
	v1ID := text{"v1_account_id", cmp.Or(event.Payload.Account.Metadata.V1AccountID, event.Payload.Metadata.V1AccountID, event.Metadata.V1AccountID)}
	if err := optional(v1ID); err != nil {
		return Signal{}, err
	}
	signal.Status, signal.Fresh, signal.V1AccountID = m.status, m.fresh, v1ID.value
	switch event.Type {
	case "account.add", "account.reconnect":
		// The login succeeded. account.status.running confirms that the account works, unless this
		// event already does.
		if event.Payload.Account.runs() {
			signal.Status, signal.Fresh = connected, false
		}
	default:
		if strings.HasPrefix(event.Type, "account.status.") && event.Payload.Product != "" {
			if signal.Product = strings.ToLower(event.Payload.Product); !product.MatchString(signal.Product) {
				return Signal{}, malformed("payload.product is not a product name: send at most 64 letters, digits and underscores")
			}
		}
	}
	return signal, nil
}

// product matches the name of a product. Today: classic, company, recruiter, sales_navigator.
var product = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// unipileV2Time returns when the account changed or, if that is missing, when the event was
// created.
func unipileV2Time(payloadTimestamp, createdAt string) (time.Time, error) {
	if payloadTimestamp != "" {
		return parseTime(text{"payload.timestamp", payloadTimestamp})
	}
	return parseTime(text{"created_at", createdAt})
}
