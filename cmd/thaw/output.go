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

// An output is the standard output of a command. It remembers the first error, so that a command can print without looking
// at each error: run looks once, at the end, and a lost answer is never a success.
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
		o.err = fmt.Errorf("the output cannot be written: %w", err)
	}
	return n, o.err
}

// printf prints text for people. Every text among the arguments may come from outside (keys, names, reasons, URLs), so it
// cannot end a line, move the cursor or change colors: see [visible]. The format is ours and is printed as it is.
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
	// The output remembers an error.
	_, _ = fmt.Fprintf(w, format, args...)
}

// printLine prints one line of text for people, as printf.
func printLine(w io.Writer, text string) { printf(w, "%s\n", text) }

// visible writes the characters that a terminal would act on, or not show, as Go escapes: "\n", "\x1b", "\u202e". The two
// joiners, which some scripts and emoji need, stay.
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

// writeJSON writes a value for programs: indented, one per call.
func writeJSON(w io.Writer, value any) error {
	encoder := newJSONEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// newJSONEncoder writes JSON that is safe to show on a terminal too.
func newJSONEncoder(w io.Writer) *json.Encoder {
	encoder := json.NewEncoder(jsonText{w})
	encoder.SetEscapeHTML(false)
	return encoder
}

// jsonText escapes the control characters that JSON does not have to escape: DEL, and C1, which begin escape sequences on
// some terminals. The encoder writes a value at once, so no character comes in two parts.
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

// stamp writes a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// stampOr writes a time that may not be there.
func stampOr(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return stamp(*t)
}
