package bench

import (
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
)

// WriteCharts writes a chart of each result into a folder, as an SVG file with the benchmark's
// name. It creates the folder.
func (r *Report) WriteCharts(folder string) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("creating the chart folder: %w", err)
	}
	for _, result := range r.Results {
		file, err := os.Create(filepath.Join(folder, result.Name+".svg"))
		if err != nil {
			return err
		}
		err = result.WriteChart(file)
		if closed := file.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", file.Name(), err)
		}
	}
	return nil
}

// WriteChart draws the medians: one group of bars per metric, one bar per variant, and a dashed
// line at the target.
func (r Result) WriteChart(w io.Writer) error {
	c := chart{Title: r.Name, Work: r.Work, Width: chartWidth}
	y := 64.0
	for _, m := range r.Metrics {
		if g, ok := newGroup(m, r.Lines, y); ok {
			c.Groups = append(c.Groups, g)
			y = g.Bottom + 28
		}
	}
	c.Height = y
	return chartTemplate.Execute(w, c)
}

const (
	chartWidth = 760.0
	barLeft    = 190.0
	barSpace   = 400.0 // width of the longest bar; the numbers are to its right
	barStep    = 24.0
	// longest is the maximum length of a bar as a multiple of the baseline or the target. Longer
	// bars are cut off.
	longest = 6.0
)

type chart struct {
	Title, Work   string
	Width, Height float64
	Groups        []group
}

// A group is the bars of one metric.
type group struct {
	Metric      string
	Top, Bottom float64
	Bars        []bar
	Target      string
	TargetAt    float64 // 0 if there is none
}

type bar struct {
	Name, Role   string
	Value, Ratio string
	X, Y, Length float64
	Cut          bool
}

func newGroup(m Metric, lines []Line, top float64) (g group, ok bool) {
	g.Metric, g.Top = m.Name, top
	var all []Line
	most, base := 0.0, 0.0
	for _, l := range lines {
		if l.Metric.Name != m.Name {
			continue
		}
		all = append(all, l)
		most = max(most, l.Median)
		if l.Role == Baseline {
			base = l.Median
		}
	}
	if len(all) == 0 {
		return g, false
	}
	target := m.Limit
	if m.Ratio > 0 {
		target = m.Ratio * base
	}
	scale := max(most, target)
	if reference := max(base, target); reference > 0 {
		scale = min(scale, longest*reference)
	}
	if scale <= 0 {
		scale = 1
	}
	y := top + 12
	for _, l := range all {
		b := bar{Name: l.Variant, Role: string(l.Role), Value: m.Unit.format(l.Median), X: barLeft, Y: y}
		b.Cut = l.Median > scale
		b.Length = max(1, barSpace*min(l.Median, scale)/scale)
		if l.Ratio != nil {
			b.Ratio = fmt.Sprintf("%.2f x", *l.Ratio)
		}
		g.Bars = append(g.Bars, b)
		y += barStep
	}
	g.Bottom = y
	if target > 0 {
		g.Target, g.TargetAt = "target "+m.target(), barLeft+barSpace*target/scale
	}
	return g, true
}

// The colors are readable on dark and light pages.
var chartTemplate = template.Must(template.New("chart").Funcs(template.FuncMap{
	"add": func(a, b float64) float64 { return a + b },
	"px":  func(v float64) string { return fmt.Sprintf("%.1f", v) },
}).Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="{{px .Width}}" height="{{px .Height}}" viewBox="0 0 {{px .Width}} {{px .Height}}" role="img">
<title>{{.Title}}: {{.Work}}</title>
<style>
text { font: 13px system-ui, sans-serif; fill: #333; }
.head { font-weight: 600; font-size: 16px; }
.metric { font-weight: 600; }
.note { fill: #666; font-size: 12px; }
.baseline { fill: #9aa0a6; }
.thaw { fill: #1a73e8; }
.peer { fill: #c98a3d; }
.cut { stroke: #fff; stroke-width: 3; }
.target { stroke: #c5221f; stroke-width: 1.5; stroke-dasharray: 5 4; }
@media (prefers-color-scheme: dark) {
text { fill: #ddd; }
.note { fill: #aaa; }
.thaw { fill: #69a3f5; }
.cut { stroke: #111; }
.target { stroke: #f28b82; }
}
</style>
<text class="head" x="12" y="24">{{.Title}}</text>
{{range .Groups}}<text class="metric" x="12" y="{{px .Top}}">{{.Metric}}</text>
{{if .TargetAt}}<text class="note" x="{{px .TargetAt}}" y="{{px .Top}}" text-anchor="middle">{{.Target}}</text>
{{end}}{{range .Bars}}<text x="{{px (add .X -8)}}" y="{{px (add .Y 14)}}" text-anchor="end">{{.Name}}</text>
<rect class="{{.Role}}" x="{{px .X}}" y="{{px .Y}}" width="{{px .Length}}" height="18" rx="2"/>
{{if .Cut}}<line class="cut" x1="{{px (add .X (add .Length -16))}}" y1="{{px (add .Y 20)}}" x2="{{px (add .X (add .Length -8))}}" y2="{{px (add .Y -2)}}"/>
{{end}}<text x="690" y="{{px (add .Y 14)}}" text-anchor="end">{{.Value}}</text>
<text x="752" y="{{px (add .Y 14)}}" text-anchor="end">{{.Ratio}}</text>
{{end}}{{if .TargetAt}}<line class="target" x1="{{px .TargetAt}}" y1="{{px (add .Top 6)}}" x2="{{px .TargetAt}}" y2="{{px .Bottom}}"/>
{{end}}{{end}}</svg>
`))
