package importer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	// maxProblems is how many problems are listed. Further problems are only counted.
	maxProblems = 20
	// maxShown is how many bytes of an invalid value are shown.
	maxShown = 80
)

// A Problem is an error in a file.
type Problem struct {
	// Line number in the file, from 1. A quoted field with line breaks spans several lines.
	Line int
	// Column is one of [Columns] or [Optional], or an unknown name in the header. It is empty for a
	// problem of the whole line.
	Column string
	// Value is the invalid value, or empty.
	Value string
	// Message says what is wrong and how to fix it.
	Message string
}

func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %d", p.Line)
	switch {
	case p.Column == "":
	case slices.Contains(allColumns, p.Column):
		fmt.Fprintf(&b, ", column %s", p.Column)
	default: // an unknown name in the header
		fmt.Fprintf(&b, ", column %s", shown(p.Column))
	}
	fmt.Fprintf(&b, ": %s", p.Message)
	if p.Value != "" {
		fmt.Fprintf(&b, " (found %s)", shown(p.Value))
	}
	return b.String()
}

// shown quotes and truncates text from the file for printing.
func shown(text string) string {
	if len(text) > maxShown {
		return fmt.Sprintf("%q…", text[:maxShown])
	}
	return strconv.Quote(text)
}

// Problems is the error of a file that cannot be imported.
//
//nolint:errname // it is a list that is also an error
type Problems struct {
	// List names at most 20 of them, in the order of the file.
	List []Problem
	// More is how many others there are.
	More int
}

// Error returns one line per problem.
func (p Problems) Error() string {
	lines := make([]string, 0, len(p.List)+1)
	for _, problem := range p.List {
		lines = append(lines, problem.String())
	}
	switch {
	case p.More == 1:
		lines = append(lines, "and 1 more problem")
	case p.More > 1:
		lines = append(lines, fmt.Sprintf("and %d more problems", p.More))
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(problem Problem) {
	if len(p.List) == maxProblems {
		p.More++
		return
	}
	p.List = append(p.List, problem)
}

// merge returns both lists in the order of the file.
func (p Problems) merge(other Problems) Problems {
	list := slices.Concat(p.List, other.List)
	slices.SortStableFunc(list, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	named := min(len(list), maxProblems)
	return Problems{List: list[:named], More: p.More + other.More + len(list) - named}
}

// problemsAcrossRows finds contradictions between rows, and between rows and the database.
func problemsAcrossRows(ctx context.Context, tx pgx.Tx) (Problems, error) {
	rows, err := tx.Query(ctx, statement("problems"), maxProblems)
	if err != nil {
		return Problems{}, fmt.Errorf("checking the rows against each other: %w", err)
	}
	var (
		found   Problems
		problem Problem
		total   int
	)
	_, err = pgx.ForEachRow(rows, []any{&problem.Line, &problem.Column, &problem.Value, &problem.Message, &total}, func() error {
		found.add(problem)
		return nil
	})
	if err != nil {
		return Problems{}, fmt.Errorf("checking the rows against each other: %w", err)
	}
	found.More = total - len(found.List)
	return found, nil
}
