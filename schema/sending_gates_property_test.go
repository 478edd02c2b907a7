package schema_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/thawline/thaw/internal/testdb"
)

// paced is a fleet of two persons who send to the same six prospects, without a cap of their own.
// The first has an account in each of two workspaces, the second lives in New York. The campaign
// that both are in has a cap of two invites a day. The kinds have gaps from 3 and 2 minutes.
const paced = `
	INSERT INTO thaw.workspaces (key) VALUES ('acme'), ('globex');
	INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone, tier) VALUES
		(1, 'ann', 'm-ann', 'connected', 'Europe/Berlin', 'premium'), (1, 'bob', 'm-bob', 'connected', 'America/New_York', 'premium'),
		(2, 'ann-2', 'm-ann', 'connected', 'Europe/Berlin', 'premium');
	INSERT INTO thaw.campaigns (workspace_id, key, status) VALUES (1, 'spring', 'running'), (1, 'summer', 'running'), (2, 'autumn', 'running');
	INSERT INTO thaw.campaign_steps (campaign_id, position, kind, delay)
	SELECT c, position, CASE position WHEN 0 THEN 'invite' ELSE 'message' END, '0' FROM generate_series(1, 3) AS c, generate_series(0, 1) AS position;
	INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, status, next_action_at, prospect_url)
	SELECT CASE account WHEN 3 THEN 2 ELSE 1 END, campaign, account, 'active', thaw.now(), format(spelling, n)
	FROM (VALUES (1, 1, 'https://www.linkedin.com/in/person-%s'), (2, 1, 'http://de.linkedin.com/in/Person-%s/'),
		(1, 2, 'linkedin.com/in/person%%2D%s?trk=x'), (2, 2, 'https://linkedin.com/in/person-%s#a'), (3, 3, 'https://m.linkedin.com/in/PERSON-%s/details/')) AS place (account, campaign, spelling),
		generate_series(1, 6) AS n
	ORDER BY campaign, account, n;
	INSERT INTO thaw.action_overrides (workspace_id, campaign_id, kind, per_day, reason, actor) VALUES (1, 1, 'invite', 2, 'x', 'x');
	UPDATE thaw.sending_windows SET weekdays = '{1,2,3,4,5,6,7}', opens = '00:00', closes = '00:00:01';
	INSERT INTO thaw.sending_windows (weekdays, opens, closes) VALUES ('{1,2,3,4,5,6,7}', '00:00:01', '00:00');
	UPDATE thaw.action_limits SET per_day = 80, per_week = NULL;
	UPDATE thaw.action_limits SET gap_from = '2 minutes', gap_to = '6 minutes' WHERE kind = 'message';
	UPDATE thaw.settings SET pending_invites = 3`

const gapOfAll, openInvites = time.Minute, 3

var gapOfKind = map[string]time.Duration{"invite": 3 * time.Minute, "message": 2 * time.Minute}

// An actionRow is what a row of the ledger says.
type actionRow struct {
	ID, Account, Campaign, Enrollment int64
	Kind, State                       string
	Used                              bool
	ReservedAt, NextOfKind            time.Time
	StartedAt, ClosedAt               *time.Time
	Day                               time.Time
	Gap                               time.Duration
	ClosedAs, ErrorCode               string
	UsedAt                            time.Time
	Zone                              string
}

// countsInto reports whether the row may have been requested on a day, in its own zone. One that is
// under way may be requested now.
func (a actionRow) countsInto(t *testing.T, day, now time.Time) bool {
	t.Helper()
	zone, err := time.LoadLocation(a.Zone)
	require.NoError(t, err)
	last := a.UsedAt
	if a.State == "started" {
		last = now
	}
	return a.Used && (day.Equal(a.Day) || day.Equal(a.Day.AddDate(0, 0, 1)) && last.In(zone).Format(time.DateOnly) >= day.Format(time.DateOnly))
}

// person has the two accounts of the first person in one.
func (a actionRow) person() int64 {
	if a.Account == 3 {
		return 1
	}
	return a.Account
}

// prospect is the number of the prospect: each account of a campaign has all six, in this order.
func (a actionRow) prospect() int64 { return (a.Enrollment - 1) % 6 }

// invites reports whether the row keeps the person from another invite to the prospect at a time.
func (a actionRow) invites(at time.Time) bool {
	if a.Kind != "invite" || !a.Used && a.State != "already" {
		return false
	}
	return a.ClosedAs != "withdrawn" || at.Before(a.ClosedAt.Add(21*24*time.Hour))
}

// A kindHold is a time in which a person does nothing of a kind.
type kindHold struct {
	person      int64
	kind        string
	from, until time.Time
}

// Random senders, whose gaps, holds, campaign caps, ceiling and prospects are in each other's way:
// after each step the rows of the ledger are compared with the rules of docs/sending.md, which are
// written here once more.
func TestNoRandomSenderIgnoresAGate(t *testing.T) {
	t.Parallel()
	template := testdb.New(t)
	moveTo(t, template, "2026-03-24 09:00:00+00") // The clocks of Berlin change in this week.
	template.Exec(t, paced)
	rapid.Check(t, func(r *rapid.T) {
		db := template.Copy(t)
		r.Cleanup(func() { db.Drop(t) })
		// Gaps are drawn from the seed, so that a failure can be repeated.
		db.Exec(t, fmt.Sprintf(`CREATE OR REPLACE FUNCTION thaw.draw(p_key text) RETURNS double precision LANGUAGE sql
			RETURN (hashtextextended(p_key, %d) & 1023) / 1024.0`, rapid.Int32().Draw(r, "seed")))
		var holds []kindHold
		perDay := 2
		var before []actionRow
		for range rapid.IntRange(50, 100).Draw(r, "steps") {
			step := rapid.SampledFrom([]string{
				"send", "send", "reserve", "reserve", "reserve", "reserve", "start", "start all", "settle", "settle", "close", "wait", "wait", "hold", "cap",
			}).Draw(r, "step")
			one := func(name string, wanted func(actionRow) bool) (a actionRow, found bool) {
				all := slices.DeleteFunc(slices.Clone(before), func(a actionRow) bool { return !wanted(a) })
				if len(all) == 0 {
					return a, false
				}
				return all[rapid.IntRange(0, len(all)-1).Draw(r, name)], true
			}
			reserve := func(enrollment int) (id *int64) {
				if rapid.IntRange(0, 3).Draw(r, "after the gap") > 0 {
					db.Advance(t, time.Duration(rapid.IntRange(60, 500).Draw(r, "seconds"))*time.Second)
				}
				ask(t, r, db, &id, "SELECT r.id FROM thaw.reserve($1, lease => '1 day') AS r", enrollment)
				return id
			}
			settle := func(id int64, outcomes ...string) {
				outcome := rapid.SampledFrom(outcomes).Draw(r, "outcome")
				code := map[string]string{"already": rapid.SampledFrom([]string{"already_connected", "already_invited_recently"}).Draw(r, "code")}[outcome]
				until := db.Now(t).Add(time.Duration(rapid.IntRange(1, 30*60).Draw(r, "until")) * time.Minute)
				ask(t, r, db, new(string), "SELECT thaw.settle($1, $2, 'ref', error_code => nullif($3, ''), until => $4, if_refused => 'keep')", id, outcome, code, until)
				if outcome == "limited" {
					i := slices.IndexFunc(before, func(a actionRow) bool { return a.ID == id })
					holds = append(holds, kindHold{before[i].person(), before[i].Kind, db.Now(t), until})
				}
			}
			switch step {
			case "reserve":
				reserve(rapid.IntRange(1, 30).Draw(r, "enrollment"))
			case "send":
				if id := reserve(rapid.IntRange(1, 30).Draw(r, "enrollment")); id != nil {
					var code *string
					ask(t, r, db, &code, "SELECT r.code FROM thaw.start($1) AS r", *id)
					if code == nil {
						settle(*id, "sent", "sent", "sent", "unknown", "already")
					}
				}
			case "start":
				if a, found := one("reservation", func(a actionRow) bool { return a.State == "reserved" }); found {
					ask(t, r, db, new(*string), "SELECT r.code FROM thaw.start($1) AS r", a.ID)
				}
			case "start all", "cap":
				// What was reserved under the old cap.
				if step == "cap" {
					perDay = rapid.IntRange(1, 3).Draw(r, "cap")
					db.Exec(t, "UPDATE thaw.action_overrides SET per_day = $1 WHERE campaign_id = 1", perDay)
				}
				for _, a := range before {
					if a.State == "reserved" {
						ask(t, r, db, new(*string), "SELECT r.code FROM thaw.start($1) AS r", a.ID)
						db.Advance(t, time.Duration(rapid.IntRange(10, 300).Draw(r, "seconds"))*time.Second)
					}
				}
			case "settle":
				if a, found := one("action", func(a actionRow) bool { return a.State == "started" || a.State == "unknown" && a.ClosedAt == nil }); found {
					if a.State == "unknown" {
						outcome := rapid.SampledFrom([]string{"verified_sent", "verified_absent"}).Draw(r, "outcome")
						ask(t, r, db, new(string), "SELECT thaw.verify_action($1, $2, 'x')", a.ID, outcome)
						break
					}
					settle(a.ID, "sent", "already", "limited", "throttled", "refused", "unknown")
				}
			case "close":
				if a, found := one("invite", func(a actionRow) bool {
					return a.Kind == "invite" && (a.State == "sent" || a.State == "unknown" || a.State == "already") && a.ClosedAt == nil
				}); found {
					how := rapid.SampledFrom([]string{"accepted", "withdrawn", "withdrawn"}).Draw(r, "how")
					ask(t, r, db, new(bool), "SELECT thaw.close_invite($1, $2)", a.ID, how)
					// Another campaign would like to invite the prospect, soon or after three weeks.
					db.Advance(t, time.Duration(rapid.IntRange(0, 30).Draw(r, "days"))*24*time.Hour)
					reserve(rapid.IntRange(0, 4).Draw(r, "place")*6 + int(a.prospect()) + 1)
				}
			case "hold":
				account := rapid.Int64Range(1, 3).Draw(r, "account")
				h := kindHold{person: actionRow{Account: account}.person(), kind: rapid.SampledFrom([]string{"invite", "message"}).Draw(r, "kind")}
				h.until = db.Now(t).Add(time.Duration(rapid.IntRange(1, 60).Draw(r, "minutes")) * time.Minute)
				if ask(t, r, db, new(time.Time), "SELECT thaw.hold_action_kind($1, $2, $3, 'x')", []string{"ann", "bob", "ann-2"}[account-1], h.kind, h.until) {
					h.from = db.Now(t)
					holds = append(holds, h)
				}
			case "wait":
				// Often as long as a gap, and sometimes longer than the three weeks after a withdrawal.
				unit := rapid.SampledFrom([]time.Duration{time.Second, time.Second, time.Second, time.Second, time.Minute, time.Minute, time.Hour}).Draw(r, "unit")
				db.Advance(t, time.Duration(rapid.IntRange(10, 600).Draw(r, "how many"))*unit)
				db.Exec(t, "SELECT thaw.expire_actions()") // Workers do, each minute.
			}
			after := ledgerOf(t, db)
			if wrong := closedGates(t, before, after, holds, perDay); len(wrong) > 0 {
				r.Fatalf("%v", wrong)
			}
			before = after
		}
	})
}

// ask runs a query with one row. It returns false if the statement makes no sense any more: an
// action is not open, or a hold ends later.
func ask(t *testing.T, r *rapid.T, db *testdb.DB, result any, sql string, args ...any) bool {
	t.Helper()
	err := db.Pool.QueryRow(t.Context(), sql, args...).Scan(result)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == pgerrcode.ObjectNotInPrerequisiteState {
		return false
	}
	if err != nil {
		r.Fatal(err)
	}
	return true
}

// ledgerOf returns the rows of the ledger, in their order.
func ledgerOf(t *testing.T, db *testdb.DB) []actionRow {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `
		SELECT id, account_id, campaign_id, enrollment_id, kind, state::text, state IN ('reserved', 'started', 'sent', 'unknown'),
			reserved_at, next_of_kind_at, started_at, closed_at, local_day, gap, coalesce(closed_as, ''), coalesce(error_code, ''),
			used_at, timezone
		FROM thaw.actions ORDER BY id`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[actionRow])
	require.NoError(t, err)
	return all
}

// closedGates returns the rules that the rows after a step do not follow. before are the rows
// before it, perDay is the cap of the first campaign.
func closedGates(t *testing.T, before, after []actionRow, holds []kindHold, perDay int) (wrong []string) {
	t.Helper()
	earlier := map[int64]actionRow{}
	for _, a := range before {
		earlier[a.ID] = a
	}
	open := map[int64]int{}
	starts := map[int64][]actionRow{}
	for _, a := range after {
		if a.Used {
			if a.Kind == "invite" && a.ClosedAt == nil {
				open[a.person()]++
			}
		}
		if a.StartedAt != nil {
			starts[a.person()] = append(starts[a.person()], a)
		}
	}
	for _, a := range after {
		// What was given out, or started, in this step.
		was, isOld := earlier[a.ID]
		var at time.Time
		switch {
		case a.StartedAt != nil && was.StartedAt == nil:
			at = *a.StartedAt
		case !isOld:
			at = a.ReservedAt
		default:
			continue
		}
		if a.Gap < gapOfAll || a.NextOfKind.Before(at.Add(gapOfKind[a.Kind])) {
			wrong = append(wrong, fmt.Sprintf("action %d of %s has gaps of %s and until %s", a.ID, at, a.Gap, a.NextOfKind))
		}
		if a.Campaign == 1 && a.Kind == "invite" && a.Used {
			n := 0
			for _, other := range after {
				if other.Campaign == 1 && other.Kind == "invite" && other.countsInto(t, a.Day, at) {
					n++
				}
			}
			if n > perDay {
				wrong = append(wrong, fmt.Sprintf("the campaign has %d invites on %s, with action %d", n, a.Day, a.ID))
			}
		}
		for _, h := range holds {
			if h.person == a.person() && h.kind == a.Kind && !at.Before(h.from) && at.Before(h.until) {
				wrong = append(wrong, fmt.Sprintf("action %d was given out at %s, on hold from %s until %s", a.ID, at, h.from, h.until))
			}
		}
		for _, other := range after {
			if other.ID == a.ID || other.person() != a.person() || other.ReservedAt.After(at) {
				continue
			}
			if a.Kind == "invite" && other.prospect() == a.prospect() && other.invites(at) {
				wrong = append(wrong, fmt.Sprintf("action %d invites at %s whom action %d has invited: %+v", a.ID, at, other.ID, other))
			}
			// The gaps that were drawn hold for what is given out, the lower ends of their ranges
			// for starts. What was never started has no gap of its kind.
			if !isOld && at.Before(other.ReservedAt.Add(other.Gap)) {
				wrong = append(wrong, fmt.Sprintf("action %d was reserved at %s, action %d at %s with a gap of %s", a.ID, at, other.ID, other.ReservedAt, other.Gap))
			}
			if !isOld && other.Kind == a.Kind && (other.Used || other.StartedAt != nil) && at.Before(other.NextOfKind) {
				wrong = append(wrong, fmt.Sprintf("action %d was reserved at %s, action %d of the same kind allows it from %s", a.ID, at, other.ID, other.NextOfKind))
			}
		}
	}
	for person, n := range open {
		if n > openInvites {
			wrong = append(wrong, fmt.Sprintf("person %d has %d open invites", person, n))
		}
	}
	for _, all := range starts {
		slices.SortFunc(all, func(a, b actionRow) int { return cmp.Or(a.StartedAt.Compare(*b.StartedAt), cmp.Compare(a.ID, b.ID)) })
		last := map[string]actionRow{}
		for i, a := range all {
			if i > 0 && a.StartedAt.Sub(*all[i-1].StartedAt) < gapOfAll {
				wrong = append(wrong, fmt.Sprintf("actions %d and %d started at %s and %s", all[i-1].ID, a.ID, all[i-1].StartedAt, a.StartedAt))
			}
			if of, found := last[a.Kind]; found && a.StartedAt.Sub(*of.StartedAt) < gapOfKind[a.Kind] {
				wrong = append(wrong, fmt.Sprintf("the %ss %d and %d started at %s and %s", a.Kind, of.ID, a.ID, of.StartedAt, a.StartedAt))
			}
			last[a.Kind] = a
		}
	}
	return wrong
}
