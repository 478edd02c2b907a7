package server

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// While the workers are behind connect signals go through one at a time; others, and all when they are not behind, do not
// wait for each other.
func TestGateTakesConnectSignalsOneByOneWhileWorkersAreBehind(t *testing.T) {
	t.Parallel()
	var lag atomic.Int64
	lag.Store(int64(behindAfter))
	g := newGate(func() time.Duration { return time.Duration(lag.Load()) })
	var inside, most atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			done := g.pass(t.Context(), "connected")
			defer done()
			now := inside.Add(1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			inside.Add(-1)
		})
	}
	all.Wait()
	require.EqualValues(t, 1, most.Load())

	held := g.pass(t.Context(), "connected")
	g.pass(t.Context(), "disconnected")()
	lag.Store(0)
	g.pass(t.Context(), "connected")()
	held()
}

// A signal that has waited for its time goes on: nothing is refused because workers are behind, or gone.
func TestGateLetsGoInTheEnd(t *testing.T) {
	t.Parallel()
	g := newGate(func() time.Duration { return time.Hour })
	held := g.pass(t.Context(), "connected")
	g.pass(t.Context(), "connected")()
	held()
	g.pass(t.Context(), "connected")()
}
