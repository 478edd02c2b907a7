package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// A Record is a delivery that another system stored, such as the platform's log of provider
// webhooks.
type Record struct {
	// Route is the dialect, as in its path: "unipile/v1", "unipile/v2" or "standard".
	Route string
	// ID is the webhook-id. Only for "standard".
	ID string
	// ReceivedAt is when the delivery was first received. Required: it is used for deliveries that
	// contain no time.
	ReceivedAt time.Time
	Body       []byte
}

// Decode returns the signal that the route would have decoded. It does not authenticate the record:
// the operator must trust its source. The signal always has a time, so that it is never newer than
// later signals, and always has a delivery key, so that a repeated record is a duplicate.
func Decode(r Record) (s Signal, err error) {
	if len(r.Body) > maxBody {
		return Signal{}, malformed("the body is larger than %d bytes", maxBody)
	}
	if r.ReceivedAt.IsZero() {
		return Signal{}, malformed("received_at is missing: without it, the delivery would count as newer than all later signals")
	}
	switch r.Route {
	case "unipile/v1":
		s, err = decodeUnipileV1(r.Body)
	case "unipile/v2":
		s, err = decodeUnipileV2(r.Body, false)
	case "standard":
		s, err = decodeStandard(r.ID, r.Body)
	default:
		return Signal{}, malformed("route %s is unknown: it must be unipile/v1, unipile/v2 or standard", strconv.Quote(r.Route))
	}
	if err != nil {
		return Signal{}, err
	}
	if s.OccurredAt.IsZero() {
		s.OccurredAt = r.ReceivedAt.UTC()
	}
	if s.DeliveryKey == "" {
		hash := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", r.Route, r.ReceivedAt.UnixMicro(), r.Body))
		s.DeliveryKey = "replay:" + hex.EncodeToString(hash[:])
	}
	return s, nil
}
