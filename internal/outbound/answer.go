package outbound

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A Verdict is the result of an attempt.
type Verdict int

// Verdicts.
const (
	Failed    Verdict = iota // retry
	Delivered                // 2xx
	Gone                     // 410: the receiver wants no more messages
)

// An Answer is the outcome of an attempt.
type Answer struct {
	Verdict Verdict
	// Status is the HTTP status. 0 if there was no response.
	Status int
	// Problem is a description of the error for people. Empty if there was none.
	Problem string
	// RetryAfter is how long the receiver asks to wait. 0 if it did not say.
	RetryAfter time.Duration
}

// maxProblem is how many characters of a response are kept.
const maxProblem = 200

func unanswered(err error) Answer {
	// The wrapping error repeats the method and the URL.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return Answer{Problem: "no response: " + clean(err.Error())}
}

func answered(response *http.Response) Answer {
	// If the body is read to its end, the connection can be reused.
	beginning, _ := io.ReadAll(io.LimitReader(response.Body, maxBody))
	a := Answer{Status: response.StatusCode}
	switch {
	case a.Status >= 200 && a.Status < 300:
		a.Verdict = Delivered
		return a
	case a.Status == http.StatusGone:
		a.Verdict = Gone
		a.Problem = "410: the receiver wants no more messages"
	case a.Status >= 300 && a.Status < 400:
		a.Problem = fmt.Sprintf("%d: redirects are not followed: use the URL that it redirects to, %q", a.Status, Masked(clean(response.Header.Get("Location"))))
	default:
		a.Problem = strings.TrimSuffix(fmt.Sprintf("%d: %s", a.Status, clean(string(beginning))), ": ")
	}
	if a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable {
		a.RetryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	return a
}

// retryAfter parses the header: seconds or a date. It returns 0 for any other value.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// clean turns what a receiver sent into one short line that is safe for terminals and the database.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxProblem {
		return string(runes[:maxProblem]) + "…"
	}
	return text
}
