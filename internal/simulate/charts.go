package simulate

import (
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// WriteCharts writes charts of the report as SVG files into a folder, which it creates: requests
// per hour and invites per day against what is allowed, and what waits.
func (r *Report) WriteCharts(folder string) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("creating the folder of the charts: %w", err)
	}
	var paused, due []int
	for _, b := range r.Backlog {
		paused, due = append(paused, b.Paused), append(due, b.Due)
	}
	for _, c := range []chart{
		newChart("requests-per-hour", "Requests per hour", 24, series{"requests", "bar", r.Hours}, series{"allowed by windows, caps and gaps", "line", r.Allowed}),
		newChart("invites-per-day", "Invites per local day", 1, series{"invites", "bar", r.InviteDays}, series{"caps of the accounts with an open window", "line", r.InviteCaps}),
		newChart("backlog", "Prospects that wait, at each full hour", 24, series{"paused", "bar", paused}, series{"active and due", "line", due}),
	} {
		if err := c.write(filepath.Join(folder, c.Name+".svg")); err != nil {
			return err
		}
	}
	return nil
}

const (
	chartWidth  = 900.0
	chartHeight = 260.0
	chartLeft   = 60.0
	chartRight  = 890.0
	chartTop    = 60.0
	chartBottom = 220.0
)

// A series is drawn as bars or as a line.
type series struct {
	Name, Style string
	values      []int
}

// A chart has a bar, and a point of the line, per value.
type chart struct {
	Name, Title string
	Bars, Line  series
	Most        int
	perDay      int
}

func newChart(name, title string, perDay int, bars, line series) chart {
	return chart{name, title, bars, line, max(1, slices.Max(append(slices.Concat(bars.values, line.values), 0))), perDay}
}

func (c chart) write(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	err = chartTemplate.Execute(file, c)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (c chart) step() float64 { return (chartRight - chartLeft) / float64(max(len(c.Bars.values), 1)) }

func (c chart) y(value int) float64 {
	return chartBottom - (chartBottom-chartTop)*float64(value)/float64(c.Most)
}

// BarPath is the outline of all bars: a chart of a month has 720.
func (c chart) BarPath() string {
	var b strings.Builder
	for i, v := range c.Bars.values {
		if v > 0 {
			fmt.Fprintf(&b, "M%.1f %.1fV%.1fH%.1fV%.1fZ", chartLeft+float64(i)*c.step(), chartBottom, c.y(v), chartLeft+float64(i+1)*c.step(), chartBottom)
		}
	}
	return b.String()
}

// LinePath is a line in steps.
func (c chart) LinePath() string {
	var b strings.Builder
	for i, v := range c.Line.values {
		fmt.Fprintf(&b, "%s%.1f %.1fH%.1f", map[bool]string{true: "M", false: "L"}[i == 0], chartLeft+float64(i)*c.step(), c.y(v), chartLeft+float64(i+1)*c.step())
	}
	return b.String()
}

type label struct {
	X    float64
	Text string
}

// Days are the labels of the axis, at most about ten.
func (c chart) Days() (labels []label) {
	days := len(c.Bars.values) / c.perDay
	for day := 0; day < days; day += max(1, days/10) {
		labels = append(labels, label{chartLeft + float64(day*c.perDay)*c.step(), start.AddDate(0, 0, day).Format("Mon 2 Jan")})
	}
	return labels
}

// A chart has a background of its own, so it is readable on dark and light pages.
var chartTemplate = template.Must(template.New("chart").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="900" height="260" viewBox="0 0 900 260" role="img">
<title>{{.Title}}</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #333; }
.head { font-weight: 600; font-size: 15px; }
.bar { fill: #8ab4f8; }
.line { fill: none; stroke: #b3261e; stroke-width: 1.2; }
.axis { stroke: #9aa0a6; }
</style>
<rect width="100%" height="100%" fill="#fff"/>
<text class="head" x="10" y="20">{{.Title}}</text>
<rect class="bar" x="60" y="31" width="12" height="10"/><text x="78" y="41">{{.Bars.Name}}</text>
<path class="line" d="M260 37H280"/><text x="286" y="41">{{.Line.Name}}</text>
<text x="10" y="64">{{.Most}}</text>
<text x="10" y="222">0</text>
<path class="bar" d="{{.BarPath}}"/>
<path class="line" d="{{.LinePath}}"/>
<path class="axis" d="M60 220H890"/>
{{range .Days}}<text x="{{printf "%.1f" .X}}" y="240">{{.Text}}</text>
{{end}}</svg>
`))
