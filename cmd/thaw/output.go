package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// An output is the standard output of a command. It keeps the first write error, so that a command
// need not check every print: run checks once at the end, and a command whose output was lost never
// succeeds.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.Writer.Write(p)
	if err != nil {
		o.err = fmt.Errorf("writing the output failed: %w", err)
	}
	return n, o.err
}

// printf prints text for people. String arguments may be untrusted (keys, names, reasons, URLs), so
// they are escaped: they cannot end a line, move the cursor or change colors. See [visible]. The
// format is trusted and printed unchanged.
func printf(w io.Writer, format string, args ...any) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case error:
			args[i] = visible(arg.Error())
		case fmt.Stringer:
			args[i] = visible(arg.String())
		default:
			if v := reflect.ValueOf(arg); v.Kind() == reflect.String {
				args[i] = visible(v.String())
			}
		}
	}
	// The output keeps the error.
	_, _ = fmt.Fprintf(w, format, args...)
}

// printLine prints one line of untrusted text.
func printLine(w io.Writer, text string) { printf(w, "%s\n", text) }

// visible replaces characters that a terminal interprets or hides with Go escapes: "\n", "\x1b",
// "\u202e". It keeps the two joiners, which some scripts and emoji need.
func visible(text string) string {
	if !strings.ContainsFunc(text, isHidden) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case isHidden(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
		text = text[size:]
	}
	return b.String()
}

func isHidden(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r == utf8.RuneError || !unicode.IsGraphic(r) && r != nonJoiner && r != joiner
}

// writeJSON writes one indented JSON value.
func writeJSON(w io.Writer, value any) error {
	encoder := newJSONEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// newJSONEncoder returns an encoder whose output is safe to show on a terminal.
func newJSONEncoder(w io.Writer) *json.Encoder {
	encoder := json.NewEncoder(jsonText{w})
	encoder.SetEscapeHTML(false)
	return encoder
}

// jsonText escapes control characters that JSON allows unescaped: DEL and C1, which begin escape
// sequences on some terminals. The encoder writes each value in one call, so a character is never
// split.
type jsonText struct{ io.Writer }

func (t jsonText) Write(p []byte) (int, error) {
	text := string(p)
	if strings.ContainsFunc(text, isUnescaped) {
		var b strings.Builder
		for _, r := range text {
			if isUnescaped(r) {
				fmt.Fprintf(&b, `\u%04x`, r)
			} else {
				b.WriteRune(r)
			}
		}
		text = b.String()
	}
	if _, err := io.WriteString(t.Writer, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

func isUnescaped(r rune) bool { return r >= 0x7f && r < 0xa0 }

// stamp formats a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// stampIn formats a time on the clock of a zone, or of UTC if the zone is unknown.
func stampIn(t time.Time, zone string) string {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		location, zone = time.UTC, "UTC"
	}
	return t.In(location).Format("Mon 2006-01-02 15:04 ") + zone
}

// stampOr formats an optional time.
func stampOr(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return stamp(*t)
}
