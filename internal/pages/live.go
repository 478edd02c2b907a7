package pages

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// lookEvery is how often the database is asked whether anything has changed, once for all
	// viewers, while there is one.
	lookEvery = time.Second
	// aliveEvery is how often a silent connection gets a comment, before something on its way takes
	// it for dead.
	aliveEvery = 20 * time.Second
	// maxViewers is how many pages are kept up to date at once. Each holds a connection, of which a
	// process has 512: webhooks and pages must not wait behind tabs that were left open.
	maxViewers = 200
)

// live tells browsers when something has changed, as server-sent events.
type live struct {
	Config

	mu        sync.Mutex
	viewers   map[chan struct{}]bool
	isLooking bool
}

func newLive(c Config) *live { return &live{Config: c, viewers: map[chan struct{}]bool{}} }

// ServeHTTP serves GET /live until the viewer goes or the process stops: an event "change" for each
// change.
func (l *live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Joined before the browser hears that the stream is open: it looks again then, and is told of
	// what comes after.
	changed := l.join()
	if changed == nil {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "Too many pages are open: this one does not stay up to date by itself.", http.StatusServiceUnavailable)
		return
	}
	defer l.leave(changed)
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	write := func(text string) error {
		// The server's limit is for pages; here each message has one of its own.
		_ = out.SetWriteDeadline(time.Now().Add(aliveEvery))
		if _, err := fmt.Fprint(w, text); err != nil {
			return err
		}
		return out.Flush()
	}
	if write("retry: 2000\n\n") != nil {
		return
	}
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	for err := error(nil); err == nil; {
		select {
		case <-r.Context().Done():
			return
		case <-l.Stopping.Done():
			return
		case <-changed:
			err = write("event: change\ndata:\n\n")
		case <-alive.C:
			err = write(": still here\n\n")
		}
	}
}

// join returns a channel that hears of changes; nil: there are too many.
func (l *live) join() chan struct{} {
	changed := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.viewers) >= maxViewers {
		return nil
	}
	l.viewers[changed] = true
	if !l.isLooking {
		l.isLooking = true
		go l.look()
	}
	return changed
}

func (l *live) leave(changed chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.viewers, changed)
}

// look asks the database until nobody is there to be told.
func (l *live) look() {
	var last string
	var pending time.Time // of the newest change that the forecast has yet to see; zero: there is none
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		now, err := l.fingerprint()
		switch {
		case err != nil:
			l.Logger.WarnContext(l.Stopping, "could not look for changes to show", "error", err)
		// The first look tells, too: what changed since the viewer's page was made is in it
		// already.
		case now != last:
			if changed := time.Now(); l.renew() {
				pending = time.Time{}
			} else {
				pending = changed
			}
			l.tell()
		// The forecast of a large fleet comes later than the change.
		case !pending.IsZero() && (l.Reader.RenewedSince(pending) || l.renew()):
			pending = time.Time{}
			l.tell()
		}
		if err == nil {
			last = now
		}
		select {
		case <-l.Stopping.Done():
			return
		case <-ticker.C:
		}
		if l.stopIfAlone() {
			return
		}
	}
}

func (l *live) fingerprint() (string, error) {
	ctx, cancel := context.WithTimeout(l.Stopping, 5*time.Second)
	defer cancel()
	return l.Store.Fingerprint(ctx)
}

// renew makes sure that what the viewers ask for next is not what they have. It returns false where
// the forecast comes later.
func (l *live) renew() bool {
	ctx, cancel := context.WithTimeout(l.Stopping, 5*time.Second)
	defer cancel()
	isRenewed, err := l.Reader.RenewIfCheap(ctx)
	if err != nil {
		l.Logger.WarnContext(l.Stopping, "the forecast could not be made", "error", err)
	}
	return isRenewed
}

func (l *live) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for changed := range l.viewers {
		select {
		case changed <- struct{}{}:
		default: // it has yet to hear of the last one
		}
	}
}

func (l *live) stopIfAlone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isLooking = len(l.viewers) > 0
	return !l.isLooking
}
