package plan

// schedule is what one account gets over the ticks of a forecast, in order.
// Ticks are counted from 0, the first one.
type schedule struct {
	backlog int // before the first tick
	runs    []run
}

// run is a grant that repeats. The grants of a long drain do, so that a few runs
// hold all of them.
type run struct {
	first int // tick of the first grant
	every int // ticks from one grant to the next
	times int // number of grants
	each  int // enrollments in each of them
}

// add appends a grant. Ticks come in ascending order.
func (s *schedule) add(tick, amount int) {
	if len(s.runs) > 0 {
		last := &s.runs[len(s.runs)-1]
		if last.times == 1 && last.each == amount {
			last.every = tick - last.first
		}
		if last.each == amount && last.first+last.times*last.every == tick {
			last.times++
			return
		}
	}
	s.runs = append(s.runs, run{first: tick, times: 1, each: amount})
}

// tickOf returns the tick that reaches the position, which counts from 1.
func (s *schedule) tickOf(position int) (int, bool) {
	if position < 1 {
		return 0, false
	}
	before := position - 1 // enrollments that are resumed before this one
	for _, r := range s.runs {
		if before < r.times*r.each {
			return r.first + before/r.each*r.every, true
		}
		before -= r.times * r.each
	}
	return 0, false
}

// next returns the first n grants.
func (s *schedule) next(n int) []run {
	var grants []run
	for _, r := range s.runs {
		for i := range r.times {
			if len(grants) == n {
				return grants
			}
			grants = append(grants, run{first: r.first + i*r.every, times: 1, each: r.each})
		}
	}
	return grants
}
