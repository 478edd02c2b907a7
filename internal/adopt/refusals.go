package adopt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/internal/enum"
)

// A Refusal is a constraint of the platform that refuses what Thaw writes.
type Refusal struct {
	// Write is what Thaw writes: "a pause", "a resume", "the status connected".
	Write      string `json:"write"`
	Constraint string `json:"constraint"`
	Definition string `json:"definition,omitempty"`
	// Rows is how many rows it would refuse, of those that Thaw may write so (Tried). If there are
	// none, only the definition says whether it would.
	Rows    int64  `json:"rows"`
	Tried   int64  `json:"tried"`
	Example string `json:"example,omitempty"` // the id of a row
	// OfType is true for a constraint of the type of a column, which refuses the word in every row.
	OfType bool `json:"of_type,omitempty"`
}

func (r Refusal) String() string {
	what := "the constraint " + r.Constraint
	if r.Definition != "" {
		what += ", " + r.Definition + ","
	}
	const effect = "thaw adopt run cannot write it there, and records it as refused. Let the constraint allow it, or set the other columns with a trigger of your own"
	if r.OfType {
		return fmt.Sprintf("%s refuses %s of every row: %s.", what, r.Write, effect)
	}
	if r.Tried == 0 {
		return fmt.Sprintf("%s could not be tried with %s, because no row is in such a state. If it refuses one, %s.", what, r.Write, effect)
	}
	return fmt.Sprintf("%s refuses %s of %d of %d rows, for example %s: %s.", what, r.Write, r.Rows, r.Tried, r.Example, effect)
}

// A trial is a write of a consumer: the columns that it sets, for the rows whose status is one of
// some words.
type trial struct {
	write string
	words []string          // none: all rows
	set   map[string]string // expressions, by column
}

// trials are the writes of a consumer into the table of an entity, as [Prepared.writer] makes them.
func (e *Entity) trials(table *Table) []trial {
	set := func(status, reason string) (map[string]string, bool) {
		word, ok := e.StatusWord(status, reason)
		if !ok {
			return nil, false
		}
		columns := map[string]string{e.Status.Column: quoteText(word)}
		if e.Reason != nil && e.Reason.Column != e.Status.Column {
			if word := e.ReasonWord(reason); word != nil {
				columns[e.Reason.Column] = quoteText(*word)
			} else if !table.Column(e.Reason.Column).NotNull {
				columns[e.Reason.Column] = "NULL"
			}
		}
		switch column := e.Values["paused_at"].Column; {
		case column == "":
		case status == paused:
			columns[column] = "now()"
		case !table.Column(column).NotNull:
			columns[column] = "NULL"
		}
		return columns, true
	}
	words := func(status string) []string {
		var all []string
		for _, word := range e.Status.meaning(status) {
			all = append(all, quoteText(word.Theirs))
		}
		return all
	}
	var all []trial
	switch e.Kind {
	case Workspaces: // Thaw writes none
	case Accounts:
		for _, status := range e.Kind.statuses() {
			if columns, ok := set(status, ""); ok {
				all = append(all, trial{"the status " + status, nil, columns})
			}
		}
	case Campaigns, Enrollments:
		running := e.Kind.written()[0]
		if columns, ok := set(paused, string(enum.ReasonAccountDisconnected)); ok {
			all = append(all, trial{"a pause", words(running), columns})
		}
		if columns, ok := set(running, ""); ok {
			if next := e.Values["next_action_at"].Column; next != "" {
				columns[next] = fmt.Sprintf("greatest(t.%s, now()::%s)", name(next), table.Column(next).Type)
			}
			all = append(all, trial{"a resume", words(paused), columns})
		}
	}
	return all
}

// refusals tries what a consumer writes with the CHECK constraints of the table, and with those of
// the types of the columns. It writes nothing.
func (g *generator) refusals(ctx context.Context, tx pgx.Tx, e *Entity) ([]Refusal, error) {
	table := g.catalog.Table(e.Table)
	all := []Refusal{}
	for _, trial := range e.trials(table) {
		var casts []string
		for _, column := range table.Columns {
			if value, ok := trial.set[column.Name]; ok && !strings.HasPrefix(value, "greatest(") {
				casts = append(casts, value+"::"+column.Type)
			}
		}
		var refused *pgconn.PgError
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return exec(ctx, tx, "SELECT "+strings.Join(casts, ", ")) })
		switch {
		case errors.As(err, &refused) && pgerrcode.IsIntegrityConstraintViolation(refused.Code):
			of := Refusal{Write: trial.write, Constraint: refused.ConstraintName, Definition: "of the type " + refused.DataTypeName, OfType: true}
			if refused.ConstraintName == "" {
				of.Constraint = "NOT NULL"
			}
			all = append(all, of)
			continue
		case err != nil:
			return nil, err
		}
		found, err := g.try(ctx, tx, e, table, trial)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// try evaluates the CHECK constraints on the rows as a consumer would write them.
func (g *generator) try(ctx context.Context, tx pgx.Tx, e *Entity, table *Table, t trial) ([]Refusal, error) {
	var checks []CheckConstraint
	for _, check := range table.Checks {
		if slices.ContainsFunc(check.Columns, func(column string) bool { return t.set[column] != "" }) {
			checks = append(checks, check)
		}
	}
	if len(checks) == 0 {
		return nil, nil
	}
	columns := make([]string, len(table.Columns))
	for i, column := range table.Columns {
		columns[i] = "t." + name(column.Name)
		if value, ok := t.set[column.Name]; ok {
			columns[i] = fmt.Sprintf("(%s)::%s AS %s", value, column.Type, quote(column.Name))
		}
	}
	id := fmt.Sprintf("t.%s::text AS thaw_id", name(e.ID))
	where := ""
	if len(t.words) > 0 {
		where = fmt.Sprintf(" WHERE t.%s::text IN (%s)", name(e.Status.Column), strings.Join(t.words, ", "))
	}
	var tried int64
	found, examples := make([]Refusal, len(checks)), make([]*string, len(checks))
	results, targets := []string{"count(*)"}, []any{&tried}
	for i, check := range checks {
		results = append(results, fmt.Sprintf("count(*) FILTER (WHERE NOT (%s)), min(thaw_id) FILTER (WHERE NOT (%[1]s))", check.condition))
		targets = append(targets, &found[i].Rows, &examples[i])
	}
	if err := tx.QueryRow(ctx, fmt.Sprintf("SELECT %s FROM (SELECT %s, %s FROM %s AS t%s) AS n",
		strings.Join(results, ", "), id, strings.Join(columns, ", "), qualified(e.Table), where)).Scan(targets...); err != nil {
		return nil, fmt.Errorf("trying the constraints with %s: %w", t.write, err)
	}
	var all []Refusal
	for i, check := range checks {
		// Without a row, a constraint on other columns too may refuse what Thaw writes.
		isUntried := tried == 0 && slices.ContainsFunc(check.Columns, func(column string) bool { return t.set[column] == "" })
		if found[i].Rows == 0 && !isUntried {
			continue
		}
		r := Refusal{Write: t.write, Constraint: check.Name, Definition: check.Definition, Rows: found[i].Rows, Tried: tried}
		if examples[i] != nil {
			r.Example = *examples[i]
		}
		all = append(all, r)
	}
	return all, nil
}
