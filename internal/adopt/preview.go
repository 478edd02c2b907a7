package adopt

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Preview is what the rows of the platform's tables mean for Thaw.
type Preview struct {
	Tables []TablePreview `json:"tables"`
}

// A TablePreview is the preview of one section of the mapping.
type TablePreview struct {
	Kind  Kind   `json:"kind"`
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	// Statuses are the rows by the platform's word, most frequent first.
	Statuses []WordCount `json:"statuses"`
	// Reasons are the paused rows by the platform's word in the column of the reason, most frequent
	// first, then the words of the map that no row has. Empty without such a column.
	Reasons []WordCount `json:"reasons"`
	// Violations are rows that Thaw parks or reads differently.
	Violations []Violation `json:"violations"`
	// Refusals are constraints of the platform that refuse what Thaw writes.
	Refusals []Refusal `json:"refusals"`
	// Unreadable says why the rows were not counted. Empty: they were.
	Unreadable string `json:"unreadable,omitempty"`
}

// A WordCount is how many rows have a word of the platform.
type WordCount struct {
	Word    string `json:"word"`
	Meaning string `json:"meaning,omitempty"` // empty: the word is not in the map
	Rows    int64  `json:"rows"`
	Example string `json:"example"` // the id of a row; empty: no row has the word
	// IsElse is true for a reason whose word is not in the map.
	IsElse bool `json:"is_else,omitempty"`
}

// Misspelled returns the words of the reason's map that no paused row has, and how many paused rows
// have a word that is not in the map. If there are both, a word of the map may have a typo.
func (t TablePreview) Misspelled() (unused []string, elseRows int64) {
	for _, w := range t.Reasons {
		switch {
		case w.Rows == 0:
			unused = append(unused, w.Word)
		case w.IsElse && w.Word != null:
			elseRows += w.Rows
		}
	}
	return unused, elseRows
}

// null is shown as the word of rows that have none.
const null = "null"

// A Violation is a rule that rows violate.
type Violation struct {
	Rule    string `json:"rule"`
	Effect  string `json:"effect"`
	Rows    int64  `json:"rows"`
	Example string `json:"example"`
}

// A rule is a condition on a row n, and what happens to rows for which it is true.
type rule struct{ condition, what, effect string }

const (
	isParked  = "parked: Thaw does not resume it until the value is corrected"
	isIgnored = "Thaw ignores the value"
)

// Preview counts the rows of all mapped tables, in one snapshot. It reads each table a few times.
// A table that this role may not read is reported as unreadable.
func (m *Mapping) Preview(ctx context.Context, conn Database, catalog *Catalog) (Preview, error) {
	var p Preview
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return p, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // It only ends the snapshot.
	g := &generator{mapping: m, catalog: catalog}
	for _, e := range m.Entities {
		t := TablePreview{Kind: e.Kind, Table: e.Table.String(), Statuses: []WordCount{}, Reasons: []WordCount{}, Violations: []Violation{}, Refusals: []Refusal{}}
		// A savepoint, so that a table without permission does not end the snapshot.
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return g.preview(ctx, tx, e, &t) })
		var denied *pgconn.PgError
		switch {
		case isDenied(err) && errors.As(err, &denied):
			t.Unreadable = denied.Message
		case err != nil:
			return p, fmt.Errorf("counting the rows of %s: %w", e.Table, err)
		}
		p.Tables = append(p.Tables, t)
	}
	return p, nil
}

func isDenied(err error) bool {
	var fromPostgres *pgconn.PgError
	return errors.As(err, &fromPostgres) && fromPostgres.Code == pgerrcode.InsufficientPrivilege
}

func (g *generator) preview(ctx context.Context, tx pgx.Tx, e *Entity, t *TablePreview) error {
	var err error
	if e.Status != nil {
		if t.Statuses, err = g.countWords(ctx, tx, e, e.Status.Column, "true"); err != nil {
			return err
		}
		for i := range t.Statuses {
			for _, word := range e.Status.Map {
				if word.Theirs == t.Statuses[i].Word {
					t.Statuses[i].Meaning = strings.TrimSuffix(word.Ours+", "+word.Reason, ", ")
				}
			}
		}
	}
	if e.Reason != nil {
		// Of rows that are paused without saying why in their status: the reason of others is not read.
		if t.Reasons, err = g.countWords(ctx, tx, e, e.Reason.Column,
			fmt.Sprintf("n.%s::text = ANY (ARRAY[%s]::text[])", name(e.Status.Column), strings.Join(e.plainPaused(), ", "))); err != nil {
			return err
		}
		t.Reasons = e.reasons(t.Reasons)
	}
	rules := g.rules(e)
	columns := []string{"count(*)"}
	targets := []any{&t.Rows}
	found := make([]Violation, len(rules))
	examples := make([]*string, len(rules))
	for i, r := range rules {
		columns = append(columns, fmt.Sprintf("count(*) FILTER (WHERE %s)", r.condition), fmt.Sprintf("min(n.%s::text) FILTER (WHERE %s)", name(e.ID), r.condition))
		targets = append(targets, &found[i].Rows, &examples[i])
	}
	if err := tx.QueryRow(ctx, fmt.Sprintf("SELECT %s FROM %s AS n", strings.Join(columns, ",\n    "), qualified(e.Table))).Scan(targets...); err != nil {
		return err
	}
	for i, r := range rules {
		if found[i].Rows > 0 {
			t.Violations = append(t.Violations, Violation{r.what, r.effect, found[i].Rows, *examples[i]})
		}
	}
	if e.Status != nil {
		if t.Refusals, err = g.refusals(ctx, tx, e); err != nil {
			return err
		}
	}
	for _, d := range g.duplicates(e) {
		var v Violation
		var example *string
		if err := tx.QueryRow(ctx, d.condition).Scan(&v.Rows, &example); err != nil {
			return err
		}
		if v.Rows > 0 {
			t.Violations = append(t.Violations, Violation{d.what, d.effect, v.Rows, *example})
		}
	}
	return nil
}

// countWords counts the rows of an entity by the word in a column, most frequent first.
func (g *generator) countWords(ctx context.Context, tx pgx.Tx, e *Entity, column, condition string) ([]WordCount, error) {
	rows, err := tx.Query(ctx, fmt.Sprintf(
		"SELECT coalesce(n.%[1]s::text, '%[6]s') AS word, count(*), min(n.%[2]s::text) FROM %[3]s AS n WHERE %[5]s GROUP BY word ORDER BY count(*) DESC, word LIMIT %[4]d",
		name(column), name(e.ID), qualified(e.Table), maxWords, condition, null))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (WordCount, error) {
		var w WordCount
		err := row.Scan(&w.Word, &w.Rows, &w.Example)
		return w, err
	})
}

// reasons adds to the words of paused rows what they mean, and the words of the map that no row
// has.
func (e *Entity) reasons(counted []WordCount) []WordCount {
	found := map[string]bool{}
	for i := range counted {
		w := &counted[i]
		found[w.Word] = true
		w.Meaning, w.IsElse = e.Reason.Else, true
		for _, word := range e.Reason.Map {
			if word.Theirs == w.Word {
				w.Meaning, w.IsElse = word.Ours, false
			}
		}
	}
	if len(counted) == maxWords { // the words of the map may be among those that were not read
		return counted
	}
	for _, word := range e.Reason.Map {
		if !found[word.Theirs] {
			counted = append(counted, WordCount{Word: word.Theirs, Meaning: word.Ours})
		}
	}
	return counted
}

// rules are the rules that the rows of an entity can violate one by one.
func (g *generator) rules(e *Entity) []rule {
	id := "n." + name(e.ID) + "::text"
	all := []rule{{fmt.Sprintf("%s = '' OR length(%[1]s) > 200 OR NOT thaw.is_visible(%[1]s)", id), "the id is empty, longer than 200 characters, or has invisible characters", isParked}}
	value := func(fieldName string) (string, bool) {
		v, ok := e.Values[fieldName]
		if !ok || v.Fixed != nil {
			return "", false
		}
		for _, f := range fields[e.Kind] {
			if f.name == fieldName {
				return g.value(e, f, "n"), true
			}
		}
		return "", false
	}
	refers := func(fieldName string, to Kind) {
		expression, ok := value(fieldName)
		if !ok {
			return
		}
		other := g.mapping.Entity(to)
		missing := fmt.Sprintf("NOT EXISTS (SELECT FROM %s AS p WHERE p.%s::text = %s)", qualified(other.Table), name(other.ID), expression)
		if v := e.Values[fieldName]; v.Join == nil {
			// Compared by its own type if possible, so that an index is used.
			ours, theirs := g.catalog.Table(e.Table).Column(v.Column), g.catalog.Table(other.Table).Column(other.ID)
			if ours.BaseType == theirs.BaseType {
				missing = fmt.Sprintf("NOT EXISTS (SELECT FROM %s AS p WHERE p.%s = n.%s)", qualified(other.Table), name(other.ID), name(v.Column))
			}
		}
		if fieldName == "account" {
			missing = expression + " IS NOT NULL AND " + missing
		}
		all = append(all, rule{missing, fmt.Sprintf("the %s does not exist in %s", to.single(), other.Table), "parked until it exists"})
	}
	for _, f := range fields[e.Kind] {
		expression, ok := value(f.name)
		if !ok {
			continue
		}
		switch f.name {
		case "workspace":
			refers(f.name, Workspaces)
		case "campaign":
			refers(f.name, Campaigns)
		case "account":
			refers(f.name, Accounts)
		case "provider_account_id":
			all = append(all, rule{fmt.Sprintf("coalesce(%s, '') = ''", expression), "it has no ID at the provider", "no signal reaches it until it has one"})
			all = append(all, rule{fmt.Sprintf("NOT thaw.is_visible(%s)", expression), "the ID at the provider has invisible characters", isParked})
		case "prospect_url":
			all = append(all, rule{fmt.Sprintf("coalesce(%s, '') = ''", expression), "the prospect has no URL", isParked})
			all = append(all, rule{fmt.Sprintf("NOT thaw.is_visible(%s)", expression), "the URL has invisible characters", isParked})
		case "timezone":
			all = append(all, rule{fmt.Sprintf("%[1]s <> '' AND %[1]s NOT IN (SELECT z.name FROM pg_catalog.pg_timezone_names AS z)", expression), "the time zone is unknown to Postgres", isIgnored})
		case "tier":
			all = append(all, rule{fmt.Sprintf("%s <> '' AND %s", g.theirs(e, f, "n"), g.isNoWord(e, f, "n")), "the word for the subscription is no tier of Thaw", "Thaw sends within the lowest caps (free)"})
		case "ramp_started_on":
			all = append(all, rule{expression + " NOT BETWEEN '2000-01-01' AND thaw.now()::date", "the start of the ramp is before 2000 or after today", isIgnored})
		case "next_kind":
			theirs := g.theirs(e, f, "n")
			all = append(all, rule{fmt.Sprintf("%s <> '' AND %s IS NULL", theirs, expression), "the word for the next step means no kind of action", "Thaw does not schedule the step"})
			all = append(all, rule{fmt.Sprintf("%s IS NOT NULL AND %[1]s NOT IN (SELECT k.kind FROM thaw.action_kinds AS k)", expression), "the kind of the next step is not in thaw.action_kinds", "nothing is sent until it is added there, with limits"})
		case "step":
			all = append(all, rule{fmt.Sprintf("%s IS NULL OR %[1]s NOT BETWEEN 0 AND 2147483647", expression), "the step is null or not between 0 and 2147483647", isIgnored})
		}
	}
	return all
}

// isNoWord is the condition that a translated field has a word that means nothing.
func (g *generator) isNoWord(e *Entity, f field, row string) string {
	known := f.words
	if words := e.Values[f.name].Map; words != nil {
		known = nil
		for _, word := range words {
			known = append(known, word.Theirs)
		}
	}
	quoted := make([]string, len(known))
	for i, word := range known {
		quoted[i] = quoteText(word)
	}
	return fmt.Sprintf("%s NOT IN (%s)", g.theirs(e, f, row), strings.Join(quoted, ", "))
}

// duplicates are queries for rows that share a value which should be theirs alone.
func (g *generator) duplicates(e *Entity) []rule {
	count := func(expression, what, effect string) rule {
		return rule{fmt.Sprintf(
			"SELECT coalesce(sum(d.rows - 1), 0)::bigint, min(d.example) FROM (SELECT count(*) AS rows, max(n.%s::text) AS example FROM %s AS n WHERE (%s) IS NOT NULL GROUP BY %[3]s HAVING count(*) > 1) AS d",
			name(e.ID), qualified(e.Table), expression), what, effect}
	}
	var all []rule
	if g.catalog.Table(e.Table).Kind == "p" {
		all = append(all, count("n."+name(e.ID), "the id is also that of a row in another partition", "parked"))
	}
	if e.Kind == Accounts {
		for _, f := range fields[e.Kind] {
			if v := e.Values[f.name]; f.name == "provider_account_id" && v.Join == nil {
				all = append(all, count(g.value(e, f, "n"), "another account has the same ID at the provider", isParked))
			}
		}
	}
	return all
}
