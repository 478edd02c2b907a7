package importer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxRecord is how many bytes a line of a file, with the lines that its quoted fields go on for, may have: a quote that
	// is never closed would otherwise take the rest of the file into memory.
	maxRecord = 1 << 20
	// progressEvery is how many rows are read from one call of Progress to the next.
	progressEvery = 1000
)

// byteOrderMark is what spreadsheets put at the start of a file in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

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

// A source reads a file row by row for COPY. Rows that have problems are left out; the caller looks at problems when the
// copying is over. It implements [pgx.CopyFromSource].
type source struct {
	// COPY gives Next no context.
	ctx      context.Context
	input    *input
	csv      *csv.Reader
	places   [columnCount]int
	words    vocabulary
	progress func(rows, bytes int64)

	row      row
	values   []any
	fields   [columnCount]string
	rows     int64
	lastLine int
	problems Problems
	// err is why reading stopped, unless it was the end of the file or something that is wrong with it.
	err error
}

// newSource reads the header of a file. What is wrong with it is returned as Problems.
func newSource(ctx context.Context, r io.Reader, words vocabulary, progress func(rows, bytes int64)) (*source, error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	s := &source{ctx: ctx, input: &input{Reader: r, allowed: maxRecord}, words: words, progress: progress}
	s.values = s.row.values()

	buffered := bufio.NewReaderSize(s.input, 1<<16)
	if start, _ := buffered.Peek(len(byteOrderMark)); bytes.Equal(start, byteOrderMark) {
		if _, err := buffered.Discard(len(byteOrderMark)); err != nil {
			return nil, fmt.Errorf("reading the file: %w", err)
		}
	}
	s.csv = csv.NewReader(buffered)
	s.csv.ReuseRecord = true

	header, err := s.csv.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, Problems{List: []Problem{{Line: 1, Message: "the file is empty: " + wantedHeader}}}
	case err != nil:
		if !s.tolerate(err) {
			return nil, fmt.Errorf("reading the file: %w", err)
		}
		return nil, s.problems
	}
	line, _ := s.csv.FieldPos(0)
	s.lastLine = line
	places, problems := readHeader(line, header)
	if len(problems.List) > 0 {
		return nil, problems
	}
	s.places = places
	return s, nil
}

// Next reads on to the next row without problems.
func (s *source) Next() bool {
	for {
		if s.err = s.ctx.Err(); s.err != nil {
			return false
		}
		s.input.allowed = maxRecord
		record, err := s.csv.Read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				s.progress(s.rows, s.input.read)
				return false
			}
			if !s.tolerate(err) {
				s.err = fmt.Errorf("reading the file: %w", err)
				return false
			}
			if !errors.Is(err, csv.ErrFieldCount) && !errors.Is(err, csv.ErrBareQuote) {
				// Where a quote ends is not known, so what follows cannot be told apart into fields.
				return false
			}
		}
		s.rows++
		if s.rows%progressEvery == 0 {
			s.progress(s.rows, s.input.read)
		}
		if err == nil && s.parse(record) {
			return true
		}
	}
}

// Values returns what Next has read: the line, then Columns.
func (s *source) Values() ([]any, error) { return s.values, nil }

// Err returns why Next returned false, unless it was the end of the rows.
func (s *source) Err() error { return s.err }

// parse takes over a record and tells whether it has no problems.
func (s *source) parse(record []string) bool {
	first, _ := s.csv.FieldPos(0)
	last, _ := s.csv.FieldPos(len(record) - 1)
	s.lastLine = last + strings.Count(record[len(record)-1], "\n")
	for column, place := range s.places {
		s.fields[column] = record[place]
	}
	s.row.line.Int64, s.row.line.Valid = int64(first), true
	valid := true
	s.row.parse(&s.fields, &s.words, func(column int, message string) {
		valid = false
		line, _ := s.csv.FieldPos(s.places[column])
		s.problems.add(Problem{Line: line, Column: Columns[column], Value: s.fields[column], Message: message})
	})
	return valid
}

// tolerate turns an error of the reader that is a problem of the file into one, and tells whether it was.
func (s *source) tolerate(err error) bool {
	var at *csv.ParseError
	switch {
	case errors.Is(err, errEndless):
		s.problems.add(Problem{Line: s.lastLine + 1, Message: fmt.Sprintf(
			"goes on for more than %d bytes: is there a quote that is not closed?", maxRecord)})
	case !errors.As(err, &at):
		return false
	case errors.Is(err, csv.ErrFieldCount):
		s.problems.add(Problem{Line: at.StartLine, Message: fmt.Sprintf(
			"must have %d fields, as the header has", s.csv.FieldsPerRecord)})
	case errors.Is(err, csv.ErrBareQuote):
		s.problems.add(Problem{Line: at.StartLine, Message: fmt.Sprintf(
			"has a quote inside a field that is not quoted, at byte %d: quote the whole field and double the quote inside", at.Column)})
	default:
		s.problems.add(Problem{Line: at.StartLine, Message: fmt.Sprintf(
			"has a quoted field that is not closed, or a quote inside of one that is not doubled (noticed on line %d)", at.Line)})
	}
	return true
}
