package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// A column of a table. Only columns of free text are shortened to fit the terminal: a shortened
// number or time would be another one.
type column struct {
	title   string
	isRight bool // numbers
	isText  bool // may be shortened
}

// Columns by their content.
func text(title string) column    { return column{title: title, isText: true} }
func numbers(title string) column { return column{title: title, isRight: true} }
func fixed(title string) column   { return column{title: title} }

// A table collects the rows of a list for people. Untrusted cells are escaped as in [printf];
// --json has the full values.
type table struct {
	columns []column
	rows    [][]string
}

func newTable(columns ...column) *table { return &table{columns: columns} }

func (t *table) add(cells ...string) {
	row := make([]string, len(t.columns))
	for i := range row {
		row[i] = visible(cells[i])
	}
	t.rows = append(t.rows, row)
}

const (
	gap       = 2 // spaces between columns
	narrowest = 8 // a shortened column keeps this many characters
)

// write prints the table. On a terminal it fits the width: columns of text are shortened, the
// widest first; if that is not enough, each row becomes a block of lines. In a pipe nothing is
// shortened.
func (t *table) write(out io.Writer) {
	widths := make([]int, len(t.columns))
	for i, column := range t.columns {
		widths[i] = uniseg.StringWidth(column.title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], uniseg.StringWidth(row[i]))
		}
	}
	if width := widthOf(out); width > 0 && !t.shrink(widths, width) {
		t.writeBlocks(out)
		return
	}
	titles := make([]string, len(t.columns))
	for i, column := range t.columns {
		titles[i] = column.title
	}
	t.writeRow(out, titles, widths)
	for _, row := range t.rows {
		t.writeRow(out, row, widths)
	}
}

// shrink reduces widths until the table fits, and reports whether it does.
func (t *table) shrink(widths []int, width int) bool {
	total := gap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > width; total-- {
		widest := -1
		for i, column := range t.columns {
			if column.isText && widths[i] > max(narrowest, len(column.title)) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
	return true
}

func (t *table) writeRow(out io.Writer, cells []string, widths []int) {
	var line strings.Builder
	for i, cell := range cells {
		cell = shorten(cell, widths[i])
		pad := strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell))
		if t.columns[i].isRight {
			line.WriteString(pad + cell)
		} else {
			line.WriteString(cell + pad)
		}
		line.WriteString(strings.Repeat(" ", gap))
	}
	printLine(out, strings.TrimRight(line.String(), " "))
}

// writeBlocks prints one line per cell.
func (t *table) writeBlocks(out io.Writer) {
	for n, row := range t.rows {
		if n > 0 {
			printLine(out, "")
		}
		for i, cell := range row {
			printLine(out, t.columns[i].title+": "+cell)
		}
	}
}

// shorten cuts a text to a width and marks the cut.
func shorten(text string, width int) string {
	if uniseg.StringWidth(text) <= width {
		return text
	}
	var kept strings.Builder
	used := 1 // the mark
	for clusters := uniseg.NewGraphemes(text); clusters.Next(); {
		if used += clusters.Width(); used > width {
			break
		}
		kept.WriteString(clusters.Str())
	}
	return kept.String() + "…"
}

// widthOf returns the width of a terminal, and 0 for anything else. COLUMNS takes precedence.
func widthOf(out io.Writer) int {
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return columns
	}
	if o, ok := out.(*output); ok {
		out = o.Writer
	}
	if file, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// minute formats a time in a column whose title says UTC.
func minute(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return t.UTC().Format("2006-01-02 15:04")
}

var english = message.NewPrinter(language.English)

// number formats a count for people: 12,345.
func number[N int | int32 | int64](n N) string { return english.Sprintf("%d", n) }

// many formats a count with its noun: 1 account, 2,000 accounts.
func many[N int | int32 | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}
