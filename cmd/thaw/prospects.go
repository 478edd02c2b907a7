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

// A prospectLine is one line of a file of prospects.
type prospectLine struct {
	number int // line number, from 1
	url    string
	err    error // why the line is invalid
}

// prospectColumns are the accepted names of the URL column in a CSV file.
var prospectColumns = []string{"prospect_url", "url"}

// prospectFile describes the format in error messages.
const prospectFile = "it must have one URL per line, or be CSV with a column prospect_url or url"

// prospectLines iterates over a file of prospects of any length in constant memory: one URL per
// line, or CSV with a column "prospect_url" or "url". It skips blank lines, and stops after an
// error.
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

// prospectColumn returns the index of the URL column, or -1 if the line is not a header.
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

// skipLine discards the rest of an overlong line.
func skipLine(in *bufio.Reader) error {
	for {
		if _, err := in.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}
