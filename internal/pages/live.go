package pages

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// lookEvery is how often the database is checked for changes: once for all viewers, and only
	// while there are viewers.
	lookEvery = time.Second
	// aliveEvery is how often an idle connection gets a comment, so that proxies do not close it.
	aliveEvery = 20 * time.Second
	// maxViewers is the maximum number of pages kept up to date at once. Each holds one of the 512
	// connections of a process; tabs left open must not block webhooks and other pages.
	maxViewers = 200
)

// live notifies browsers of changes with server-sent events.
type live struct {
	Config

	mu        sync.Mutex
	viewers   map[chan struct{}]bool
	isLooking bool
}

func newLive(c Config) *live { return &live{Config: c, viewers: map[chan struct{}]bool{}} }

// ServeHTTP serves GET /live: an event "change" per change, until the viewer disconnects or the
// process stops.
func (l *live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Join before the browser sees the open stream. It refreshes when the stream opens and is
	// notified of all later changes.
	changed := l.join()
	if changed == nil {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "Too many pages are open, so this one is not updated automatically. Close other pages, then reload it.", http.StatusServiceUnavailable)
		return
	}
	defer l.leave(changed)
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	write := func(text string) error {
		// The server's write deadline is for pages. Each message here gets its own.
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

// join returns a channel that receives changes; nil if there are too many viewers.
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

// look checks the database for changes until there are no viewers.
func (l *live) look() {
	var last string
	var pending time.Time // latest change not in the forecast yet; zero if none
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		now, err := l.fingerprint()
		switch {
		case err != nil:
			l.Logger.WarnContext(l.Stopping, "could not check for changes to show on pages", "error", err)
		// The first check always notifies: it may already include changes since the viewer's page
		// was made.
		case now != last:
			if changed := time.Now(); l.renew() {
				pending = time.Time{}
			} else {
				pending = changed
			}
			l.tell()
		// The forecast of a large fleet is ready some time after the change.
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
	return l.Store.Read().Fingerprint(ctx)
}

// renew makes sure that the next requests of viewers get new data. It returns false if the forecast
// is not ready yet.
func (l *live) renew() bool {
	ctx, cancel := context.WithTimeout(l.Stopping, 5*time.Second)
	defer cancel()
	isRenewed, err := l.Reader.RenewIfCheap(ctx)
	if err != nil {
		l.Logger.WarnContext(l.Stopping, "could not make the forecast for pages", "error", err)
	}
	return isRenewed
}

func (l *live) tell() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for changed := range l.viewers {
		select {
		case changed <- struct{}{}:
		default: // the previous change is still unread
		}
	}
}

func (l *live) stopIfAlone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isLooking = len(l.viewers) > 0
	return !l.isLooking
}
