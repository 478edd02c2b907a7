package importer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/thawline/thaw/internal/csvfile"
)

// progressEvery is the number of rows between calls of Progress.
const progressEvery = 1000

// A source reads a file row by row for COPY. It skips rows with problems; the caller checks
// problems after the COPY. It implements [pgx.CopyFromSource].
type source struct {
	// Next gets no context.
	ctx      context.Context
	file     *csvfile.Reader
	places   [columnCount]int
	words    vocabulary
	progress func(rows, bytes int64)

	row      row
	values   []any
	fields   [columnCount]string
	rows     int64
	problems Problems
	// err is the error that stopped the reading. It is nil at the end of the file or after a
	// problem of the file.
	err error
}

// newSource reads the header of a file. If the header is invalid, the error is Problems.
func newSource(ctx context.Context, r io.Reader, words vocabulary, progress func(rows, bytes int64)) (*source, error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	s := &source{ctx: ctx, words: words, progress: progress}
	s.values = s.row.values()

	var header []string
	file, err := csvfile.NewReader(r)
	if err == nil {
		s.file = file
		header, err = file.Read()
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil, Problems{List: []Problem{{Line: 1, Message: "the file is empty: " + wantedHeader}}}
	case err != nil:
		if !s.tolerate(err) {
			return nil, fmt.Errorf("reading the file: %w", err)
		}
		return nil, s.problems
	}
	places, problems := readHeader(file.Line(0), header)
	if len(problems.List) > 0 {
		return nil, problems
	}
	s.places = places
	return s, nil
}

// Next reads the next row without problems.
func (s *source) Next() bool {
	for {
		if s.err = s.ctx.Err(); s.err != nil {
			return false
		}
		record, err := s.file.Read()
		if err != nil {
			if errors.Is(err, io.EOF) {
				s.progress(s.rows, s.file.BytesRead())
				return false
			}
			if !s.tolerate(err) {
				s.err = fmt.Errorf("reading the file: %w", err)
				return false
			}
			if problem, ok := errors.AsType[*csvfile.ProblemError](err); ok && problem.Ends {
				return false
			}
		}
		s.rows++
		if s.rows%progressEvery == 0 {
			s.progress(s.rows, s.file.BytesRead())
		}
		if err == nil && s.parse(record) {
			return true
		}
	}
}

// Values returns the values of the row that Next has read.
func (s *source) Values() ([]any, error) { return s.values, nil }

// Err returns the error that made Next return false, or nil at the end of the rows.
func (s *source) Err() error { return s.err }

// parse sets the row from a record and reports whether it is valid.
func (s *source) parse(record []string) bool {
	for column, place := range s.places {
		s.fields[column] = ""
		if place >= 0 {
			s.fields[column] = record[place]
		}
	}
	s.row.line.Int64, s.row.line.Valid = int64(s.file.Line(0)), true
	valid := true
	s.row.parse(&s.fields, &s.words, func(column int, message string) {
		valid = false
		s.problems.add(Problem{Line: s.file.Line(max(s.places[column], 0)), Column: allColumns[column], Value: s.fields[column], Message: message})
	})
	return valid
}

// tolerate records a problem of the file, and reports whether err is one.
func (s *source) tolerate(err error) bool {
	problem, ok := errors.AsType[*csvfile.ProblemError](err)
	if ok {
		s.problems.add(Problem{Line: problem.Line, Message: problem.Message})
	}
	return ok
}
