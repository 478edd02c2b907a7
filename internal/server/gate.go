package server

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// behindAfter is the lag of the oldest signal job at which the gate starts to slow down connect
	// signals.
	behindAfter = 100 * time.Millisecond
	// maxTurnDelay is the maximum delay per signal while it holds the turn.
	maxTurnDelay = 100 * time.Millisecond
	// maxGateDelay is the maximum total delay of a signal. Providers time out after 10 seconds or
	// more, and then retry.
	maxGateDelay = 2 * time.Second
)

// A gate slows down connect signals while the workers are behind. Accepting a signal costs a
// fraction of its resume pass, so without a gate, a burst would leave minutes of passes to do.
// While the oldest job has waited for longer than behindAfter, signals are accepted one at a time,
// with a delay that grows with the lag. No signal is refused, and none is delayed by more than
// maxGateDelay. Other signals, such as disconnects, are never delayed, because they stop sending.
type gate struct {
	lag   func() time.Duration
	turns *semaphore.Weighted
}

func newGate(lag func() time.Duration) *gate { return &gate{lag: lag, turns: semaphore.NewWeighted(1)} }

// pass blocks until a signal with this status may proceed. Call done after its transaction.
func (g *gate) pass(ctx context.Context, status string) (done func()) {
	if status != "connected" || g.lag() < behindAfter {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, maxGateDelay)
	defer cancel()
	if g.turns.Acquire(ctx, 1) != nil {
		return func() {} // it has waited long enough
	}
	if lag := g.lag(); lag >= behindAfter {
		select {
		case <-ctx.Done():
		case <-time.After(min(lag/20, maxTurnDelay)):
		}
	}
	return func() { g.turns.Release(1) }
}
