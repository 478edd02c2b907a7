package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// A Record is a delivery that somebody else has kept, such as the platform's log of what the provider sent.
type Record struct {
	// Route is the dialect: "unipile/v1", "unipile/v2" or "standard", as in the path of the route.
	Route string
	// ID is the webhook-id of a delivery to "standard".
	ID string
	// ReceivedAt is when it was first received. Required: it is the time of a delivery that has none of its own.
	ReceivedAt time.Time
	Body       []byte
}

// Decode turns a record into what its route would have made of the delivery. Nothing proves its origin: the operator vouches for
// the record. It has a time always, so that it is never newer than what was received since; and a delivery key always, so that the
// same record twice is a duplicate.
func Decode(r Record) (s Signal, err error) {
	if len(r.Body) > maxBody {
		return Signal{}, malformed("the body is larger than %d bytes", maxBody)
	}
	if r.ReceivedAt.IsZero() {
		return Signal{}, malformed("received_at is missing: a delivery without a time would count as newer than all that came since")
	}
	switch r.Route {
	case "unipile/v1":
		s, err = decodeUnipileV1(r.Body)
	case "unipile/v2":
		s, err = decodeUnipileV2(r.Body, false)
	case "standard":
		s, err = decodeStandard(r.ID, r.Body)
	default:
		return Signal{}, malformed("route %s is not known: it must be unipile/v1, unipile/v2 or standard", strconv.Quote(r.Route))
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
