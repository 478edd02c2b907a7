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
	// maxBody is the maximum size of a body, in bytes.
	maxBody = 64 << 10
	// usualBody is larger than a typical account-status body, in bytes.
	usualBody = 2 << 10

	// maxText is the maximum length of an identifier or status, in bytes. It keeps index entries
	// well below the limit of a Postgres B-tree page.
	maxText = 256
)

// readBody reads at most maxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var read bytes.Buffer
	// Allocate only a typical body in advance, and more only for what was received.
	read.Grow(int(min(max(r.ContentLength, 0), usualBody)) + bytes.MinRead)
	_, err := read.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, refusal{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the body is larger than %d bytes: send one event per delivery", tooLarge.Limit)}
	}
	if err != nil {
		return nil, malformed("the body is incomplete: send the delivery again")
	}
	return read.Bytes(), nil
}

// checkJSON rejects a body that is not JSON, or that a jsonb column cannot store.
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

// escape matches each escape sequence of a valid JSON text. A surrogate pair is one match. The four
// hex digits of any other \u escape are captured.
var escape = regexp.MustCompile(`(?i)\\(?:[^u]|ud[89ab]..\\ud[c-f]..|u(....))`)

// checkEscapes rejects escapes that are valid JSON but that Postgres cannot store: NUL, and half a
// surrogate pair.
func checkEscapes(document []byte) error {
	if !bytes.Contains(document, []byte(`\u`)) {
		return nil
	}
	for _, match := range escape.FindAllSubmatch(document, -1) {
		code := strings.ToLower(string(match[1]))
		switch {
		case code == "0000":
			return malformed(`the body contains a NUL character (\u0000): remove it`)
		case code >= "d800" && code <= "dfff":
			return malformed(`the body contains half a surrogate pair (\u%s): send both halves, or the character itself`, code)
		}
	}
	return nil
}

// checkNumbers rejects very long numbers, because jsonb stores decimal digits and limits their
// count. The document must be valid JSON: outside strings, only a number starts with a digit or a
// minus.
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

// fill decodes a checked body into a struct. For a value of the wrong type, it returns an error
// that names the field, and still fills in all other fields.
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

// inJSON names the expected JSON type of a field.
func inJSON(wrong *json.UnmarshalTypeError) string {
	if wrong.Type.Kind() == reflect.String {
		return "a string"
	}
	return "an object"
}

// text is a string of a delivery, with the name that the sender uses for it.
type text struct{ name, value string }

// required rejects a delivery if one of the texts is missing or invalid.
func required(texts ...text) error {
	for _, t := range texts {
		if t.value == "" {
			return malformed("%s is missing: send a string that is not empty", t.name)
		}
	}
	return optional(texts...)
}

// optional rejects a delivery if one of the texts is present but invalid.
func optional(texts ...text) error {
	for _, t := range texts {
		if len(t.value) > maxText {
			return malformed("%s is %d bytes long: send at most %d", t.name, len(t.value), maxText)
		}
		if !utf8.ValidString(t.value) || strings.ContainsRune(t.value, 0) {
			return malformed("%s is not valid text: send UTF-8 without NUL", t.name)
		}
		if strings.ContainsFunc(t.value, unicode.IsControl) {
			return malformed("%s contains control characters: remove them, including line breaks", t.name)
		}
	}
	return nil
}

// The range of times that the database accepts (account_signals_occurred_at_is_bounded).
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
		return time.Time{}, malformed("%s is not an RFC 3339 time: send a time like 2026-05-07T10:00:00Z, or omit it", t.name)
	}
	if at = at.UTC(); at.Before(firstTime) || !at.Before(endOfTime) {
		return time.Time{}, malformed("%s is in the year %d: send a time from 2000 to 2099, or omit it", t.name, at.Year())
	}
	return at, nil
}
