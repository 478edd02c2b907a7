package simulate

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A Report is the result of a simulation.
type Report struct {
	Days      int           `json:"days"`
	Accounts  int           `json:"accounts"`
	Prospects int           `json:"prospects"`
	Seed      uint64        `json:"seed"`
	Took      time.Duration `json:"-"`

	// Zero is what must not happen: each count must be 0.
	Zero []Count `json:"zero"`
	// Work is what happened.
	Work []Count `json:"work"`
	// FirstSend is the time from a reconnect, or from the opening of the window after it, to the
	// first request: the median, the 95th percentile and the maximum, in seconds.
	FirstSend [3]float64 `json:"first_send_seconds"`
	// Hours is the number of requests per hour since the start.
	Hours []int `json:"hours"`
	// Paused is the number of paused prospects at each full hour.
	Paused []int `json:"paused"`
}

// A Count is one line of the report.
type Count struct {
	Name    string `json:"name"`
	N       int    `json:"n"`
	Example string `json:"example,omitempty"`
}

// Failed reports whether something happened that must not.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Zero, func(c Count) bool { return c.N != 0 })
}

// unexplained counts the prospects that could go on, and do not: active ones that have been due for
// an hour although every gate is open, and paused ones that no rule keeps paused.
const unexplained = `
	WITH due AS (
		SELECT array_agg(e.id) AS ids FROM thaw.enrollments AS e WHERE e.due_at < thaw.now() - interval '1 hour')
	SELECT (SELECT count(*) FROM due, thaw.action_gates(due.ids, array_fill(NULL::text, ARRAY[cardinality(due.ids)])) AS g WHERE g.code IS NULL
			-- The account is at work, or waits for its gap.
			AND NOT EXISTS (SELECT FROM thaw.sending_accounts AS s WHERE s.account_id = g.account_id AND s.next_at <= thaw.now() + interval '1 hour'))
		+ (SELECT count(*) FROM thaw.resume_targets AS t JOIN thaw.enrollments AS e ON e.account_id = t.source_id AND e.status = 'paused' AND e.waits_for_account
			JOIN thaw.accounts AS a ON a.id = t.target_id
			WHERE e.paused_at < thaw.now() - interval '1 day' AND a.connected_at < thaw.now() - interval '1 day' AND thaw.blocked_by(a) IS NULL)`

func (d *driver) report(ctx context.Context, took time.Duration) (*Report, error) {
	f := d.check()
	r := &Report{Days: d.Days, Accounts: d.Accounts, Prospects: d.Prospects, Seed: d.Seed, Took: took}
	stuck, err := value[int](ctx, d.world, unexplained)
	if err != nil {
		return nil, err
	}
	lostUnknown, err := d.unknownOfOthers(ctx)
	if err != nil {
		return nil, err
	}
	differs, err := d.differences(ctx)
	if err != nil {
		return nil, err
	}
	r.Zero = []Count{
		{"steps requested again after a delivery", f.duplicates, f.examples["duplicate"]},
		{"daily caps exceeded", f.dailyCap, f.examples["daily cap"]},
		{"caps of 168 hours exceeded", f.weeklyCap, f.examples["weekly cap"]},
		{"requests outside of the window", f.outside, f.examples["outside"]},
		{"requests through an account that is not connected", f.notConnected, f.examples["not connected"]},
		{"requests in safety mode", f.inSafety, f.examples["safety mode"]},
		{"requests closer than the gap", f.busyGaps, f.examples["gap"]},
		{"first hours after a reconnect that are busier than any other", f.busierHours, f.examples["busier hour"]},
		{"prospects that wait without a reason", stuck, ""},
		{"unknown actions without a request that was under way", lostUnknown, ""},
		{"deliveries that the database does not know", differs, ""},
	}
	states, err := d.world.pool.Query(ctx, "SELECT 'actions: ' || a.state, count(*) FROM thaw.actions AS a GROUP BY a.state ORDER BY a.state")
	if err != nil {
		return nil, err
	}
	r.Work = append(r.Work, Count{"requests", len(d.provider.log), ""})
	for states.Next() {
		var c Count
		if err := states.Scan(&c.Name, &c.N); err != nil {
			return nil, err
		}
		r.Work = append(r.Work, c)
	}
	if err := states.Err(); err != nil {
		return nil, err
	}
	enrollments, err := d.world.pool.Query(ctx, "SELECT 'prospects: ' || e.status, count(*) FROM thaw.enrollments AS e GROUP BY e.status ORDER BY e.status")
	if err != nil {
		return nil, err
	}
	for enrollments.Next() {
		var c Count
		if err := enrollments.Scan(&c.Name, &c.N); err != nil {
			return nil, err
		}
		r.Work = append(r.Work, c)
	}
	if err := enrollments.Err(); err != nil {
		return nil, err
	}
	r.Work = append(r.Work,
		Count{"reconnects", len(d.backs), ""}, Count{"unknown actions verified as sent", d.verified["verified_sent"], ""},
		Count{"unknown actions verified as not sent", d.verified["verified_absent"], ""}, Count{"times in safety mode", len(d.safety), ""},
		Count{"servers killed", d.killedServers, ""}, Count{"senders killed at work", d.killedSenders, ""})
	if waits := d.firstSends(); len(waits) > 0 {
		r.FirstSend = [3]float64{waits[len(waits)/2].Seconds(), waits[len(waits)*95/100].Seconds(), waits[len(waits)-1].Seconds()}
	}
	r.Paused = d.paused
	r.Hours = make([]int, d.Days*24)
	for _, line := range d.provider.log {
		r.Hours[int(line.At.Sub(start)/time.Hour)]++
	}
	return r, nil
}

// unknownOfOthers counts actions that are or were unknown although the provider has no request that
// fits, and no sender was killed.
func (d *driver) unknownOfOthers(ctx context.Context) (int, error) {
	requested := map[string]bool{}
	for _, line := range d.provider.log {
		requested[fmt.Sprint(line.Kind, line.Step, line.Prospect)] = true
	}
	rows, err := d.world.pool.Query(ctx, "SELECT a.kind, a.step, a.prospect_url FROM thaw.actions AS a WHERE a.state = 'unknown' AND a.outcome IS NOT NULL")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var kind, prospect string
		var step int
		if err := rows.Scan(&kind, &step, &prospect); err != nil {
			return 0, err
		}
		if !requested[fmt.Sprint(kind, step, prospect)] {
			n++
		}
	}
	return n, rows.Err()
}

// differences counts deliveries for which the database has no action that counts as used.
func (d *driver) differences(ctx context.Context) (int, error) {
	rows, err := d.world.pool.Query(ctx, "SELECT a.kind, a.step, a.prospect_url FROM thaw.actions AS a WHERE a.is_used")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	known := map[string]bool{}
	for rows.Next() {
		var kind, prospect string
		var step int
		if err := rows.Scan(&kind, &step, &prospect); err != nil {
			return 0, err
		}
		known[fmt.Sprint(kind, step, prospect)] = true
	}
	n := 0
	for _, line := range d.provider.log {
		if line.Delivered && !known[fmt.Sprint(line.Kind, line.Step, line.Prospect)] {
			n++
		}
	}
	return n, rows.Err()
}

// Write prints the report as text.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d days, %d accounts, %d prospects, seed %d\n\n", r.Days, r.Accounts, r.Prospects, r.Seed)
	b.WriteString("Must be 0\n")
	for _, c := range r.Zero {
		fmt.Fprintf(&b, "  %-62s %8d\n", c.Name, c.N)
		if c.Example != "" {
			fmt.Fprintf(&b, "    %s\n", c.Example)
		}
	}
	b.WriteString("\nWhat happened\n")
	for _, c := range r.Work {
		fmt.Fprintf(&b, "  %-62s %8d\n", c.Name, c.N)
	}
	fmt.Fprintf(&b, "\nFrom a reconnect, or the opening of the window after it, to the first request\n  p50 %.0f s, p95 %.0f s, max %.0f s\n", r.FirstSend[0], r.FirstSend[1], r.FirstSend[2])
	_, err := io.WriteString(w, b.String())
	return err
}
