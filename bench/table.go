package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// writeRow writes one row of the table.
func writeRow(w io.Writer, benchmark, variant, metric, median, spread, ratio, target, verdict string) {
	row := fmt.Sprintf("%-13s %-22s %-16s %13s %22s %9s  %-12s %s",
		benchmark, variant, metric, median, spread, ratio, target, verdict)
	fmt.Fprintln(w, strings.TrimRight(row, " "))
}

// WriteHead writes the environment and the header of the table.
func WriteHead(w io.Writer, e Environment) {
	fmt.Fprintf(w, "%s\n\n", e)
	writeRow(w, "benchmark", "variant", "metric", "median", "min..max", "ratio", "target", "")
}

// WriteTable writes the description and the lines of a result.
func (r Result) WriteTable(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %s\n", r.Name, r.Work)
	if r.Baseline != "" {
		fmt.Fprintf(w, "baseline: %s\n", r.Baseline)
	}
	for _, l := range r.Lines {
		ratio := ""
		if l.Ratio != nil {
			ratio = fmt.Sprintf("%.2f x", *l.Ratio)
		}
		unit := l.Metric.Unit
		writeRow(w, r.Name, l.Variant, l.Metric.Name, unit.format(l.Median), unit.number(l.Min)+".."+unit.number(l.Max),
			ratio, l.target(), l.verdict())
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "%-13s %s\n", r.Name, note)
	}
}

func (l Line) target() string {
	if l.Role != Thaw {
		return ""
	}
	return l.Metric.target()
}

func (m Metric) target() string {
	switch {
	case m.Limit > 0:
		return "<= " + m.Unit.format(m.Limit)
	case m.Ratio > 0 && m.MoreIsBetter:
		return fmt.Sprintf(">= %g x", m.Ratio)
	case m.Ratio > 0:
		return fmt.Sprintf("<= %g x", m.Ratio)
	default:
		return ""
	}
}

func (l Line) verdict() string {
	switch {
	case l.Met == nil:
		return ""
	case *l.Met:
		return "met"
	default:
		return "MISSED"
	}
}

// number formats a number with the significant digits of its unit.
func (u Unit) number(value float64) string {
	digits := 0
	switch u {
	case Seconds:
		digits = 3
	case Millis:
		digits = 2
	case MiB, Percent:
		digits = 1
	default:
	}
	return strconv.FormatFloat(value, 'f', digits, 64)
}

func (u Unit) format(value float64) string {
	if u == Count {
		return u.number(value)
	}
	return u.number(value) + " " + string(u)
}
