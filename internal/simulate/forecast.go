package simulate

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/providersim"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

const (
	// askedAtOnce is how many prospects are explained at a time.
	askedAtOnce = 40
	// askedEvery is how often. It is no divisor of a day, so that all hours have their turn.
	askedEvery = 7 * time.Hour
)

// An expectation is the day that an explanation named for the next action of a prospect.
type expectation struct {
	at   time.Time
	deed deed
	// days is nil if none was named.
	days *explain.Days
}

// explain asks for the next actions of some active prospects. It does so in the first half of the
// run, so that most of the days that are named are in the run.
func (d *driver) explain(ctx context.Context) error {
	if d.now.After(start.Add(d.end.Sub(start) / 2)) {
		return nil
	}
	rows, err := d.world.pool.Query(ctx, `
		SELECT e.prospect_url FROM thaw.enrollments AS e WHERE e.due_at IS NOT NULL
		ORDER BY hashtextextended(e.prospect_url, extract(epoch FROM thaw.now())::bigint), e.id LIMIT $1`, askedAtOnce)
	if err != nil {
		return err
	}
	urls, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	explained, err := readmodel.NewExplainer(store.New(d.world.pool), readmodel.Everything()).Explain(ctx, urls)
	if err != nil {
		return err
	}
	for _, prospect := range explained {
		for _, x := range prospect.Explanations {
			if x.Next == nil {
				return fmt.Errorf("%s has no next action", x.ProspectURL)
			}
			d.expectations = append(d.expectations, expectation{d.now, deed{x.Next.Kind, slugOf(x.ProspectURL)}, x.Next.ExpectedOn})
		}
	}
	return nil
}

// checkExpectations compares the days with those of the requests.
func (d *driver) checkExpectations(log []providersim.Entry, found findings) []Count {
	if len(d.expectations) == 0 {
		return nil
	}
	done := map[deed]time.Time{}
	for _, e := range log {
		done[deed{e.Kind, e.To}] = e.At
	}
	locations := map[string]*time.Location{}
	for _, p := range d.prospects {
		locations[p.to] = zoneOf[d.people[p.person].zone]
	}
	var none, one, ahead, several, wide, late int
	for _, x := range d.expectations {
		at, isDone := done[x.deed]
		if !isDone {
			at = d.end
		}
		day := at.In(locations[x.deed.to]).Format(time.DateOnly)
		if x.days != nil && x.days.From < x.days.To && !isNextDay(x.days.From, x.days.To) {
			wide++
		}
		switch {
		case x.days == nil:
			none++
		case !isDone && x.days.To >= day:
			late++
		case isDone && x.days.From <= day && day <= x.days.To:
			if x.days.From == x.days.To {
				one++
				if day > x.at.In(locations[x.deed.to]).Format(time.DateOnly) {
					ahead++
				}
			} else {
				several++
			}
		default:
			found.note(wrongDay, 1, fmt.Sprintf("%s to %s, asked at %s: expected %s to %s, done on %s",
				x.deed.kind, x.deed.to, x.at.Format(time.DateTime), x.days.From, x.days.To, day))
		}
	}
	return []Count{
		{"asked", len(d.expectations), ""}, {"one day, and it was right", one, ""}, {"of these, not the day of the question", ahead, ""},
		{"several days, and one of them was right", several, ""}, {"a day after the end of the run", late, ""}, {"no day", none, ""},
		{"of all, three days or more", wide, ""},
	}
}

func isNextDay(from, to string) bool {
	day, err := time.Parse(time.DateOnly, from)
	return err == nil && day.AddDate(0, 0, 1).Format(time.DateOnly) == to
}
