package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// maxBody is the largest body that is read, in bytes.
	maxBody = 64 << 10
	// usualBody is above what the body of an account's status has, in bytes.
	usualBody = 2 << 10

	// maxText is the longest identifier or word that is taken, in bytes. It keeps an index entry well
	// below what a Postgres B-tree page holds.
	maxText = 256
)

// readBody reads at most maxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var read bytes.Buffer
	// A sender gets memory in advance for what a delivery usually has, and more only for what it has sent.
	read.Grow(int(min(max(r.ContentLength, 0), usualBody)) + bytes.MinRead)
	_, err := read.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, refusal{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the body is larger than %d bytes: send one event in a delivery", tooLarge.Limit)}
	}
	if err != nil {
		return nil, malformed("the body could not be read to its end: send the delivery again")
	}
	return read.Bytes(), nil
}

// checkJSON refuses a body that is not JSON or that a jsonb column does not take.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return malformed("the body is not valid UTF-8: encode it as UTF-8")
	}
	if !json.Valid(body) {
		var document json.RawMessage
		err := json.Unmarshal(body, &document)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return malformed("the body is not valid JSON at byte %d: %s", syntax.Offset, syntax)
		}
		return malformed("the body is not valid JSON: %s", err)
	}
	if err := checkEscapes(body); err != nil {
		return err
	}
	return checkNumbers(body)
}

// escape finds each escape sequence of a valid JSON text, a surrogate pair as one. It captures the four
// hex digits of every other \u escape.
var escape = regexp.MustCompile(`(?i)\\(?:[^u]|ud[89ab]..\\ud[c-f]..|u(....))`)

// checkEscapes refuses what JSON allows to write but Postgres cannot store: NUL and half a surrogate pair.
func checkEscapes(document []byte) error {
	if !bytes.Contains(document, []byte(`\u`)) {
		return nil
	}
	for _, match := range escape.FindAllSubmatch(document, -1) {
		code := strings.ToLower(string(match[1]))
		switch {
		case code == "0000":
			return malformed(`the body contains a NUL character (\u0000): leave it out`)
		case code >= "d800" && code <= "dfff":
			return malformed(`the body contains half a surrogate pair (\u%s): send both halves, or the character itself`, code)
		}
	}
	return nil
}

// checkNumbers refuses numbers beyond any use, because jsonb keeps a number in decimal digits and has
// a limit to them. It walks over the bytes of a valid document: outside of strings nothing but a number begins with a digit or
// a minus.
func checkNumbers(document []byte) error {
	for i := 0; i < len(document); i++ {
		switch c := document[i]; {
		case c == '"':
			for i++; document[i] != '"'; i++ {
				if document[i] == '\\' {
					i++
				}
			}
		case c == '-' || c >= '0' && c <= '9':
			begin := i
			for i < len(document) && strings.IndexByte("+-.0123456789eE", document[i]) >= 0 {
				i++
			}
			number := document[begin:i]
			i--
			exponent := 0
			if e := bytes.IndexAny(number, "eE"); e >= 0 {
				exponent = len(number) - e - 1
			}
			if len(number) > 100 || exponent > len("-999") {
				return malformed("the body contains a number that is too long or has too large an exponent: send it as a string")
			}
		}
	}
	return nil
}

// fill decodes a checked body into a struct. A value of the wrong type is an error that names its field;
// all other fields are filled in nevertheless.
func fill(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return malformed("the body is a JSON %s: send an object", wrong.Value)
		}
		return malformed("%s is a JSON %s: send %s", wrong.Field, wrong.Value, inJSON(wrong))
	}
	if err != nil {
		return malformed("the body is not valid JSON: %s", err)
	}
	return nil
}

// inJSON names the JSON type that a field should have had.
func inJSON(wrong *json.UnmarshalTypeError) string {
	if wrong.Type.Kind() == reflect.String {
		return "a string"
	}
	return "an object"
}

// text is one string of a delivery with the name that its sender knows it by.
type text struct{ name, value string }

// required refuses a delivery in which one of the texts is missing or unfit.
func required(texts ...text) error {
	for _, t := range texts {
		if t.value == "" {
			return malformed("%s is missing: send it as a string that is not empty", t.name)
		}
	}
	return optional(texts...)
}

// optional refuses a delivery in which one of the texts is there but unfit.
func optional(texts ...text) error {
	for _, t := range texts {
		if len(t.value) > maxText {
			return malformed("%s is %d bytes long: send at most %d", t.name, len(t.value), maxText)
		}
		if !utf8.ValidString(t.value) || strings.ContainsRune(t.value, 0) {
			return malformed("%s contains bytes that are not text: send UTF-8 without NUL", t.name)
		}
		if strings.ContainsFunc(t.value, unicode.IsControl) {
			return malformed("%s contains control characters: send it without line breaks and the like", t.name)
		}
	}
	return nil
}

// The times that the database takes (account_signals_occurred_at_is_bounded).
var (
	firstTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	endOfTime = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// parseTime reads an RFC 3339 time. An empty one is the zero time.
func parseTime(t text) (time.Time, error) {
	if t.value == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, t.value)
	if err != nil {
		return time.Time{}, malformed("%s is not an RFC 3339 time: send it like 2026-05-07T10:00:00Z, or leave it out", t.name)
	}
	if at = at.UTC(); at.Before(firstTime) || !at.Before(endOfTime) {
		return time.Time{}, malformed("%s is in the year %d: send a time from 2000 to 2099, or leave it out", t.name, at.Year())
	}
	return at, nil
}
