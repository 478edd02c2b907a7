package jobs

import "time"

// A Tick identifies a sweep: the start of a quarter hour by the database clock, unless the settings
// set another length. It is always encoded in UTC and whole seconds, because jobs are unique by the
// text of their arguments. The zero Tick means none.
type Tick struct{ time.Time }

// TickAt returns the tick that starts at the given time.
func TickAt(t time.Time) Tick { return Tick{t.UTC().Truncate(time.Second)} }

// MarshalJSON encodes the tick as RFC 3339 in UTC, like "2026-01-31T09:15:00Z".
func (t Tick) MarshalJSON() ([]byte, error) { return TickAt(t.Time).Time.MarshalJSON() }
