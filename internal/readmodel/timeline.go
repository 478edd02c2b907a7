package readmodel

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A TimelineEntry is something that happened to an account.
type TimelineEntry struct {
	At time.Time `json:"at"`
	// Part is the kind of the entry: status (a status change), signal, action (a manual action),
	// sweep or heal (which resumed prospects through the account).
	Part       string     `json:"part"`
	ID         int64      `json:"id"`                    // within the part; of a sweep, the tick in seconds since 1970
	What       string     `json:"what"`                  // of an action: thaw.manual_actions.what; of a signal: its kind
	FromStatus string     `json:"from_status,omitempty"` // of a status change
	ToStatus   string     `json:"to_status,omitempty"`   // of a status change or a signal
	Actor      string     `json:"actor,omitempty"`       // of an action or a heal
	Detail     string     `json:"detail,omitempty"`      // of an action: what was set, such as a limit
	Reason     string     `json:"reason,omitempty"`      // of a status change or a signal, the provider's raw value
	Product    string     `json:"product,omitempty"`     // of a signal that is about one product
	Outcome    string     `json:"outcome,omitempty"`     // of a signal: account_signals.outcome; of a heal: its state
	Verdict    string     `json:"verdict,omitempty"`     // of a signal or a sweep: the result of its resume pass
	Until      *time.Time `json:"until,omitempty"`       // of a hold: its end
	Prospects  *int32     `json:"prospects,omitempty"`   // how many prospects it paused, resumed or changed
	CanUndo    bool       `json:"-"`                     // of an action: see AuditEntry
	IsShared   bool       `json:"is_shared,omitempty"`   // a heal of the whole workspace: Prospects counts all its accounts
}

// TimelineParts are the parts of a timeline.
var TimelineParts = []string{"status", "signal", "action", "sweep", "heal"}

// inTimeline is a position in a timeline: the ID of the last entry of each part. A time is no
// position, because the entries of a part are in the order of their IDs, which may differ from the
// order of their times.
type inTimeline struct {
	Status int64 `json:"status"`
	Signal int64 `json:"signal"`
	Action int64 `json:"action"`
	Sweep  int64 `json:"sweep"`
	Heal   int64 `json:"heal"`
}

// maxTick is after every tick, in seconds since 1970.
const maxTick = 1 << 35

func (at *inTimeline) of(part string) *int64 {
	switch part {
	case "status":
		return &at.Status
	case "signal":
		return &at.Signal
	case "action":
		return &at.Action
	case "sweep":
		return &at.Sweep
	default:
		return &at.Heal
	}
}

// Timeline returns a page of what happened to an account, newest first. Without parts, it has all
// of them.
func Timeline(ctx context.Context, db *store.Store, s Scope, accountID int64, parts []string, p Paging) (Page[TimelineEntry], error) {
	if len(parts) == 0 {
		parts = TimelineParts
	}
	const list = "timeline"
	var page Page[TimelineEntry]
	err := ofAccount(ctx, db, s, accountID, func(q *dbsqlc.Queries) error {
		from, err := after(p, list, inTimeline{math.MaxInt64, math.MaxInt64, math.MaxInt64, maxTick, math.MaxInt64})
		if err != nil {
			return err
		}
		rows, err := q.AccountTimeline(ctx, dbsqlc.AccountTimelineParams{
			AccountID: accountID, Parts: parts, BeforeStatus: from.Status, BeforeSignal: from.Signal, BeforeAction: from.Action,
			BeforeTick: min(from.Sweep, maxTick), BeforeHeal: from.Heal, Size: p.size(),
		})
		if err != nil {
			return err
		}
		page, err = paged(p, list, merge(rows, from), func(r positioned) TimelineEntry { return timelineEntry(r.AccountTimelineRow) },
			func(r positioned) inTimeline { return r.at })
		return err
	})
	if err != nil {
		return Page[TimelineEntry]{}, fmt.Errorf("timeline of account %d: %w", accountID, err)
	}
	return page, nil
}

// A positioned row is a row of a timeline with its position.
type positioned struct {
	dbsqlc.AccountTimelineRow
	at inTimeline
}

// merge orders rows, which are ordered by ID within each part, by time. It never changes the order
// within a part.
func merge(rows []dbsqlc.AccountTimelineRow, from inTimeline) []positioned {
	parts := map[string][]dbsqlc.AccountTimelineRow{}
	for _, r := range rows {
		parts[r.Part] = append(parts[r.Part], r)
	}
	merged := make([]positioned, 0, len(rows))
	for range rows {
		var next string
		for _, part := range TimelineParts {
			if len(parts[part]) > 0 && (next == "" || parts[part][0].At.After(parts[next][0].At)) {
				next = part
			}
		}
		row := parts[next][0]
		parts[next] = parts[next][1:]
		*from.of(next) = row.ID
		merged = append(merged, positioned{row, from})
	}
	return merged
}

func timelineEntry(r dbsqlc.AccountTimelineRow) TimelineEntry {
	e := TimelineEntry{
		At: r.At.UTC(), Part: r.Part, ID: r.ID, What: r.What, FromStatus: r.FromStatus, ToStatus: r.ToStatus, Actor: r.Actor,
		Reason: r.Reason, Product: r.Product, Outcome: r.Outcome, Verdict: r.Verdict, Until: utc(r.Until), Prospects: r.Prospects,
		Detail: r.Detail, IsShared: r.IsShared, CanUndo: r.CanUndo,
	}
	return e
}
