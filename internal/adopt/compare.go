package adopt

import (
	"context"
	_ "embed" // the statements
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/enum"
)

// The statements that read Thaw's copy.
var (
	//go:embed sql/copied_workspaces.sql
	copiedWorkspaces string
	//go:embed sql/copied_accounts.sql
	copiedAccounts string
	//go:embed sql/copied_campaigns.sql
	copiedCampaigns string
	//go:embed sql/copied_enrollments.sql
	copiedEnrollments string
	//go:embed sql/kept.sql
	keptSQL string
	//go:embed sql/known.sql.template
	knownTemplate string
)

var copiedSQL = map[Kind]string{
	Workspaces: copiedWorkspaces, Accounts: copiedAccounts, Campaigns: copiedCampaigns, Enrollments: copiedEnrollments,
}

// maxDrift is how many differences a comparison lists. Further ones are only counted.
const maxDrift = 20

// A Comparison is what a comparison of the platform's tables with Thaw's copy found.
type Comparison struct {
	Rows int64 `json:"rows"` // of the platform
	// Drift is how many rows differ, on either side.
	Drift int64 `json:"drift"`
	// Waiting is how many rows differ by a change that is still on its way: in the queue back, or
	// kept in thaw.adopt_errors. They are not drift.
	Waiting int64 `json:"waiting"`
	// Fixed is how many differing rows were copied again.
	Fixed    int64        `json:"fixed"`
	Examples []Difference `json:"examples"`
	// Failed is how many of them could not be copied. thaw.adopt_errors says why.
	Failed int64 `json:"failed,omitempty"`
}

// A Difference is one value that differs.
type Difference struct {
	Kind     Kind   `json:"kind"`
	ID       string `json:"id"`
	Field    string `json:"field"` // empty: the whole row
	Platform string `json:"platform"`
	Thaw     string `json:"thaw"`
}

func (d Difference) String() string {
	if d.Field == "" {
		return fmt.Sprintf("%s %s: the platform has %s, Thaw has %s", d.Kind.single(), d.ID, d.Platform, d.Thaw)
	}
	return fmt.Sprintf("%s %s: %s is %s on the platform and %s in Thaw", d.Kind.single(), d.ID, d.Field, d.Platform, d.Thaw)
}

// Detail describes the comparison in one line, for thaw.adopt_state.
func (c Comparison) Detail() string {
	var all []string
	for i, d := range c.Examples {
		if i == 3 {
			break
		}
		all = append(all, d.String())
	}
	return strings.Join(all, "; ")
}

type values map[string]any

// copied is a row of Thaw's copy. Its row is nil if there is none.
type copied struct {
	row       values
	isShadow  bool
	isWaiting bool // a change of it is in the queue back
	isKept    bool // a change of the platform is kept in thaw.adopt_errors
}

// Compare compares all mapped columns of all rows, in batches, each of which is one snapshot. With
// fix, rows that differ are copied again as their triggers would: the rules of ownership decide
// which side wins, and where it is Thaw, the platform is told.
func (p *Prepared) Compare(ctx context.Context, db Database, fix bool, progress func(kind Kind, rows int64)) (Comparison, error) {
	c := &comparer{Prepared: p, db: db, fix: fix}
	c.result.Examples = []Difference{}
	for _, e := range p.Mapping.Entities {
		if err := c.platformRows(ctx, e, progress); err != nil {
			return c.result, fmt.Errorf("comparing %s: %w", e.Kind, err)
		}
	}
	// Rows that the platform no longer has: children first, as the platform deletes them.
	for _, e := range slices.Backward(p.Mapping.Entities) {
		if e.Delete == "keep" {
			continue
		}
		if err := c.knownRows(ctx, e); err != nil {
			return c.result, fmt.Errorf("comparing %s: %w", e.Kind, err)
		}
	}
	return c.result, nil
}

type comparer struct {
	*Prepared
	db     Database
	fix    bool
	result Comparison
}

func (c *comparer) found(d Difference) {
	if len(c.result.Examples) < maxDrift {
		c.result.Examples = append(c.result.Examples, d)
	}
}

var snapshot = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

func (c *comparer) platformRows(ctx context.Context, e *Entity, progress func(kind Kind, rows int64)) error {
	batch := c.batch(e)
	after, rows := "", int64(0)
	for {
		var ids []string
		var again []json.RawMessage
		err := inTx(ctx, c.db, snapshot, func(tx pgx.Tx) error {
			page, raw, err := readPlatform(ctx, tx, batch.read, after, after != "", batchRows)
			if err != nil {
				return err
			}
			copies, err := readCopied(ctx, tx, e.Kind, keys(page))
			if err != nil {
				return err
			}
			for _, row := range page {
				ids = append(ids, row.id)
				different, isDrift := c.compare(e, row, copies[row.id])
				if !isDrift {
					continue
				}
				change, err := e.again(row.row, raw[row.id], different)
				if err != nil {
					return err
				}
				again = append(again, change)
			}
			return nil
		})
		if err != nil {
			return err
		}
		rows += int64(len(ids))
		c.result.Rows += int64(len(ids))
		if err := c.take(ctx, e.Kind, again); err != nil {
			return err
		}
		progress(e.Kind, rows)
		if len(ids) < batchRows {
			return nil
		}
		after = ids[len(ids)-1]
	}
}

// knownRows finds rows of Thaw's copy that the platform does not have.
func (c *comparer) knownRows(ctx context.Context, e *Entity) error {
	gone := map[Kind]string{Accounts: "removed", Campaigns: "completed", Enrollments: "removed"}[e.Kind]
	known := render(knownTemplate, map[string]any{"Kind": e.Kind, "Gone": gone})
	missing := c.batch(e).missing
	after := int64(0)
	for {
		var ids, without []string
		var again []json.RawMessage
		err := inTx(ctx, c.db, snapshot, func(tx pgx.Tx) error {
			var id string
			if err := each(ctx, tx, known, []any{after, batchRows}, []any{&after, &id}, func() { ids = append(ids, id) }); err != nil {
				return err
			}
			if err := each(ctx, tx, missing, []any{ids}, []any{&id}, func() { without = append(without, id) }); err != nil {
				return err
			}
			copies, err := readCopied(ctx, tx, e.Kind, without)
			if err != nil {
				return err
			}
			for _, id := range without {
				row := copies[id]
				if row.isKept {
					c.result.Waiting++
					continue
				}
				c.result.Drift++
				c.found(Difference{Kind: e.Kind, ID: id, Platform: "no row", Thaw: show(row.row["status"])})
				change := values{"id": id, "deleted": true}
				for _, parent := range []string{"workspace", "campaign"} {
					if row.row[parent] != nil {
						change[parent] = row.row[parent]
					}
				}
				text, err := json.Marshal(change)
				if err != nil {
					return err
				}
				again = append(again, text)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := c.take(ctx, e.Kind, again); err != nil {
			return err
		}
		if len(ids) < batchRows {
			return nil
		}
	}
}

// take copies rows again, if the comparison is to fix what it finds.
func (c *comparer) take(ctx context.Context, kind Kind, rows []json.RawMessage) error {
	if !c.fix || len(rows) == 0 {
		return nil
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	var failed int64
	if err := c.db.QueryRow(ctx, fmt.Sprintf("SELECT thaw.take_%s($1::jsonb)", kind), string(text)).Scan(&failed); err != nil {
		return err
	}
	c.result.Fixed += int64(len(rows)) - failed
	c.result.Failed += failed
	return nil
}

type platformRow struct {
	id  string
	row values
}

func keys(rows []platformRow) []string {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.id
	}
	return ids
}

func readPlatform(ctx context.Context, db Queryer, sql string, args ...any) (page []platformRow, raw map[string]json.RawMessage, err error) {
	raw = map[string]json.RawMessage{}
	var id string
	var text []byte
	var invalid error
	err = each(ctx, db, sql, args, []any{&id, &text}, func() {
		row := platformRow{id: id}
		if err := json.Unmarshal(text, &row.row); err != nil {
			invalid = err
		}
		page, raw[id] = append(page, row), slices.Clone(text)
	})
	if err == nil {
		err = invalid
	}
	return page, raw, err
}

func readCopied(ctx context.Context, db Queryer, kind Kind, ids []string) (map[string]copied, error) {
	all := map[string]copied{}
	var id string
	var text []byte
	var one copied
	var invalid error
	err := each(ctx, db, copiedSQL[kind], []any{ids}, []any{&id, &text, &one.isShadow, &one.isWaiting}, func() {
		row := one
		if err := json.Unmarshal(text, &row.row); err != nil {
			invalid = err
		}
		all[id] = row
	})
	if err := errors.Join(err, invalid); err != nil {
		return nil, err
	}
	err = each(ctx, db, keptSQL, []any{kind.single(), ids}, []any{&id}, func() {
		row := all[id]
		row.isKept = true
		all[id] = row
	})
	return all, err
}

// again returns what is to be copied of a row that differs: the values that differ, and all of a
// row that Thaw does not have. An equal status must not be copied: where the platform's words say
// less than Thaw knows, it would turn a pause for an account reason into one by a person.
func (e *Entity) again(row values, raw json.RawMessage, different []string) (json.RawMessage, error) {
	if different == nil {
		return raw, nil
	}
	status := []string{"status", "unknown", "reason", "own_reason", "step", "next_action_at", "next_kind", "deleted"}
	isStatus := slices.ContainsFunc(different, func(key string) bool { return slices.Contains(status[:4], key) })
	next := []string{"step", "next_action_at", "next_kind"}
	isNext := e.schedules() && slices.ContainsFunc(different, func(key string) bool { return slices.Contains(next, key) })
	change := values{}
	for key, value := range row {
		if isNext && slices.Contains(next, key) {
			change[key] = value
		} else if slices.Contains([]string{"id", "workspace", "campaign"}, key) || slices.Contains(different, key) || isStatus && slices.Contains(status, key) {
			change[key] = value
		}
	}
	return json.Marshal(change)
}

// compare compares one row, and returns the keys that differ: none for a row that Thaw does not
// have.
func (c *comparer) compare(e *Entity, p platformRow, t copied) (different []string, isDrift bool) {
	if p.row["deleted"] == true {
		p.row["status"] = map[Kind]string{Accounts: "removed", Campaigns: "completed", Enrollments: "removed"}[e.Kind]
		delete(p.row, "unknown")
	}
	switch {
	case t.isKept || p.row["unknown"] != nil:
		c.result.Waiting++
		return nil, false
	case t.row == nil && p.row["status"] == "removed":
		return nil, false
	case t.row == nil:
		c.result.Drift++
		c.found(Difference{Kind: e.Kind, ID: p.id, Platform: "a row", Thaw: "none"})
		return different, true
	}
	different = e.differences(p.row, t)
	switch {
	case len(different) == 0:
		return nil, false
	case t.isWaiting:
		c.result.Waiting++
		return nil, false
	}
	c.result.Drift++
	for _, field := range different {
		c.found(Difference{Kind: e.Kind, ID: p.id, Field: field, Platform: show(p.row[field]), Thaw: show(t.row[field])})
	}
	return different, true
}

// differences are the keys whose values differ, in the order of the mapping.
func (e *Entity) differences(p values, t copied) []string {
	var all []string
	// The triggers do not send these of a running row, nor of a deleted one whose word says that it
	// runs.
	isActive := p["status"] == string(enum.EnrollmentActive) || t.row["status"] == string(enum.EnrollmentActive) || p["deleted"] == true
	// The ramp is that of the sender, and follows from what is sent.
	for _, f := range fields[e.Kind] {
		theirs, isSent := p[f.key]
		if !isSent || f.name == "paused_at" || f.name == "ramp_started_on" || e.isIdle(f) && isActive {
			continue
		}
		switch {
		case f.key == "provider_account_id" && (theirs == nil || theirs == ""):
			theirs = "not-connected:" + fmt.Sprint(p["id"])
		case f.key == "name" && theirs == nil:
			theirs = ""
		case (f.key == "member_id" || f.key == "timezone") && theirs == "":
			theirs = nil
		case f.key == "key" && theirs == nil:
			continue
		case f.key == "step" && theirs == nil:
			theirs = float64(0)
		}
		if !equal(theirs, t.row[f.key]) {
			all = append(all, f.key)
		}
	}
	if e.Status == nil || e.Kind == Accounts && t.isShadow {
		return all // in shadow mode, signals change an account only in Thaw
	}
	if e.Kind == Accounts {
		if _, ok := e.StatusWord(fmt.Sprint(t.row["status"]), ""); ok && p["status"] != t.row["status"] {
			all = append(all, "status")
		}
		return all
	}
	status, reason := e.readBack(show(t.row["status"]), t.row["reason"])
	switch {
	case p["status"] != status:
		all = append(all, "status")
	case status != paused || waits(p["reason"]) && waits(reason):
	case p["reason"] != reason:
		all = append(all, "reason")
	case e.Kind == Enrollments && e.Reason != nil && reason == string(enum.ReasonPausedByUser) && !equal(orNull(p["own_reason"]), t.row["own_reason"]):
		all = append(all, "own_reason")
	}
	return all
}

// readBack returns what the words mean that Thaw writes for a status and a reason. A platform whose
// words do not tell reasons apart says less than Thaw knows.
func (e *Entity) readBack(status string, reason any) (string, any) {
	known := ""
	if reason != nil {
		known = show(reason)
	}
	word, ok := e.StatusWord(status, known)
	if !ok || status != paused {
		return status, reason
	}
	for _, w := range e.Status.Map {
		if w.Theirs == word && w.Reason != "" {
			return status, w.Reason
		}
	}
	if e.Reason == nil {
		return status, string(enum.ReasonPausedByUser)
	}
	theirs := e.ReasonWord(known)
	for _, w := range e.Reason.Map {
		if theirs != nil && w.Theirs == *theirs {
			return status, w.Ours
		}
	}
	return status, e.Reason.Else
}

// orNull returns null for an empty text, as thaw.take_enrollments does.
func orNull(value any) any {
	if value == "" {
		return nil
	}
	return value
}

func waits(reason any) bool { return enum.PauseReason(fmt.Sprint(reason)).WaitsForAccount() }

// equal compares two values of JSON. Times may be written with different offsets.
func equal(a, b any) bool {
	if a == b {
		return true
	}
	x, isText := a.(string)
	y, isAlso := b.(string)
	if !isText || !isAlso {
		return false
	}
	first, err := time.Parse(time.RFC3339Nano, x)
	if err != nil {
		return false
	}
	second, err := time.Parse(time.RFC3339Nano, y)
	return err == nil && first.Equal(second)
}

func show(value any) string {
	if value == nil {
		return "null"
	}
	return fmt.Sprint(value)
}
