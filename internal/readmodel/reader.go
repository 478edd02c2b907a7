package readmodel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/plan"
	"github.com/thawline/thaw/schema/dbsqlc"
)

const (
	// freshFor is how long a forecast is served before it is asked for that a new one is made; or a twentieth of the time if
	// making one takes long, so that viewers of a very large fleet cost no more than a twentieth of a core.
	freshFor    = 2 * time.Second
	freshFactor = 20
	// currentFor is how long a forecast counts as one of the present. After that it is served with its age.
	currentFor = time.Minute
	// makeWithin bounds the making of one, in this process and in the database.
	makeWithin = 10 * time.Second
	// firstWait is how long a viewer waits where there is no forecast at all.
	firstWait = 5 * time.Second
	// nextWait is how long a viewer waits for a new one where there is an older one to show, or where another viewer has waited
	// in vain for the one that is being made.
	nextWait = 50 * time.Millisecond
)

// A Reader answers what depends on the whole fleet: how many prospects can be resumed at this moment, and which tick resumes
// which of them. To find that out takes a process of a large fleet a good part of a second, so it is done in the background, once
// for all who ask at the same time, and kept for those who ask next. A forecast that is older than a minute, or of an earlier tick,
// is served nevertheless, and says so. The first one of a large fleet is read from the database, where a worker process stores one each
// minute, see [Store]. Safe for use by several goroutines.
type Reader struct {
	db *pgxpool.Pool

	mu     sync.Mutex
	kept   *snapshot
	flight *flight   // the making of the next one; nil: none is made
	forgot time.Time // what was seen before is not to be told any more
}

// A flight is the making of a snapshot, for all who wait for it.
type flight struct {
	done chan struct{} // closed when seen and err are there
	seen *snapshot
	err  error
	late bool // a viewer has waited in vain; guarded by the mutex of the reader
}

// A snapshot is the fleet at one moment, and the ticks that follow from it. It is not changed once it is made.
type snapshot struct {
	made     ticks
	at       time.Time     // by the clock of this process
	took     time.Duration // to make it
	isStored bool          // it was read from the database, where another process had stored it
	accounts int           // through which prospects can be resumed
	backlog  int           // prospects that can be resumed
	longest  []int64       // the accounts through which most can be resumed, the most first
	// workspaces has the same counts of each workspace in which there is any.
	workspaces map[int64]FleetBacklog
	forecast   *plan.Forecast
	// Of one that is stored: the accounts with most paused prospects, the most first, and how many have any.
	mostPaused     []int64
	pausedAccounts int
}

// NewReader returns one that has yet to look.
func NewReader(db *pgxpool.Pool) *Reader { return &Reader{db: db} }

// Renew sees to it that a new forecast is made, and waits for it as long as ctx allows.
func (f *Reader) Renew(ctx context.Context) error {
	f.mu.Lock()
	// One that is being made may have looked before that what is to be seen has happened.
	next := f.begin(ctx, false)
	f.mu.Unlock()
	_, err := next.wait(ctx)
	return err
}

// RenewIfCheap is Renew where that does not take longer than a viewer should wait. Elsewhere the forecast is made in the
// background, not more often than viewers make it be; isRenewed is false then, see [Reader.RenewedSince].
func (f *Reader) RenewIfCheap(ctx context.Context) (isRenewed bool, err error) {
	f.mu.Lock()
	isCheap := f.kept == nil || f.kept.took < nextWait
	if !isCheap && time.Since(f.kept.at) > f.kept.freshFor() {
		f.join(ctx)
	}
	f.mu.Unlock()
	if !isCheap {
		return false, nil
	}
	err = f.Renew(ctx)
	return err == nil, err
}

// RenewedSince says whether the forecast that viewers get has seen what happened before a moment.
func (f *Reader) RenewedSince(at time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept != nil && f.kept.at.After(at)
}

// Forget makes the next one who asks look.
func (f *Reader) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept, f.flight, f.forgot = nil, nil, time.Now()
}

// now is look in the present ticks. Nobody holds a connection of the pool while waiting for it: the forecast needs one too.
func (f *Reader) now(ctx context.Context) (*view, error) {
	t, err := readTicks(ctx, dbsqlc.New(f.db))
	if err != nil {
		return nil, err
	}
	return f.look(ctx, t)
}

// look returns what is known of the fleet in these ticks. It is nil, without an error, where that is not known in time.
func (f *Reader) look(ctx context.Context, t ticks) (*view, error) {
	f.mu.Lock()
	kept := f.kept
	if kept != nil && kept.made == t && time.Since(kept.at) <= currentFor {
		if time.Since(kept.at) > kept.freshFor() {
			f.join(ctx)
		}
		f.mu.Unlock()
		return kept.from(t), nil
	}
	next := f.join(ctx)
	patience := firstWait
	if kept != nil || next.late {
		patience = nextWait
	}
	f.mu.Unlock()

	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen, err := next.wait(waiting)
	switch {
	case err == nil:
		return seen.from(t), nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case kept != nil:
		return kept.from(t), nil
	case isTimeout(err):
		f.mu.Lock()
		next.late = true
		f.mu.Unlock()
		return nil, nil
	default:
		return nil, err
	}
}

// isTimeout says whether an error means that an answer would have taken too long: of this process, or of the database.
func isTimeout(err error) bool {
	var answer *pgconn.PgError
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &answer) && answer.Code == "57014"
}

// join returns the flight that is under way, or begins one. With the mutex held.
func (f *Reader) join(ctx context.Context) *flight {
	if f.flight != nil {
		return f.flight
	}
	return f.begin(ctx, f.kept == nil)
}

// begin begins a flight, which ends also if the one who asked for it goes. What is stored will do where there is nothing else yet.
// With the mutex held.
func (f *Reader) begin(ctx context.Context, orStored bool) *flight {
	next := &flight{done: make(chan struct{})}
	f.flight = next
	forgot := f.forgot
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeWithin)
		defer cancel()
		if orStored {
			// Where it cannot be read, one is made.
			next.seen, next.err = stored(ctx, f.db, forgot)
		}
		if next.seen == nil {
			next.seen, next.err = see(ctx, f.db)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		// Another one has begun later, or what was seen was to be forgotten.
		if f.flight == next {
			f.flight = nil
			if next.err == nil {
				f.kept = next.seen
			}
		}
		close(next.done)
	}()
	return next
}

func (f *flight) wait(ctx context.Context) (*snapshot, error) {
	select {
	case <-f.done:
		return f.seen, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// freshFor is how long this one is served before a new one is made.
func (s *snapshot) freshFor() time.Duration { return max(freshFor, freshFactor*s.took) }

// bounded keeps the server from working on for a process that has given up.
var bounded = "; SET LOCAL statement_timeout = " + strconv.FormatInt(makeWithin.Milliseconds(), 10)

func see(ctx context.Context, db *pgxpool.Pool) (*snapshot, error) {
	s := &snapshot{at: time.Now()}
	err := readWith(ctx, db, bounded, func(q *dbsqlc.Queries) error {
		var err error
		if s.made, err = readTicks(ctx, q); err != nil {
			return err
		}
		return s.read(ctx, q)
	})
	if err != nil {
		return nil, fmt.Errorf("looking ahead: %w", err)
	}
	s.took = time.Since(s.at)
	return s, nil
}

func (s *snapshot) read(ctx context.Context, q *dbsqlc.Queries) error {
	candidates, backlog, err := candidatesOf(ctx, q, s.made)
	if err != nil {
		return err
	}
	s.accounts, s.backlog, s.longest = len(candidates), backlog, longestOf(candidates)
	s.workspaces = map[int64]FleetBacklog{}
	for _, c := range candidates {
		own := s.workspaces[c.WorkspaceID]
		s.workspaces[c.WorkspaceID] = FleetBacklog{Resumable: own.Resumable + int64(c.Backlog), Accounts: own.Accounts + 1}
	}
	s.forecast, err = forecastFor(ctx, q, s.made, candidates)
	return err
}

// longestOf returns the accounts of which most wait, the most first.
func longestOf(candidates []plan.Candidate) []int64 {
	// A few of them, kept in order: the candidates are too many to be sorted for it.
	var longest []plan.Candidate
	byLength := func(a, b plan.Candidate) int {
		return cmp.Or(cmp.Compare(b.Backlog, a.Backlog), cmp.Compare(a.AccountID, b.AccountID))
	}
	for _, c := range candidates {
		if len(longest) == overviewLines && byLength(c, longest[overviewLines-1]) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(longest, c, byLength)
		longest = slices.Insert(longest, at, c)
		longest = longest[:min(len(longest), overviewLines)]
	}
	ids := make([]int64, len(longest))
	for i, c := range longest {
		ids[i] = c.AccountID
	}
	return ids
}

// A view is a snapshot as it is told at a moment.
type view struct {
	*snapshot
	// shift is how much later the ticks of the forecast are taken to be: one that was made in an earlier tick says what happens
	// in the first, second and third tick from there, and the best guess is that the same happens from here.
	shift time.Duration
	isOld bool
}

// from tells a snapshot in these ticks.
func (s *snapshot) from(t ticks) *view {
	current := currentFor
	if s.isStored {
		// Nobody makes a newer one for a command.
		current = min(current, s.freshFor())
	}
	v := &view{snapshot: s, isOld: s.made != t || time.Since(s.at) > current}
	if was, is := s.made.current, t.current; is.After(was) {
		v.shift = is.Sub(was)
	}
	return v
}

// ForecastInfo says of which moment the expected times of an answer are.
type ForecastInfo struct {
	// At is when the fleet was looked at.
	At time.Time `json:"at"`
	// IsOld says that it was in an earlier tick, before the plan of this one, or more than a minute ago. The expected times are
	// estimates then; a newer forecast is being made.
	IsOld bool `json:"is_old"`
}

func (v *view) info() *ForecastInfo {
	if v == nil {
		return nil
	}
	return &ForecastInfo{At: v.at.UTC(), IsOld: v.isOld}
}

// An eta is when something is expected: at a tick, or not before one.
type eta struct{ At, NotBefore *time.Time }

// tickOf is that of a position in the line of an account.
func (v *view) tickOf(accountID int64, position int) eta {
	if v == nil {
		return eta{}
	}
	return v.eta(func() (time.Time, bool) { return v.forecast.TickOf(accountID, position) },
		func() (time.Time, bool) { return v.forecast.NotBefore(accountID, position) })
}

// drained is that of the last one who waits for an account.
func (v *view) drained(accountID int64) eta {
	if v == nil {
		return eta{}
	}
	return v.eta(func() (time.Time, bool) { return v.forecast.Drained(accountID) },
		func() (time.Time, bool) { return v.forecast.NotDrainedBefore(accountID) })
}

func (v *view) eta(at, notBefore func() (time.Time, bool)) eta {
	if tick, ok := at(); ok {
		return eta{At: v.shifted(tick)}
	}
	if tick, ok := notBefore(); ok {
		return eta{NotBefore: v.shifted(tick)}
	}
	return eta{}
}

func (v *view) shifted(tick time.Time) *time.Time {
	at := tick.Add(v.shift).UTC()
	return &at
}

// next are the coming ticks of an account.
func (v *view) next(accountID int64) []ExpectedTick {
	ticks := []ExpectedTick{}
	if v == nil {
		return ticks
	}
	for _, portion := range v.forecast.Next(accountID, expectedTicks) {
		ticks = append(ticks, ExpectedTick{TickAt: *v.shifted(portion.At), Resumes: portion.Resumes})
	}
	return ticks
}
