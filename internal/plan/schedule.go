package plan

// schedule has the allocations of one account over the ticks of a forecast, in order. Ticks are
// numbered from 0.
type schedule struct {
	backlog     int   // before the first tick
	cap         int32 // per later tick
	first, last int32 // indexes of its runs
}

// run is a repeated allocation. Long drains repeat the same allocation, so a few runs represent all
// of them.
type run struct {
	first int32 // tick of the first allocation
	every int32 // ticks from one allocation to the next
	times int32 // number of allocations
	each  int32 // enrollments in each of them
	next  int32 // index of the account's next run
}

// noRun is the index that means no run.
const noRun = -1

// runs has the runs of all accounts: a forecast of 100,000 accounts has hundreds of thousands of
// them, and a separate slice per account would cost more than its content.
type runs []run

// add appends an allocation to a schedule. Ticks come in ascending order.
func (r *runs) add(s *schedule, tick, amount int) {
	if s.last != noRun {
		last := &(*r)[s.last]
		if last.times == 1 && int(last.each) == amount {
			last.every = int32(tick) - last.first
		}
		if int(last.each) == amount && int(last.first+last.times*last.every) == tick {
			last.times++
			return
		}
		last.next = int32(len(*r))
	} else {
		s.first = int32(len(*r))
	}
	s.last = int32(len(*r))
	*r = append(*r, run{first: int32(tick), times: 1, each: int32(amount), next: noRun})
}

// of calls each for the runs of a schedule until it returns false.
func (r runs) of(s *schedule, each func(run) bool) {
	for i := s.first; i != noRun; i = r[i].next {
		if !each(r[i]) {
			return
		}
	}
}

// tickOf returns the tick that reaches the position, numbered from 1.
func (r runs) tickOf(s *schedule, position int) (tick int, ok bool) {
	if position < 1 {
		return 0, false
	}
	before := position - 1 // enrollments that are resumed before this one
	r.of(s, func(run run) bool {
		if total := int(run.times) * int(run.each); before >= total {
			before -= total
			return true
		}
		tick, ok = int(run.first)+before/int(run.each)*int(run.every), true
		return false
	})
	return tick, ok
}

// total returns how many enrollments the schedule resumes.
func (r runs) total(s *schedule) (total int) {
	r.of(s, func(run run) bool {
		total += int(run.times) * int(run.each)
		return true
	})
	return total
}

// portion is the allocation of the account in one tick.
type portion struct{ tick, amount int }

// next returns the first n allocations.
func (r runs) next(s *schedule, n int) []portion {
	var portions []portion
	r.of(s, func(run run) bool {
		for i := range int(run.times) {
			if len(portions) == n {
				return false
			}
			portions = append(portions, portion{int(run.first) + i*int(run.every), int(run.each)})
		}
		return true
	})
	return portions
}
