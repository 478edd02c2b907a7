package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/explain"
)

// A prospectLine is one prospect of a file.
type prospectLine struct {
	number int // of the line, from 1
	url    string
	err    error // what is wrong with the line
}

// prospectColumns are the names of the column that has the prospects, in a file with a header.
var prospectColumns = []string{"prospect_url", "url"}

// byteOrderMark is what some spreadsheets write before the first line.
const byteOrderMark = "\ufeff"

// prospectLines reads a file of prospects one by one, however long it is: one URL a line, or CSV whose header names a column
// "prospect_url" or "url". Blank lines are left out. An error ends it.
func prospectLines(r io.Reader) iter.Seq2[prospectLine, error] {
	return func(yield func(prospectLine, error) bool) {
		in := bufio.NewReader(r)
		if mark, _ := in.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
			_, _ = in.Discard(len(mark))
		}
		first, err := in.Peek(in.Size())
		if err != nil && !errors.Is(err, io.EOF) {
			yield(prospectLine{}, err)
			return
		}
		header, _, _ := strings.Cut(string(first), "\n")
		if column := prospectColumn(header); column >= 0 {
			csvProspects(in, column, yield)
		} else {
			plainProspects(in, yield)
		}
	}
}

// prospectColumn returns the index of the column that has the prospects; -1: the line is no header.
func prospectColumn(line string) int {
	names := strings.Split(line, ",")
	return slices.IndexFunc(names, func(name string) bool {
		return slices.Contains(prospectColumns, strings.ToLower(strings.Trim(name, "\" \t\r")))
	})
}

func csvProspects(in io.Reader, column int, yield func(prospectLine, error) bool) {
	reader := csv.NewReader(in)
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	for isHeader := true; ; isHeader = false {
		record, err := reader.Read()
		wrong := new(csv.ParseError)
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &wrong):
			if !yield(prospectLine{number: wrong.Line, err: wrong.Err}, nil) {
				return
			}
			continue
		case err != nil:
			yield(prospectLine{}, err)
			return
		case isHeader:
			continue
		}
		line := prospectLine{}
		line.number, _ = reader.FieldPos(0)
		if column < len(record) {
			line.url = strings.Clone(record[column])
		}
		line.err = explain.CheckURL(line.url)
		if !yield(line, nil) {
			return
		}
	}
}

func plainProspects(in *bufio.Reader, yield func(prospectLine, error) bool) {
	for number := 1; ; number++ {
		text, err := in.ReadSlice('\n')
		line := prospectLine{number: number, url: strings.TrimSpace(string(text))}
		if line.err = explain.CheckURL(line.url); errors.Is(err, bufio.ErrBufferFull) {
			line.url = line.url[:80] + "…"
			err = skipLine(in)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			yield(prospectLine{}, err)
			return
		}
		if line.url != "" && !yield(line, nil) || err != nil {
			return
		}
	}
}

// skipLine reads the rest of a line that is longer than any URL.
func skipLine(in *bufio.Reader) error {
	for {
		if _, err := in.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}
