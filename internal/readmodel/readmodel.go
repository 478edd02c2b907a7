// Package readmodel reads the current state of the fleet and its expected future for pages, the API
// and the command line: [Explain] for one prospect, [Status] for the fleet, [Forecast] for the
// expected times in both, and paged lists.
//
// It has no rules of its own. Database functions determine which prospects wait and what blocks
// them, expected times come from the planning rule that the sweep uses, and sentences come from
// package explain. Each answer is read from one snapshot of the database, so its parts are
// consistent.
package readmodel

import (
	"fmt"
	"time"
)

// utc makes times from the database independent of the server's time zone.
func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}

// text returns an empty string for nil.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// nameOf returns the display name of an account or a campaign, with its key: only the key is
// unique.
func nameOf(name, key string) string {
	if name == "" || name == key {
		return key
	}
	return fmt.Sprintf("%s (%s)", name, key)
}
