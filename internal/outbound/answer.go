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

// A Verdict says what came of an attempt.
type Verdict int

// Verdicts.
const (
	Failed    Verdict = iota // to be tried again
	Delivered                // 2xx
	Gone                     // 410: the receiver wants no more of anything
)

// An Answer is what came of an attempt.
type Answer struct {
	Verdict Verdict
	// Status is the HTTP status; 0: there was no answer.
	Status int
	// Problem says what was wrong, for people; empty: nothing.
	Problem string
	// RetryAfter is how long the receiver asks to be left alone; 0: it did not say.
	RetryAfter time.Duration
}

// maxProblem is how many characters of an answer are kept.
const maxProblem = 200

func unanswered(err error) Answer {
	// Its wrapping repeats method and URL.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return Answer{Problem: "no answer: " + clean(err.Error())}
}

func answered(response *http.Response) Answer {
	// Read to the end where that is near: the connection can then be used again.
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
		a.Problem = fmt.Sprintf("%d: redirects are not followed; give the URL that it leads to, %q", a.Status, Masked(clean(response.Header.Get("Location"))))
	default:
		a.Problem = strings.TrimSuffix(fmt.Sprintf("%d: %s", a.Status, clean(string(beginning))), ": ")
	}
	if a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable {
		a.RetryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	return a
}

// retryAfter reads the header: seconds, or a date. What cannot be read was not said.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// clean makes one short line that any terminal and the database can take from what a receiver sent.
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
