package bench

import "slices"

// A Report holds the results of a run.
type Report struct {
	Environment Environment `json:"environment"`
	Scale       Scale       `json:"scale"`
	Rounds      int         `json:"rounds"`
	Results     []Result    `json:"results"`
}

// A Result is the result of one benchmark.
type Result struct {
	About
	Lines []Line `json:"lines"`
	// Notes say which variants were left out, and which timed out.
	Notes []string `json:"notes,omitempty"`
}

// A Line is one metric of one variant over all rounds.
type Line struct {
	Variant string    `json:"variant"`
	Role    Role      `json:"role"`
	Metric  Metric    `json:"metric"`
	Samples []float64 `json:"samples"` // one per round, in the metric's unit
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	// Ratio is the median over the rounds of the ratio to the baseline of the same round. It is
	// null if there is no baseline, and for a metric with an absolute limit.
	Ratio    *float64 `json:"ratio,omitempty"`
	RatioMin float64  `json:"ratio_min,omitempty"`
	RatioMax float64  `json:"ratio_max,omitempty"`
	// Met says whether the target is met. It is null if there is no target.
	Met *bool `json:"met,omitempty"`
}

// summarize builds the lines of a result, ordered by metric, then by variant.
func summarize(about About, variants []variant, samples [][]sample, notes []string) Result {
	result := Result{About: about, Notes: notes}
	baseline := slices.IndexFunc(variants, func(c variant) bool { return c.Role == Baseline })
	for _, metric := range about.Metrics {
		for i, c := range variants {
			line := Line{Variant: c.Name, Role: c.Role, Metric: metric}
			var ratios []float64
			for round, got := range samples[i] {
				value, ok := got[metric.Name]
				if !ok {
					continue
				}
				line.Samples = append(line.Samples, value)
				if baseline >= 0 && baseline != i && metric.Limit == 0 {
					if base := samples[baseline][round][metric.Name]; base > 0 {
						ratios = append(ratios, value/base)
					}
				}
			}
			if len(line.Samples) == 0 {
				continue
			}
			line.Median, line.Min, line.Max = median(line.Samples), slices.Min(line.Samples), slices.Max(line.Samples)
			if len(ratios) > 0 {
				ratio := median(ratios)
				line.Ratio, line.RatioMin, line.RatioMax = &ratio, slices.Min(ratios), slices.Max(ratios)
			}
			if c.Role == Thaw {
				line.Met = line.met()
			}
			result.Lines = append(result.Lines, line)
		}
	}
	return result
}

// met compares a line with its metric's target: the median ratio, or the worst round for an
// absolute limit.
func (l Line) met() *bool {
	var met bool
	switch m := l.Metric; {
	case m.Limit > 0:
		met = l.Max <= m.Limit
	case m.Ratio > 0 && l.Ratio != nil && m.MoreIsBetter:
		met = *l.Ratio >= m.Ratio
	case m.Ratio > 0 && l.Ratio != nil:
		met = *l.Ratio <= m.Ratio
	default:
		return nil
	}
	return &met
}
