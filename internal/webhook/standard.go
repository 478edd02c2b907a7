package webhook

import (
	"net/http"
	"strconv"
	"time"

	"github.com/thawline/thaw/internal/signing"
)

// Standard are the settings of Standard Webhooks, which any sender can use.
type Standard struct {
	// Secrets sign the deliveries: at most two, see package signing.
	Secrets []string `name:"standard-secret" type:"secrets" help:"Signing secret of Standard Webhooks: whsec_ followed by base64 of 24 to 64 bytes. Two secrets are accepted, separated by a comma. Without a secret the route is disabled." placeholder:"SECRET" env:"THAW_STANDARD_SECRET"`
}

func (s *Standard) route() string     { return "standard" }
func (s *Standard) secrets() []string { return s.Secrets }

// standardType is the only type that is about an account's status.
const standardType = "account.status"

// standard authenticates by the signature of Standard Webhooks; see package signing.
type standard struct{ keys signing.Keys }

func (s *Standard) open() (verifier, error) {
	keys, err := signing.ParseKeys(s.Secrets)
	return &standard{keys}, err
}

// verify checks the signature with the library and the time with checkSignedTime, because the
// library has its own clock.
func (s *standard) verify(header http.Header, body []byte, now time.Time) error {
	for _, name := range []string{signing.HeaderID, signing.HeaderTimestamp, signing.HeaderSignature} {
		if header.Get(name) == "" {
			return unauthorized("the header %s is missing: sign the delivery", name)
		}
	}
	seconds, err := strconv.ParseInt(header.Get(signing.HeaderTimestamp), 10, 64)
	if err != nil {
		return unauthorized("the header %s is not a number: send the time of signing in Unix seconds", signing.HeaderTimestamp)
	}
	if !s.keys.Verify(header, body) {
		return unauthorized("no signature in %s matches: sign \"id.timestamp.body\", with the raw body as sent, using the secret that is configured here",
			signing.HeaderSignature)
	}
	return checkSignedTime(signing.HeaderTimestamp, time.Unix(seconds, 0), now)
}

func (s *Standard) decode(id string, body []byte) (Signal, error) {
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
	if err := required(text{signing.HeaderID, id}, text{"type", event.Type}); err != nil {
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
	signal.Raw, signal.Status = data.Status, data.Status
	return signal, nil
}
