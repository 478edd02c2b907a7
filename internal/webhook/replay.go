package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Record is a delivery that another system stored, such as the platform's log of provider
// webhooks.
type Record struct {
	// Route is the dialect, as in its path; see [Routes].
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
	all := new(Dialects).all()
	i := slices.IndexFunc(all, func(d dialect) bool { return d.route() == r.Route })
	if i < 0 {
		return Signal{}, malformed("route %s is unknown: it must be one of %s", strconv.Quote(r.Route), strings.Join(Routes(), ", "))
	}
	if s, err = all[i].decode(r.ID, r.Body); err != nil {
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
