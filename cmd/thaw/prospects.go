package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/csvfile"
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

// prospectFile says what a file of prospects has.
const prospectFile = "one URL per line, or CSV with a column prospect_url or url"

// prospectLines reads a file of prospects one by one, however long it is: one URL a line, or CSV whose header names a column
// "prospect_url" or "url". Blank lines are left out. An error ends it.
func prospectLines(r io.Reader) iter.Seq2[prospectLine, error] {
	return func(yield func(prospectLine, error) bool) {
		in, err := csvfile.Text(r)
		if err != nil {
			yield(prospectLine{}, err)
			return
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
	header, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		return -1
	}
	return slices.IndexFunc(csvfile.Names(header), func(name string) bool { return slices.Contains(prospectColumns, name) })
}

func csvProspects(in io.Reader, column int, yield func(prospectLine, error) bool) {
	file, err := csvfile.NewReader(in)
	for isHeader := true; err == nil; isHeader = false {
		var record []string
		record, err = file.Read()
		problem, isProblem := errors.AsType[*csvfile.ProblemError](err)
		switch {
		case isProblem && !problem.Ends:
			err = nil
			if !yield(prospectLine{number: problem.Line, err: errors.New(problem.Message)}, nil) {
				return
			}
		case err == nil && !isHeader:
			line := prospectLine{number: file.Line(0), url: strings.Clone(record[column])}
			line.err = explain.CheckURL(line.url)
			if !yield(line, nil) {
				return
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		yield(prospectLine{}, err)
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
