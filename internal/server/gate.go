package server

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// behindAfter is how long the oldest job of a signal has to wait before connect signals are taken more slowly.
	behindAfter = 100 * time.Millisecond
	// slowestTurn is the longest pause of a turn.
	slowestTurn = 100 * time.Millisecond
	// gateAtMost is the longest that a signal is held up. Providers give up after 10 seconds or more, and then send again.
	gateAtMost = 2 * time.Second
)

// A gate takes connect signals more slowly while the workers are behind, so that passes keep up with what is accepted: taking a
// signal costs a fraction of its pass, and without a gate a burst leaves minutes of passes to be done. While the oldest job
// waits for longer than behindAfter, signals go through one at a time, with a pause that grows with the lag. None is refused, and
// none waits for longer than gateAtMost. Signals that take an account away never wait: they hold its prospects back.
type gate struct {
	lag   func() time.Duration
	turns *semaphore.Weighted
}

func newGate(lag func() time.Duration) *gate { return &gate{lag: lag, turns: semaphore.NewWeighted(1)} }

// pass returns when a signal with this status may go on. Call done after its transaction.
func (g *gate) pass(ctx context.Context, status string) (done func()) {
	if status != "connected" || g.lag() < behindAfter {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, gateAtMost)
	defer cancel()
	if g.turns.Acquire(ctx, 1) != nil {
		return func() {} // it has waited for long enough
	}
	if lag := g.lag(); lag >= behindAfter {
		select {
		case <-ctx.Done():
		case <-time.After(min(lag/20, slowestTurn)):
		}
	}
	return func() { g.turns.Release(1) }
}
