package adopt

import (
	"context"
	_ "embed" // the statements
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/rights.sql
var rightsSQL string

// A SchemaProblem is something in the database that no longer fits the mapping that was applied: a
// table, a column or its type, a trigger or its function, a right.
type SchemaProblem struct {
	// Kind is the kind of the rows that are affected.
	Kind Kind
	// Holds is true if what Thaw knows about these rows may be wrong, so that nothing is resumed on
	// their accounts.
	Holds bool
	// IsUnreadable is true if Thaw cannot compare the rows.
	IsUnreadable bool

	Message string // what is wrong
	Fix     string // what to do
}

func (p SchemaProblem) String() string {
	return p.Message + ". " + strings.TrimSuffix(p.Fix, ".") + "."
}

// Install creates what is missing of the plan, and records the types of the mapped columns.
func (p *Prepared) Install(ctx context.Context, db Database) error {
	if err := p.Plan.Install(ctx, db); err != nil {
		return err
	}
	types := map[string]string{}
	for _, c := range p.columns() {
		types[c.name()] = p.typeOf(c)
	}
	text, err := json.Marshal(types)
	if err != nil {
		return err
	}
	return exec(ctx, db, "SELECT thaw.set_adopt_column_types($1)", string(text))
}

// A mappedColumn is a column that the mapping names.
type mappedColumn struct {
	kind   Kind
	table  Name
	column string
}

func (c mappedColumn) name() string { return c.table.String() + "." + c.column }

// columns returns the columns that the mapping names, each once per kind, in the order of the
// mapping.
func (p *Prepared) columns() []mappedColumn {
	var all []mappedColumn
	for _, e := range p.Mapping.Entities {
		add := func(table Name, column string) {
			if c := (mappedColumn{e.Kind, table, column}); column != "" && !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
		add(e.Table, e.ID)
		for _, f := range fields[e.Kind] {
			v := e.Values[f.name]
			add(e.Table, v.Column)
			if v.Join != nil {
				add(e.Table, v.Join.By)
				add(v.Join.Table, v.Join.Key)
				add(v.Join.Table, v.Join.Column)
			}
		}
		for _, words := range []*Words{e.Status, e.Reason} {
			if words != nil {
				add(e.Table, words.Column)
			}
		}
		if e.Deleted != nil {
			add(e.Table, e.Deleted.Column)
		}
	}
	return all
}

// modifier is the length or precision of a type. A migration that changes it changes no value.
var modifier = regexp.MustCompile(`\([0-9, -]+\)`)

func (p *Prepared) typeOf(c mappedColumn) string {
	return modifier.ReplaceAllString(p.Catalog.Table(c.table).Column(c.column).Type, "")
}

// SchemaProblems compares the tables, their triggers and the rights with what the mapping needs.
// None: all is there.
func (p *Prepared) SchemaProblems(ctx context.Context, db Reader) ([]SchemaProblem, error) {
	in, err := readInstalled(ctx, db)
	if err != nil {
		return nil, err
	}
	all := p.Plan.differences(in)
	var text string
	if err := db.QueryRow(ctx, "SELECT s.column_types::text FROM thaw.adopt_state AS s").Scan(&text); err != nil {
		return nil, err
	}
	recorded := map[string]string{}
	if err := json.Unmarshal([]byte(text), &recorded); err != nil {
		return nil, fmt.Errorf("the types of the columns when the mapping was applied: %w", err)
	}
	for _, c := range p.columns() {
		if was, now := recorded[c.name()], p.typeOf(c); was != "" && was != now {
			all = append(all, SchemaProblem{
				Kind: c.kind, Holds: true,
				Message: fmt.Sprintf("%s of %s is %s, and was %s when the mapping was applied", c.column, c.table, now, was),
				Fix:     `Run "thaw adopt check --fix" to accept the type and to copy values that differ`,
			})
		}
	}
	missing, err := p.missingRights(ctx, db)
	return append(all, missing...), err
}

// missingRights compares the rights of Thaw's role and of the owners of the tables with what they
// need.
func (p *Prepared) missingRights(ctx context.Context, db Queryer) ([]SchemaProblem, error) {
	type needed struct {
		Schema    string `json:"schema"`
		Table     string `json:"table"`
		Column    string `json:"column"`
		Privilege string `json:"privilege"`
		Kind      Kind   `json:"kind"`
	}
	var columns []needed
	for _, c := range p.columns() {
		columns = append(columns, needed{c.table.Schema, c.table.Table, c.column, "SELECT", c.kind})
	}
	for _, e := range p.Mapping.Entities {
		for _, column := range e.writes() {
			columns = append(columns, needed{e.Table.Schema, e.Table.Table, column, "UPDATE", e.Kind})
		}
	}
	text, err := json.Marshal(columns)
	if err != nil {
		return nil, err
	}
	var owners []string
	for _, f := range p.Plan.Functions {
		if !slices.Contains(owners, f.Owner) {
			owners = append(owners, f.Owner)
		}
	}
	var all []SchemaProblem
	var one SchemaProblem
	var role, grant string
	err = each(ctx, db, rightsSQL, []any{p.thawRole, string(text), triggerFunctions, owners}, []any{&one.Kind, &one.Holds, &role, &grant}, func() {
		use := "so that Thaw cannot read or write the rows"
		if one.Holds {
			use = "so that the triggers copy nothing"
		}
		one.Message = fmt.Sprintf("the role %s lacks a right, %s", role, use)
		one.Fix = "Run as the owner or a superuser: " + grant
		one.IsUnreadable = !one.Holds && !strings.HasPrefix(grant, "GRANT UPDATE")
		all = append(all, one)
	})
	return all, err
}

// schemaProblems compares the database with a mapping that may not fit its tables. It reads only
// the named tables, or all if there are no names. Prepared is nil if the mapping does not fit.
func (m *Mapping) schemaProblems(ctx context.Context, db Reader, riverSchema string, only []Name) ([]SchemaProblem, *Prepared, error) {
	p, err := m.prepare(ctx, db, riverSchema, only)
	if unfit, ok := errors.AsType[*Problems](err); ok {
		var all []SchemaProblem
		for _, problem := range unfit.List {
			kind, _, _ := strings.Cut(problem.Path, ".")
			fix := `Change the mapping, then run "thaw adopt apply"`
			if problem.Fix != "" {
				fix = strings.TrimSuffix(problem.Fix, ".") + ". " + fix
			}
			problem.Fix = ""
			all = append(all, SchemaProblem{Kind: Kind(kind), Holds: true, Message: problem.String(), Fix: fix})
		}
		return all, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	all, err := p.SchemaProblems(ctx, db)
	return all, p, err
}

// SchemaProblems compares the database with the mapping, which may not fit its tables: then there
// is no [Prepared].
func (m *Mapping) SchemaProblems(ctx context.Context, db Reader, riverSchema string) ([]SchemaProblem, *Prepared, error) {
	return m.schemaProblems(ctx, db, riverSchema, nil)
}

// A Look is what a look at the schema found.
type Look struct {
	Problems []SchemaProblem
	// IsNew is true if the look before found other problems.
	IsNew bool
	// Held is how many accounts are held.
	Held int64
}

// Watch looks at the tables, triggers and rights that the applied mapping needs, and notes what it
// finds (see [Note]). It reads the catalog only: it takes no lock on the platform's tables. The
// lock on the state makes it run before or after a step of thaw adopt apply. While that copies
// rows, it does nothing.
func Watch(ctx context.Context, tx pgx.Tx, riverSchema string) (Look, error) {
	var source, phase string
	if err := tx.QueryRow(ctx, "SELECT coalesce(s.mapping, ''), s.phase FROM thaw.adopt_state AS s FOR NO KEY UPDATE").Scan(&source, &phase); err != nil {
		return Look{}, err
	}
	if phase != "running" {
		return Look{}, nil
	}
	m, err := Parse(source)
	if err != nil {
		return Look{}, fmt.Errorf("the mapping that was applied: %w", err)
	}
	problems, _, err := m.schemaProblems(ctx, tx, riverSchema, m.Tables())
	if err != nil {
		return Look{}, err
	}
	return Note(ctx, tx, problems, false)
}

// Note records problems of the schema, and holds the accounts whose prospects are affected: nothing
// is resumed through them. If there is no such problem and a check has found no difference
// (isClean), it releases them.
func Note(ctx context.Context, db Reader, problems []SchemaProblem, isClean bool) (Look, error) {
	// Those first that hold accounts: their reason is the first problem.
	problems = slices.Clone(problems)
	slices.SortStableFunc(problems, func(a, b SchemaProblem) int {
		switch {
		case a.Holds == b.Holds:
			return 0
		case a.Holds:
			return -1
		default:
			return 1
		}
	})
	look := Look{Problems: problems}
	texts, kinds := []string{}, []string{}
	for i, p := range problems {
		if i == maxProblems {
			texts = append(texts, fmt.Sprintf("and %d more: thaw adopt check lists them", len(problems)-i))
		}
		if i < maxProblems {
			texts = append(texts, p.String())
		}
		if p.Holds && !slices.Contains(kinds, string(p.Kind)) {
			kinds = append(kinds, string(p.Kind))
		}
	}
	err := db.QueryRow(ctx, "SELECT n.is_new, n.held FROM thaw.note_adopt_problems($1, $2, $3) AS n", texts, kinds, isClean).Scan(&look.IsNew, &look.Held)
	return look, err
}
