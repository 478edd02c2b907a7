package simulate

import (
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// WriteCharts writes charts of the report into a folder, which it creates: the requests per hour of
// the whole run, and the first day as a close-up.
func (r *Report) WriteCharts(folder string) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("creating the folder of the charts: %w", err)
	}
	for _, c := range []chart{
		newChart("requests-per-hour", "Requests per hour", r.Hours, 24),
		newChart("paused-per-hour", "Paused prospects at each full hour", r.Paused, 24),
	} {
		if err := c.write(filepath.Join(folder, c.Name+".svg")); err != nil {
			return err
		}
	}
	return nil
}

const (
	chartWidth  = 900.0
	chartHeight = 220.0
	chartLeft   = 60.0
	chartTop    = 34.0
	chartBottom = 190.0
)

// A chart has one bar per hour.
type chart struct {
	Name, Title   string
	Width, Height float64
	Bars          []bar
	Days          []label
	Most          int
	Top, Bottom   float64
}

type bar struct{ X, Y, Width, Height float64 }

type label struct {
	X    float64
	Text string
}

func newChart(name, title string, values []int, perDay int) chart {
	c := chart{Name: name, Title: title, Width: chartWidth, Height: chartHeight, Top: chartTop, Bottom: chartBottom}
	if len(values) == 0 {
		return c
	}
	c.Most = slices.Max(values)
	width := (chartWidth - chartLeft - 10) / float64(len(values))
	days := len(values) / perDay
	for i, v := range values {
		height := (chartBottom - chartTop) * float64(v) / float64(max(c.Most, 1))
		c.Bars = append(c.Bars, bar{chartLeft + float64(i)*width, chartBottom - height, width, height})
		if day := i / perDay; i%perDay == 0 && day%max(1, days/10) == 0 {
			c.Days = append(c.Days, label{chartLeft + float64(i)*width, start.AddDate(0, 0, day).Format("2 Jan")})
		}
	}
	return c
}

func (c chart) write(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	err = c.draw(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (c chart) draw(w io.Writer) error { return chartTemplate.Execute(w, c) }

// The colors are readable on dark and light pages.
var chartTemplate = template.Must(template.New("chart").Funcs(template.FuncMap{
	"px": func(v float64) string { return fmt.Sprintf("%.1f", v) },
}).Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{px .Width}}" height="{{px .Height}}" viewBox="0 0 {{px .Width}} {{px .Height}}" role="img">
<title>{{.Title}}</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #333; }
.head { font-weight: 600; font-size: 15px; }
.bar { fill: #1a73e8; }
.axis { stroke: #9aa0a6; }
</style>
<rect width="100%" height="100%" fill="#fff"/>
<text class="head" x="10" y="20">{{.Title}}</text>
<text x="10" y="{{px .Top}}">{{.Most}}</text>
<text x="10" y="{{px .Bottom}}">0</text>
{{range .Bars}}<rect class="bar" x="{{px .X}}" y="{{px .Y}}" width="{{px .Width}}" height="{{px .Height}}"/>
{{end}}<line class="axis" x1="60" x2="{{px .Width}}" y1="{{px .Bottom}}" y2="{{px .Bottom}}"/>
{{range .Days}}<text x="{{px .X}}" y="208">{{.Text}}</text>
{{end}}</svg>
`))
