// Package csvfile reads CSV files as spreadsheets and databases write them: UTF-8 or UTF-16, with
// or without a byte-order mark, with CRLF or LF. It rejects other files, such as workbooks and
// archives, with an error that names their format.
//
// Memory is bounded: reading stops at a record that is longer than [MaxRecord], for example after
// an unclosed quote.
package csvfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

const (
	// MaxRecord is the maximum length of a record in bytes, including line breaks in quoted fields.
	MaxRecord = 1 << 20
	// lookAt is how many bytes are used to detect the format.
	lookAt = 1 << 16
)

// A ProblemError describes what is wrong with a line of a file.
type ProblemError struct {
	Line    int
	Message string
	// Ends means that the rest of the file cannot be read.
	Ends bool
}

func (p *ProblemError) Error() string { return fmt.Sprintf("line %d: %s", p.Line, p.Message) }

var errEndless = errors.New("record too long")

// An input counts and limits the bytes that are read.
type input struct {
	io.Reader
	read, allowed int64
}

func (in *input) Read(p []byte) (int, error) {
	if in.allowed <= 0 {
		return 0, errEndless
	}
	n, err := in.Reader.Read(p)
	in.read += int64(n)
	in.allowed -= int64(n)
	return n, err
}

// Text returns a file as UTF-8 text without a byte-order mark. For a file that is not text it
// returns a [ProblemError] with the format of the file.
func Text(r io.Reader) (*bufio.Reader, error) {
	raw := bufio.NewReaderSize(r, lookAt)
	start, err := raw.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	is := func(mark string) bool { return bytes.HasPrefix(start, []byte(mark)) }
	var text io.Reader = raw
	switch {
	case is("\x1f\x8b"):
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file is compressed (gzip): decompress it first, for example with gunzip"}
	case is("PK\x03\x04"):
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file is a workbook (xlsx, ods) or another zip archive: save it as CSV in UTF-8"}
	case is("\xd0\xcf\x11\xe0"):
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file is an Excel workbook (xls): save it as CSV in UTF-8"}
	case is("\xff\xfe"), is("\xfe\xff"):
		text = utf16(raw, unicode.LittleEndian, unicode.UseBOM)
	case len(start) == 4 && start[0] != 0 && start[1] == 0:
		text = utf16(raw, unicode.LittleEndian, unicode.IgnoreBOM)
	case len(start) == 4 && start[0] == 0 && start[1] != 0:
		text = utf16(raw, unicode.BigEndian, unicode.IgnoreBOM)
	case is("\xef\xbb\xbf"):
		_, _ = raw.Discard(3)
	}
	buffered := raw
	if text != io.Reader(raw) {
		buffered = bufio.NewReaderSize(text, lookAt)
	}
	// Read once only, because a pipe may not have more data yet.
	if _, err := buffered.Peek(1); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	beginning, _ := buffered.Peek(buffered.Buffered())
	// Ignore the last byte, which may be the CR of a CRLF.
	if bytes.IndexByte(beginning, '\n') < 0 && bytes.IndexByte(beginning[:max(len(beginning)-1, 0)], '\r') >= 0 {
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file has CR line endings: save it with LF or CRLF line endings"}
	}
	if bytes.HasPrefix(bytes.ToLower(beginning), []byte("sep=")) {
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file begins with a \"sep=\" line, which only Excel understands: delete that line"}
	}
	return buffered, nil
}

func utf16(r io.Reader, order unicode.Endianness, mark unicode.BOMPolicy) io.Reader {
	return transform.NewReader(r, unicode.UTF16(order, mark).NewDecoder())
}

// A Reader reads a CSV file record by record.
type Reader struct {
	input    *input
	csv      *csv.Reader
	lastLine int
}

// NewReader returns a reader for a file, or a [ProblemError] if the file cannot be read.
func NewReader(r io.Reader) (*Reader, error) {
	in := &input{Reader: r, allowed: MaxRecord}
	text, err := Text(in)
	if err != nil {
		return nil, err
	}
	c := csv.NewReader(text)
	c.ReuseRecord = true
	return &Reader{input: in, csv: c}, nil
}

// BytesRead returns how many bytes of the file have been read.
func (r *Reader) BytesRead() int64 { return r.input.read }

// Line returns the line on which a field of the last record begins.
func (r *Reader) Line(field int) int {
	line, _ := r.csv.FieldPos(field)
	return line
}

// Read returns the next record that is not blank. The record is valid until the next call. Errors
// are [io.EOF] after the last record, or a [ProblemError].
func (r *Reader) Read() ([]string, error) {
	for {
		r.input.allowed = MaxRecord
		record, err := r.csv.Read()
		if len(record) > 0 {
			last, _ := r.csv.FieldPos(len(record) - 1)
			r.lastLine = last + strings.Count(record[len(record)-1], "\n")
		}
		if (err == nil || errors.Is(err, csv.ErrFieldCount)) && isBlank(record) {
			continue // spreadsheets add blank rows after a table
		}
		if err != nil && !errors.Is(err, io.EOF) {
			err = r.problem(err)
		}
		return record, err
	}
}

func isBlank(record []string) bool {
	return !slices.ContainsFunc(record, func(field string) bool { return strings.TrimSpace(field) != "" })
}

// problem converts a CSV error to a ProblemError.
func (r *Reader) problem(err error) error {
	var at *csv.ParseError
	switch {
	case errors.Is(err, errEndless):
		return &ProblemError{Line: r.lastLine + 1, Ends: true, Message: fmt.Sprintf(
			"is longer than %d bytes: check for an unclosed quote", MaxRecord)}
	case !errors.As(err, &at):
		return err
	case errors.Is(err, csv.ErrFieldCount):
		return &ProblemError{Line: at.StartLine, Message: fmt.Sprintf("must have %d fields, like the header", r.csv.FieldsPerRecord)}
	case errors.Is(err, csv.ErrBareQuote):
		return &ProblemError{Line: at.StartLine, Message: fmt.Sprintf(
			"has a quote in an unquoted field, at byte %d: quote the whole field and double the quote in it", at.Column)}
	default:
		// The end of the quoted field is unknown, so the rest cannot be split into fields.
		return &ProblemError{Line: at.StartLine, Ends: true, Message: fmt.Sprintf(
			"has an unclosed quoted field, or a quote in a quoted field that is not doubled (detected on line %d)", at.Line)}
	}
}

// Names normalizes column names for comparison: lower case, without surrounding space.
func Names(header []string) []string {
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = strings.ToLower(strings.TrimSpace(name))
	}
	return names
}

// CheckHeader describes the problem if the header has none of the wanted columns. Otherwise it
// returns "".
func CheckHeader(names, wanted []string) string {
	if slices.ContainsFunc(names, func(name string) bool { return slices.Contains(wanted, name) }) {
		return ""
	}
	if len(names) == 1 {
		for separator, called := range map[string]string{";": "semicolons", "\t": "tabs", "|": "bars"} {
			fields := Names(strings.Split(names[0], separator))
			if slices.ContainsFunc(fields, func(name string) bool { return slices.Contains(wanted, name) }) {
				return "uses " + called + " as separators: use commas"
			}
		}
	}
	return "is not a header"
}
