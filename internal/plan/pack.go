package plan

// Packed is a forecast in columns, which can be stored and read by another process.
type Packed struct {
	Rules    Rules
	Ticks    int     // number of planned ticks
	Accounts []int64 // accounts with a schedule
	// For each account: its backlog before the first tick, its cap per later tick, and the indexes
	// of its first and last run in Runs, noRun if it has none.
	Backlogs, Caps, First, Last []int32
	// Runs has all runs in sequence, five numbers each, in the order of the fields of run.
	Runs []int32
}

// Pack returns the forecast in columns.
func (f *Forecast) Pack() Packed {
	n := len(f.accounts)
	p := Packed{
		Rules: f.rules, Ticks: f.ticks, Accounts: make([]int64, n), Backlogs: make([]int32, n), Caps: make([]int32, n), First: make([]int32, n),
		Last: make([]int32, n), Runs: make([]int32, 0, 5*len(f.runs)),
	}
	for id, i := range f.index {
		p.Accounts[i] = id
	}
	for i, s := range f.accounts {
		p.Backlogs[i], p.Caps[i], p.First[i], p.Last[i] = int32(s.backlog), s.cap, s.first, s.last
	}
	for _, r := range f.runs {
		p.Runs = append(p.Runs, r.first, r.every, r.times, r.each, r.next)
	}
	return p
}

// Unpack returns the packed forecast, and false if the columns are inconsistent.
func (p Packed) Unpack() (*Forecast, bool) {
	n, size := len(p.Accounts), len(p.Runs)/5
	if len(p.Backlogs) != n || len(p.Caps) != n || len(p.First) != n || len(p.Last) != n || len(p.Runs) != 5*size {
		return nil, false
	}
	f := &Forecast{
		rules: p.Rules, ticks: p.Ticks, index: make(map[int64]int32, n), accounts: make([]schedule, n),
	}
	if size > 0 {
		f.runs = make(runs, size)
	}
	for i := range f.runs {
		r := p.Runs[5*i : 5*i+5]
		// Each run has a higher index than its predecessor, so there are no cycles.
		if next := r[4]; next != noRun && (int(next) <= i || int(next) >= size) || r[3] < 1 {
			return nil, false
		}
		f.runs[i] = run{first: r[0], every: r[1], times: r[2], each: r[3], next: r[4]}
	}
	for i, id := range p.Accounts {
		if first, last := int(p.First[i]), int(p.Last[i]); min(first, last) < noRun || max(first, last) >= size {
			return nil, false
		}
		f.accounts[i] = schedule{backlog: int(p.Backlogs[i]), cap: p.Caps[i], first: p.First[i], last: p.Last[i]}
		f.index[id] = int32(i)
	}
	return f, true
}
