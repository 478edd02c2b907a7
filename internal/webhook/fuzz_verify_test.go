package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// now is the time for the verifiers under test.
var now = time.Date(2026, 5, 7, 10, 0, 0, 0, time.UTC)

const (
	fuzzV1Secret       = "fuzz-secret-of-v1"
	fuzzV2Secret       = "fuzz-secret-of-v2"
	fuzzStandardSecret = "whsec_ZnV6ei1mdXp6LWZ1enotZnV6ei1mdXp6"
)

// checkVerified checks that a verifier accepts exactly what it should, and that an error is a 401
// that does not contain the secret.
func checkVerified(t *testing.T, should bool, err error, secret string) {
	t.Helper()
	if should {
		require.NoError(t, err)
		return
	}
	no, ok := errors.AsType[refusal](err)
	require.True(t, ok, "accepted, or not a refusal: %v", err)
	require.Equal(t, http.StatusUnauthorized, no.status)
	require.NotEmpty(t, no.reason)
	require.NotContains(t, no.reason, secret)
}

// inTime reports whether a signed time is within five minutes of now. It counts whole seconds,
// which cannot overflow.
func inTime(text string) bool {
	seconds, err := strconv.ParseInt(text, 10, 64)
	return err == nil && seconds >= now.Unix()-300 && seconds <= now.Unix()+300
}

func FuzzUnipileV1Header(f *testing.F) {
	u, err := (&UnipileV1{Secrets: []string{"another-secret-that-is-not-used", fuzzV1Secret}}).open()
	require.NoError(f, err)
	for _, value := range []string{"", fuzzV1Secret, "another-secret-that-is-not-used", fuzzV1Secret + " ", "\x00", "fuzz", strings.Repeat("x", 1<<10)} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		header := http.Header{"Unipile-Auth": {value}}
		checkVerified(t, value == fuzzV1Secret || value == "another-secret-that-is-not-used", u.verify(header, nil, now), fuzzV1Secret)
	})
}

func FuzzUnipileV2Header(f *testing.F) {
	u, err := (&UnipileV2{Secrets: []string{"another-secret-that-is-not-used", fuzzV2Secret}}).open()
	require.NoError(f, err)
	body := []byte(`{"id":"evt_1"}`)
	right := SignUnipileV2(fuzzV2Secret, now, body)
	for _, value := range []string{"", right, strings.ToUpper(right), right + "," + right, right + ",v0=", "t=1,t=2,v0=00", "v0=" + right, "t=,v0=,", ",=,=",
		strings.Replace(right, "t=", "t=+", 1), SignUnipileV2(fuzzV2Secret, time.Unix(-1<<62, 0), body), SignUnipileV2("another-secret-that-is-not-used", now.Add(-time.Hour), body)} {
		f.Add(value, body, int64(0))
	}
	f.Add(right, append(body, ' '), int64(-301))
	f.Fuzz(func(t *testing.T, value string, body []byte, late int64) {
		verify := func(value string) error { return u.verify(http.Header{"Unipile-Signature": {value}}, body, now) }

		// A second implementation of the rule: the last t counts, and any v0 may match.
		var signed string
		var signatures []string
		for part := range strings.SplitSeq(value, ",") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(part), "t="); ok {
				signed = v
			}
			if v, ok := strings.CutPrefix(strings.TrimSpace(part), "v0="); ok {
				signatures = append(signatures, strings.ToLower(v))
			}
		}
		should := false
		for _, secret := range []string{"another-secret-that-is-not-used", fuzzV2Secret} {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(signed + "."))
			mac.Write(body)
			for _, signature := range signatures {
				should = should || signature == hex.EncodeToString(mac.Sum(nil))
			}
		}
		checkVerified(t, should && inTime(signed), verify(value), fuzzV2Secret)

		// Any body that is signed now is accepted. With another time, only within five minutes.
		require.NoError(t, verify(SignUnipileV2(fuzzV2Secret, now, body)))
		checkVerified(t, inTime(strconv.FormatInt(late, 10)), verify(SignUnipileV2(fuzzV2Secret, time.Unix(late, 0), body)), fuzzV2Secret)
	})
}

func FuzzStandardHeaders(f *testing.F) {
	s, err := (&Standard{Secrets: []string{"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24)), fuzzStandardSecret}}).open()
	require.NoError(f, err)
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fuzzStandardSecret, "whsec_"))
	require.NoError(f, err)
	sign := func(id, timestamp string, body []byte) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp + "."))
		mac.Write(body)
		return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	body := []byte(`{"type":"account.status"}`)
	at := strconv.FormatInt(now.Unix(), 10)
	for _, signature := range []string{"", sign("msg_1", at, body), "v1a,x " + sign("msg_1", at, body), "v1", "v1,", "v2" + sign("msg_1", at, body)[2:], " ,, v1,="} {
		f.Add("msg_1", at, signature, body)
	}
	f.Add("", "", "", []byte(nil))
	f.Add("a.b", "-1", sign("a.b", "-1", body), body)
	f.Add("msg_1", "+"+at, sign("msg_1", "+"+at, body), body)
	f.Add("msg_1", "9223372036854775807", sign("msg_1", "9223372036854775807", body), body)
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		verify := func(id, timestamp, signature string) error {
			return s.verify(http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}, body, now)
		}
		// Whether a fuzzed signature is valid is not recomputed here: check only what must hold if
		// it is accepted.
		if err := verify(id, timestamp, signature); err != nil {
			checkVerified(t, false, err, fuzzStandardSecret)
		} else {
			require.True(t, inTime(timestamp))
			require.Contains(t, signature, "v1,")
		}
		// A signed body is accepted within five minutes; a changed one is not. The library formats
		// the timestamp itself before it signs.
		right := sign(id, timestamp, body)
		seconds, _ := strconv.ParseInt(timestamp, 10, 64)
		should := id != "" && inTime(timestamp) && timestamp == strconv.FormatInt(seconds, 10)
		checkVerified(t, should, verify(id, timestamp, right), fuzzStandardSecret)
		checkVerified(t, false, verify(id+"x", timestamp, right), fuzzStandardSecret)
		checkVerified(t, false, verify(id, timestamp, sign(id, timestamp, append([]byte("x"), body...))), fuzzStandardSecret)
	})
}
