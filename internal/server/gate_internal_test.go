package server

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// While the workers are behind, connect signals pass one at a time. Other signals, and all signals
// when the workers are not behind, do not wait.
func TestGateSerializesConnectSignalsWhileWorkersAreBehind(t *testing.T) {
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

// A signal passes after the maximum delay. None is refused because workers are behind or gone.
func TestGateDelayIsLimited(t *testing.T) {
	t.Parallel()
	g := newGate(func() time.Duration { return time.Hour })
	held := g.pass(t.Context(), "connected")
	g.pass(t.Context(), "connected")()
	held()
	g.pass(t.Context(), "connected")()
}
