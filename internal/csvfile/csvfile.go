// Package csvfile reads the files that people give to commands, as spreadsheets and databases write them: UTF-8 or UTF-16, with or
// without a byte-order mark, with CRLF or LF. Whatever else a file is, such as a workbook or an archive, is named by its cause.
//
// Memory is bounded: a record that goes on for more than [MaxRecord], as with a quote that is never closed, ends the reading.
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
	// MaxRecord is how many bytes a record may have, with the lines that its quoted fields go on for.
	MaxRecord = 1 << 20
	// lookAt is how much of a file is looked at to see what it is.
	lookAt = 1 << 16
)

// A ProblemError is what is wrong with a file at a line.
type ProblemError struct {
	Line    int
	Message string
	// Ends says that nothing after it can be read.
	Ends bool
}

func (p *ProblemError) Error() string { return fmt.Sprintf("line %d: %s", p.Line, p.Message) }

var errEndless = errors.New("record too long")

// An input counts the bytes that are read, and reads no more than it is allowed to.
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

// Text returns a file as UTF-8 text without a byte-order mark. A [ProblemError] says what a file is that is no text.
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
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file is compressed (gzip): unpack it first, as with gunzip"}
	case is("PK\x03\x04"):
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file is a workbook (xlsx, ods) or another zip archive: save it as CSV, in UTF-8"}
	case is("\xd0\xcf\x11\xe0"):
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file is an old Excel workbook (xls): save it as CSV, in UTF-8"}
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
	// One read: a pipe may have no more yet, and a file that is given in pieces is not waited for.
	if _, err := buffered.Peek(1); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	beginning, _ := buffered.Peek(buffered.Buffered())
	// The last byte may be the first half of a CRLF.
	if bytes.IndexByte(beginning, '\n') < 0 && bytes.IndexByte(beginning[:max(len(beginning)-1, 0)], '\r') >= 0 {
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file has line ends of old Macs (CR alone): save it with line ends LF or CRLF"}
	}
	if bytes.HasPrefix(bytes.ToLower(beginning), []byte("sep=")) {
		return nil, &ProblemError{Line: 1, Ends: true, Message: "the file begins with a line \"sep=\", which only Excel reads: delete that line"}
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

// NewReader returns a reader of the file, or a [ProblemError] that says why it cannot be read.
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

// BytesRead is how much of the file has been read.
func (r *Reader) BytesRead() int64 { return r.input.read }

// Line is where a field of the last record begins.
func (r *Reader) Line(field int) int {
	line, _ := r.csv.FieldPos(field)
	return line
}

// Read returns the next record that is not blank, which is valid until the next call; [io.EOF] after the last one; or a [ProblemError].
func (r *Reader) Read() ([]string, error) {
	for {
		r.input.allowed = MaxRecord
		record, err := r.csv.Read()
		if len(record) > 0 {
			last, _ := r.csv.FieldPos(len(record) - 1)
			r.lastLine = last + strings.Count(record[len(record)-1], "\n")
		}
		if (err == nil || errors.Is(err, csv.ErrFieldCount)) && isBlank(record) {
			continue // spreadsheets pad a table with such rows
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

// problem turns an error that is about the file into a ProblemError.
func (r *Reader) problem(err error) error {
	var at *csv.ParseError
	switch {
	case errors.Is(err, errEndless):
		return &ProblemError{Line: r.lastLine + 1, Ends: true, Message: fmt.Sprintf(
			"goes on for more than %d bytes: is there a quote that is not closed?", MaxRecord)}
	case !errors.As(err, &at):
		return err
	case errors.Is(err, csv.ErrFieldCount):
		return &ProblemError{Line: at.StartLine, Message: fmt.Sprintf("must have %d fields, as the header has", r.csv.FieldsPerRecord)}
	case errors.Is(err, csv.ErrBareQuote):
		return &ProblemError{Line: at.StartLine, Message: fmt.Sprintf(
			"has a quote inside a field that is not quoted, at byte %d: quote the whole field and double the quote inside", at.Column)}
	default:
		// Where a quote ends is not known, so what follows cannot be told apart into fields.
		return &ProblemError{Line: at.StartLine, Ends: true, Message: fmt.Sprintf(
			"has a quoted field that is not closed, or a quote inside of one that is not doubled (noticed on line %d)", at.Line)}
	}
}

// Names returns the names of the columns as they are compared: in lower case, without space around them.
func Names(header []string) []string {
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = strings.ToLower(strings.TrimSpace(name))
	}
	return names
}

// CheckHeader says what is wrong with the names of the columns where none of those that are wanted is there; "" if one is.
func CheckHeader(names, wanted []string) string {
	if slices.ContainsFunc(names, func(name string) bool { return slices.Contains(wanted, name) }) {
		return ""
	}
	if len(names) == 1 {
		for separator, called := range map[string]string{";": "semicolons", "\t": "tabs", "|": "bars"} {
			fields := Names(strings.Split(names[0], separator))
			if slices.ContainsFunc(fields, func(name string) bool { return slices.Contains(wanted, name) }) {
				return "separates its columns by " + called + ": separate them by commas"
			}
		}
	}
	return "is not a header"
}
