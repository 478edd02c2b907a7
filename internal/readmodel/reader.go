package readmodel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/plan"
)

const (
	// freshFor is the age from which serving a forecast also starts making a new one. If making one
	// takes long, this age is freshFactor times as long, so that viewers of a very large fleet use
	// at most a twentieth of a core.
	freshFor    = 2 * time.Second
	freshFactor = 20
	// currentFor is how long a forecast counts as current. After that it is served as an old one.
	currentFor = time.Minute
	// makeWithin limits the time to make a forecast, in this process and in the database.
	makeWithin = 10 * time.Second
	// firstWait is how long a viewer waits if there is no forecast at all.
	firstWait = 5 * time.Second
	// nextWait is how long a viewer waits for a new forecast if there is an old one to show, or if
	// another viewer has already timed out waiting for the new one.
	nextWait = 50 * time.Millisecond
)

// A Reader provides what depends on the whole fleet: how many prospects are ready to resume, and
// which tick resumes each of them. Making such a forecast takes a good part of a second for a large
// fleet. A Reader therefore makes it in the background, once for all concurrent callers, and keeps
// it for later ones. A forecast that is older than a minute, or from an earlier tick, is still
// served, marked as old. The first forecast of a large fleet is read from the database, where a
// worker process stores one each minute, see [Store]. A Reader is safe for concurrent use.
type Reader struct {
	db     *store.Store
	paused *pausedCounter

	mu     sync.Mutex
	kept   *snapshot
	flight *flight   // makes the next snapshot; nil if none is being made
	forgot time.Time // snapshots from before this time must not be served
}

// A flight makes a snapshot for all callers that wait for it.
type flight struct {
	done chan struct{} // closed when seen and err are set
	seen *snapshot
	err  error
	late bool // a viewer has timed out waiting; guarded by the mutex of the reader
}

// A snapshot is the state of the fleet at one moment, with its forecast. It is immutable once made.
type snapshot struct {
	made     ticks
	at       time.Time     // by the clock of this process
	took     time.Duration // the time to make it
	isStored bool          // read from the database, where another process stored it
	accounts int           // accounts that prospects can resume through
	backlog  int           // prospects that are ready to resume
	longest  []int64       // the accounts with the longest queues, longest first
	// workspaces has accounts and backlog per workspace, without workspaces that have none.
	workspaces map[int64]FleetBacklog
	forecast   *plan.Forecast
	counts     AccountCounts
	moves      FleetMoves
	done       eta // of the last prospect that is ready to resume
	// Only in a stored snapshot: the accounts with the most paused prospects, most first, and how
	// many have any.
	mostPaused     []int64
	pausedAccounts int
}

// NewReader returns a Reader without a forecast.
func NewReader(db *store.Store) *Reader { return &Reader{db: db, paused: newPausedCounter()} }

// Renew makes a new forecast and waits for it until ctx ends.
func (f *Reader) Renew(ctx context.Context) error {
	f.mu.Lock()
	// A flight that is under way may have read the database too early, so this begins another one.
	next := f.begin(ctx, false)
	f.mu.Unlock()
	_, err := next.wait(ctx)
	return err
}

// RenewIfCheap drops the count of paused prospects, and renews the forecast if that takes no longer
// than a viewer should wait. Otherwise it makes the forecast in the background, no more often than
// requests of viewers would, and isRenewed is false; see [Reader.RenewedSince].
func (f *Reader) RenewIfCheap(ctx context.Context) (isRenewed bool, err error) {
	f.paused.forget()
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

// RenewedSince reports whether the forecast that viewers get is newer than the given time.
func (f *Reader) RenewedSince(at time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept != nil && f.kept.at.After(at)
}

// Forget drops the forecast and the count of paused prospects, so that the next caller gets new
// ones. A handler calls it after each change that it makes.
func (f *Reader) Forget() {
	f.paused.forget()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept, f.flight, f.forgot = nil, nil, time.Now()
}

// now is look in the current tick. It holds no connection of the pool while it waits, because
// making the forecast needs one.
func (f *Reader) now(ctx context.Context) (*view, error) {
	t, err := readTicks(ctx, f.db.Read())
	if err != nil {
		return nil, err
	}
	return f.look(ctx, t)
}

// look returns the forecast as seen from the given tick. It returns nil without an error if there
// is none in time.
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

// isTimeout reports whether an error is a timeout of this process or of the database.
func isTimeout(err error) bool {
	var answer *pgconn.PgError
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &answer) && answer.Code == "57014"
}

// join returns the current flight, or begins one. The mutex must be held.
func (f *Reader) join(ctx context.Context) *flight {
	if f.flight != nil {
		return f.flight
	}
	return f.begin(ctx, f.kept == nil)
}

// begin begins a flight, which continues even if ctx ends. With orStored, a stored forecast is
// enough. The mutex must be held.
func (f *Reader) begin(ctx context.Context, orStored bool) *flight {
	next := &flight{done: make(chan struct{})}
	f.flight = next
	forgot := f.forgot
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeWithin)
		defer cancel()
		if orStored {
			// If it cannot be read, a forecast is made below.
			next.seen, next.err = stored(ctx, f.db, forgot)
		}
		if next.seen == nil {
			next.seen, next.err = see(ctx, f.db)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		// Keep the result only if no later flight has begun and Forget was not called.
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

// freshFor is the age from which serving this snapshot starts making a new one.
func (s *snapshot) freshFor() time.Duration { return max(freshFor, freshFactor*s.took) }

// bounded keeps the database from working for a process that has given up.
var bounded = store.SnapshotOptions{Timeout: makeWithin}

func see(ctx context.Context, db *store.Store) (*snapshot, error) {
	s := &snapshot{at: time.Now()}
	err := db.SnapshotWith(ctx, bounded, func(q *dbsqlc.Queries) error {
		var err error
		if s.made, err = readTicks(ctx, q); err != nil {
			return err
		}
		return s.read(ctx, q)
	})
	if err != nil {
		return nil, fmt.Errorf("making a forecast: %w", err)
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
	if s.counts, err = countAccounts(ctx, q); err != nil {
		return err
	}
	s.counts.At = s.at
	if s.moves, err = countMoves(ctx, q); err != nil {
		return err
	}
	if s.forecast, err = forecastFor(ctx, q, s.made, candidates); err != nil {
		return err
	}
	// From the forecast, so that the candidates are not kept while it is made.
	drained, notBefore := s.forecast.DrainedAll()
	s.done = eta{At: store.OrNil(drained), NotBefore: store.OrNil(notBefore)}
	return nil
}

// longestOf returns the accounts with the longest queues, longest first.
func longestOf(candidates []plan.Candidate) []int64 {
	// Keeps only the top few in order: sorting all candidates would be too expensive.
	var longest []plan.Candidate
	byLength := func(a, b plan.Candidate) int {
		return cmp.Or(cmp.Compare(b.Backlog, a.Backlog), cmp.Compare(a.AccountID, b.AccountID))
	}
	for _, c := range candidates {
		if len(longest) == overviewQueues && byLength(c, longest[overviewQueues-1]) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(longest, c, byLength)
		longest = slices.Insert(longest, at, c)
		longest = longest[:min(len(longest), overviewQueues)]
	}
	ids := make([]int64, len(longest))
	for i, c := range longest {
		ids[i] = c.AccountID
	}
	return ids
}

// A view is a snapshot as seen from a later moment.
type view struct {
	*snapshot
	// shift is added to the ticks of the forecast. A forecast from an earlier tick predicts the
	// first, second and third tick from there; the best estimate is that the same happens from the
	// current tick.
	shift time.Duration
	isOld bool
}

// from returns the snapshot as seen from the given tick.
func (s *snapshot) from(t ticks) *view {
	current := currentFor
	if s.isStored {
		// Unlike a server process, a command does not keep making newer ones.
		current = min(current, s.freshFor())
	}
	v := &view{snapshot: s, isOld: s.made != t || time.Since(s.at) > current}
	if was, is := s.made.current, t.current; is.After(was) {
		v.shift = is.Sub(was)
	}
	return v
}

// ForecastInfo describes the forecast that an answer is based on.
type ForecastInfo struct {
	// At is when the fleet was read.
	At time.Time `json:"at"`
	// IsOld is true if that was in an earlier tick, before the current tick had its plan, or more
	// than a minute ago. The expected times are then estimates; a newer forecast is being made.
	IsOld bool `json:"is_old"`
}

func (v *view) info() *ForecastInfo {
	if v == nil {
		return nil
	}
	return &ForecastInfo{At: v.at.UTC(), IsOld: v.isOld}
}

// An eta is the tick at which something is expected, or a lower bound for it.
type eta struct{ At, NotBefore *time.Time }

// drainedAll returns when the last prospect that is ready to resume does.
func (v *view) drainedAll() eta {
	switch {
	case v.done.NotBefore != nil:
		return eta{NotBefore: v.shifted(*v.done.NotBefore)}
	case v.done.At != nil:
		return eta{At: v.shifted(*v.done.At)}
	default:
		return eta{}
	}
}

// tickOf returns when a position in the queue of an account resumes.
func (v *view) tickOf(accountID int64, position int) eta {
	if v == nil {
		return eta{}
	}
	return v.eta(func() (time.Time, bool) { return v.forecast.TickOf(accountID, position) },
		func() (time.Time, bool) { return v.forecast.NotBefore(accountID, position) })
}

// drained returns when the last prospect in the queue of an account resumes.
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

// next returns the upcoming ticks of an account.
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
