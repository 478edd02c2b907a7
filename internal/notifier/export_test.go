package notifier

import (
	"context"
	"time"
)

// LookBackOnce runs one look back, as a running notifier does every second.
func (n *Notifier) LookBackOnce(ctx context.Context) error { return n.lookBackOnce(ctx) }

// Fronts exports fronts.
type Fronts struct{ fronts }

// NewFronts returns fronts for queues that a look back has just found empty.
func NewFronts(since map[string]time.Time) *Fronts {
	return &Fronts{fronts{since: since, looked: time.Now()}}
}

func (f *Fronts) From(queue string) (time.Time, bool)         { return f.from(queue) }
func (f *Fronts) Emptied(queue string, began, from time.Time) { f.emptied(queue, began, from) }
func (f *Fronts) LookedBack(at time.Time, queue string, age time.Duration) []string {
	return f.lookedBack(at, map[string]time.Duration{queue: age})
}
