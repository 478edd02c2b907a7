package providersim

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A fault is how a request fails.
type fault struct {
	status int
	code   string // of the error, without errors/
	// delivers is the probability that the request had its effect before it failed.
	delivers float64
	// resets closes the connection after the request was read, without an answer.
	resets bool
	// hides answers 200 without the ID of the delivery.
	hides bool
	// delays changes only when the answer comes.
	delays bool
	// becomes is the state of the account from then on.
	becomes string
	// kind is the only kind for which the fault is drawn. Empty: any kind.
	kind string
}

const (
	// slowTime is how long a slow answer takes by default: longer than senders usually wait.
	slowTime = 90 * time.Second
	// maxSlowTime is how long it takes at most.
	maxSlowTime = 5 * time.Minute
)

// States of an account: statuses of the provider.
const (
	StatusOK          = "OK"
	StatusCredentials = "CREDENTIALS"
	StatusRestricted  = "RESTRICTED"
)

var faults = map[string]fault{
	"reset":                    {resets: true, delivers: 0.5},
	"provider_error":           {status: http.StatusInternalServerError, code: "provider_error", delivers: 0.5},
	"gateway_timeout":          {status: http.StatusGatewayTimeout, code: "request_timeout", delivers: 0.5},
	"no_id":                    {status: http.StatusOK, hides: true, delivers: 0.5},
	"slow":                     {delays: true},
	"unavailable":              {status: http.StatusServiceUnavailable, code: "service_unavailable"},
	"too_many_requests":        {status: http.StatusTooManyRequests, code: "too_many_requests"},
	"limit_as_429":             {status: http.StatusTooManyRequests, code: "limit_exceeded"},
	"limit_as_500":             {status: http.StatusInternalServerError, code: "limit_exceeded"},
	"limit_exceeded":           {status: http.StatusUnprocessableEntity, code: "limit_exceeded"},
	"cannot_resend_yet":        {status: http.StatusUnprocessableEntity, code: "cannot_resend_yet", kind: "invite"},
	"credits_as_402":           {status: http.StatusPaymentRequired, code: "insufficient_credits", kind: "inmail"},
	"insufficient_credits":     {status: http.StatusUnprocessableEntity, code: "insufficient_credits", kind: "inmail"},
	"already_invited_recently": {status: http.StatusUnprocessableEntity, code: "already_invited_recently", kind: "invite"},
	"already_connected":        {status: http.StatusUnprocessableEntity, code: "already_connected", kind: "invite"},
	"invalid_recipient":        {status: http.StatusUnprocessableEntity, code: "invalid_recipient"},
	"user_unreachable":         {status: http.StatusUnprocessableEntity, code: "user_unreachable"},
	"checkpoint":               {status: http.StatusUnauthorized, code: "checkpoint_error", becomes: StatusCredentials},
	// Of the API key of the sender, not of the account.
	"missing_credentials":      {status: http.StatusUnauthorized, code: "missing_credentials"},
	"insufficient_permissions": {status: http.StatusForbidden, code: "insufficient_permissions"},
	"restricted":               {status: http.StatusForbidden, code: "account_restricted", becomes: StatusRestricted},
}

// FaultNames returns the names of all faults.
func FaultNames() []string { return slices.Sorted(maps.Keys(faults)) }

// Rates are the shares of requests that fail, by fault.
type Rates map[string]float64

// ParseRates parses a list such as reset=0.01,limit_exceeded=0.02.
func ParseRates(text string) (Rates, error) {
	rates := Rates{}
	var sum float64
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		if _, known := faults[name]; !known {
			return nil, fmt.Errorf("the fault %q is unknown: use one of %s", name, strings.Join(FaultNames(), ", "))
		}
		rate, err := strconv.ParseFloat(value, 64)
		if err != nil || !(rate >= 0 && rate <= 1) {
			return nil, fmt.Errorf("the rate of %s is %q: use a number from 0 to 1", name, value)
		}
		rates[name] = rate
		sum += rate
	}
	if sum > 1 {
		return nil, fmt.Errorf("the rates add up to %g: use at most 1", sum)
	}
	return rates, nil
}

// draw returns the fault of a request of a kind, or "" if it succeeds.
func (r Rates) draw(source *rand.Rand, kind string) string {
	at := source.Float64()
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if at -= r[name]; at < 0 {
			if only := faults[name].kind; only != "" && only != kind {
				return ""
			}
			return name
		}
	}
	return ""
}

// chance returns the random numbers of a request, which depend only on the seed and on what is
// requested.
func chance(seed uint64, parts ...string) *rand.Rand {
	hash := fnv.New64a()
	for _, part := range parts {
		_, _ = hash.Write([]byte(part + "\x00"))
	}
	return rand.New(rand.NewPCG(seed, hash.Sum64())) //nolint:gosec // Repeatable on purpose.
}
