package adopt

import (
	_ "embed" // the templates
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/jackc/pgx/v5"
)

// A Plan is the SQL that a mapping needs on the platform's tables. The same mapping and tables give
// the same plan.
type Plan struct {
	// Setup creates the schema of the functions, and grants.
	Setup     string
	Functions []Function
	Tables    []TableTriggers
	// Runner says who can run it.
	Runner string
	// Grants are the statements of Setup that give permissions.
	Grants []string
}

// A Function is the function of a trigger.
type Function struct {
	Name, Owner, About, Body, SQL string
}

// TableTriggers are the triggers of one table or partition.
type TableTriggers struct {
	Name     Name
	Triggers []Trigger
	SQL      string
}

// A Trigger is one trigger.
type Trigger struct {
	Name, Event, Referencing, Function string
}

// The templates of a plan.
var (
	//go:embed sql/adopt.sql.template
	adoptTemplate string
	//go:embed sql/setup.sql.template
	setupTemplate string
	//go:embed sql/function.sql.template
	functionTemplate string
	//go:embed sql/body.sql.template
	bodyTemplate string
	//go:embed sql/truncate.sql.template
	truncateTemplate string
	//go:embed sql/table.sql.template
	tableTemplate string
)

// SQL returns the plan as one file.
func (p *Plan) SQL() string { return render(adoptTemplate, p) }

// Generate makes the plan of a mapping that fits the catalog (see [Mapping.Check]). thawRole is the
// role that owns Thaw's schema.
func (m *Mapping) Generate(catalog *Catalog, thawRole string) *Plan {
	g := &generator{mapping: m, catalog: catalog, thawRole: thawRole}
	for _, e := range m.Entities {
		g.entity(e)
	}
	owner := catalog.Table(m.Entity(Enrollments).Table).Owner
	runner := "role " + owner + " or a superuser"
	grants := g.grants(owner)
	if len(grants) > 0 {
		runner = "a role that is a member of " + owner + " and " + thawRole + ", or a superuser"
	}
	g.plan.Runner, g.plan.Grants = runner, grants
	g.plan.Setup = render(setupTemplate, map[string]any{"Owner": owner, "Thaw": thawRole, "Grants": grants})
	for i := range g.plan.Tables {
		g.plan.Tables[i].SQL = render(tableTemplate, g.plan.Tables[i])
	}
	return &g.plan
}

type generator struct {
	mapping  *Mapping
	catalog  *Catalog
	thawRole string
	plan     Plan
}

// A part is a set of values that are sent together when one of the columns changes.
type part struct {
	columns []string
	pairs   []string // 'key', expression
	// running is true for values that matter only while the row is paused.
	running bool
	// whenPaused are sent too if the row is paused now.
	whenPaused []string
	// isReason is true if the part is only whenPaused.
	isReason bool
}

// single is the kind of one row.
func (k Kind) single() string { return strings.TrimSuffix(string(k), "s") }

func (g *generator) entity(e *Entity) {
	always, parts := g.parts(e, "n")
	all := slices.Clone(always)
	for _, p := range parts {
		all = append(all, p.pairs...)
		if !p.isReason {
			all = append(all, p.whenPaused...)
		}
	}
	body := func(kind Kind, id, row, from, where string) string {
		return render(bodyTemplate, map[string]any{"ID": id, "Row": row, "From": from, "Where": where, "Kind": kind, "Single": kind.single()})
	}
	object := func(pairs []string, indent string) string {
		return "jsonb_build_object(\n" + indent + "    " + strings.Join(pairs, ",\n"+indent+"    ") + ")"
	}
	const indent = "                    "

	g.add(e, "insert", "New "+string(e.Kind)+", with all mapped values.",
		body(e.Kind, "n."+name(e.ID)+"::text", object(all, indent), "new_rows AS n", ""), "INSERT", "NEW TABLE AS new_rows")

	// A row with a changed id is new to Thaw, and its old id is deleted.
	changed := []string{"o." + name(e.ID) + " IS NULL"}
	var row strings.Builder
	row.WriteString(object(always, indent))
	for _, p := range parts {
		when := "o." + name(e.ID) + " IS NULL"
		if len(p.columns) > 0 {
			differs := differ(p.columns)
			switch {
			case p.running:
				// Sent when the row does not run, and together with a change of its status or account.
				differs = "(" + differs + " AND " + g.isStopped(e, "n") + ")"
				when += " OR " + differ(append(g.statusColumns(e), columnsOf(e.Values["account"])...))
			case p.isReason:
				// A reason without a status: a status that did not change may be older than what Thaw
				// has decided since, and would undo it.
				differs = "(" + differs + " AND " + g.isPaused(e, "n") + ")"
				when = ""
			}
			changed = append(changed, differs)
			when = strings.TrimSuffix(differs+" OR "+when, " OR ")
		}
		if len(p.pairs) > 0 {
			fmt.Fprintf(&row, "\n%[1]s|| CASE WHEN %[2]s\n%[1]s    THEN %[3]s ELSE '{}' END", indent, when, object(p.pairs, indent+"    "))
		}
		if len(p.whenPaused) > 0 {
			fmt.Fprintf(&row, "\n%[1]s|| CASE WHEN (%[2]s) AND %[4]s\n%[1]s    THEN %[3]s ELSE '{}' END", indent, when, object(p.whenPaused, indent+"    "), g.isPaused(e, "n"))
		}
	}
	id := "n." + name(e.ID)
	where := id + " IS NOT NULL AND (" + strings.Join(changed, "\n                    OR ") + ")"
	sent := row.String()
	if e.Delete != "keep" {
		old, _ := g.parts(e, "o")
		sent = fmt.Sprintf("CASE WHEN %s IS NULL THEN %s ELSE %s END", id, object(append(old, "'deleted', true"), indent), sent)
		where = id + " IS NULL OR " + where
	}
	g.add(e, "update", "Changed "+string(e.Kind)+", with the values that changed.",
		body(e.Kind, fmt.Sprintf("coalesce(%s, o.%s)::text", id, name(e.ID)), sent, fmt.Sprintf("new_rows AS n FULL JOIN old_rows AS o ON o.%[1]s = n.%[1]s", name(e.ID)), where),
		"UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows")

	if e.Delete != "keep" {
		gone, _ := g.parts(e, "o")
		gone = append(gone, "'deleted', true")
		g.add(e, "delete", "Deleted "+string(e.Kind)+".",
			body(e.Kind, "o."+name(e.ID)+"::text", object(gone, indent), "old_rows AS o", ""), "DELETE", "OLD TABLE AS old_rows")
		// Its rows are not passed to triggers, so only a check can find them.
		g.add(e, "truncate", "All "+string(e.Kind)+" removed by TRUNCATE.", render(truncateTemplate, map[string]any{"Single": e.Kind.single()}), "TRUNCATE", "")
	}
	for _, f := range fields[e.Kind] {
		if v := e.Values[f.name]; v.Join != nil {
			g.joined(e, f, v.Join, always, body, object, indent)
		}
	}
}

// joined adds the trigger on another table that has a value of an entity.
func (g *generator) joined(e *Entity, f field, j *Join, always []string, body func(Kind, string, string, string, string) string, object func([]string, string) string, indent string) {
	pairs := slices.Clone(always)
	if pair := g.pair(e, f, "n"); !slices.Contains(pairs, pair) {
		pairs = append(pairs, pair)
	}
	from := fmt.Sprintf("new_rows AS j FULL JOIN old_rows AS k ON k.%[1]s = j.%[1]s\n                JOIN %[2]s AS n ON n.%[3]s = j.%[1]s",
		name(j.Key), qualified(e.Table), name(j.By))
	where := fmt.Sprintf("j.%[1]s IS DISTINCT FROM k.%[1]s", name(j.Column))
	g.function(e, f.name+"_update", fmt.Sprintf("%s of %s that changed in %s.", f.name, e.Kind, j.Table),
		body(e.Kind, "n."+name(e.ID)+"::text", object(pairs, indent), from, where))
	g.triggers(j.Table, Trigger{
		Name: "thaw_" + string(e.Kind) + "_" + f.name + "_update", Event: "UPDATE",
		Referencing: "OLD TABLE AS old_rows NEW TABLE AS new_rows", Function: string(e.Kind) + "_" + f.name + "_update",
	})
}

func (g *generator) add(e *Entity, event, about, body, on, referencing string) {
	g.function(e, event, about, body)
	g.triggers(e.Table, Trigger{
		Name: "thaw_" + string(e.Kind) + "_" + event, Event: on, Referencing: referencing, Function: string(e.Kind) + "_" + event,
	})
}

func (g *generator) function(e *Entity, suffix, about, body string) {
	f := Function{Name: string(e.Kind) + "_" + suffix, Owner: g.catalog.Table(e.Table).Owner, About: about, Body: body}
	f.SQL = render(functionTemplate, f)
	g.plan.Functions = append(g.plan.Functions, f)
}

// triggers adds a trigger to a table and to its children: a statement fires only the triggers of
// the table that it names.
func (g *generator) triggers(on Name, t Trigger) {
	tables := []Name{on}
	for _, child := range g.catalog.Table(on).Children {
		tables = append(tables, child.Name)
	}
	for _, table := range tables {
		i := slices.IndexFunc(g.plan.Tables, func(t TableTriggers) bool { return t.Name == table })
		if i < 0 {
			g.plan.Tables = append(g.plan.Tables, TableTriggers{Name: table})
			i = len(g.plan.Tables) - 1
		}
		g.plan.Tables[i].Triggers = append(g.plan.Tables[i].Triggers, t)
	}
}

// parts returns what identifies a row and its parents, which is always sent, and the other values.
func (g *generator) parts(e *Entity, row string) (always []string, parts []part) {
	always = []string{"'id', " + row + "." + name(e.ID) + "::text"}
	// If Thaw schedules, the step, the kind and the time of the next action belong together.
	var next part
	for _, f := range fields[e.Kind] {
		v, ok := e.Values[f.name]
		if !ok {
			continue
		}
		isParent := f.name == "workspace" || f.name == "campaign"
		if isParent {
			always = append(always, g.pair(e, f, row))
		}
		p := part{columns: columnsOf(v), running: e.isIdle(f)}
		if !isParent {
			p.pairs = []string{g.pair(e, f, row)}
		}
		if f.running && e.schedules() {
			next.columns, next.pairs = append(next.columns, p.columns...), append(next.pairs, p.pairs...)
			continue
		}
		parts = append(parts, p)
	}
	if next.pairs != nil {
		parts = append(parts, next)
	}
	if e.Status == nil {
		return always, parts
	}
	status := part{columns: []string{e.Status.Column}, pairs: g.statusPairs(e, row)}
	if e.Deleted != nil {
		status.columns = append(status.columns, e.Deleted.Column)
	}
	if e.Kind.hasReason() {
		status.whenPaused = g.reasonPairs(e, row)
	}
	parts = append(parts, status)
	if e.Reason != nil && e.Reason.Column != e.Status.Column {
		parts = append(parts, part{columns: []string{e.Reason.Column}, whenPaused: status.whenPaused, isReason: true})
	}
	return always, parts
}

// columnsOf returns the columns of the entity's own table from which a value follows.
func columnsOf(v Value) []string {
	switch {
	case v.Join != nil:
		return []string{v.Join.By}
	case v.Column != "":
		return []string{v.Column}
	default:
		return nil
	}
}

// pair returns the key and the value of a field.
func (g *generator) pair(e *Entity, f field, row string) string {
	return fmt.Sprintf("'%s', %s", f.key, g.value(e, f, row))
}

func (g *generator) value(e *Entity, f field, row string) string {
	v, theirs := e.Values[f.name], g.theirs(e, f, row)
	if f.words == nil {
		return theirs
	}
	otherwise := "NULL"
	if f.otherwise != "" {
		otherwise = quoteText(f.otherwise)
	}
	switch {
	case v.Map != nil:
		var cases strings.Builder
		for _, word := range v.Map {
			fmt.Fprintf(&cases, " WHEN %s THEN %s", quoteText(word.Theirs), quoteText(word.Ours))
		}
		return fmt.Sprintf("CASE %s%s ELSE %s END", theirs, cases.String(), otherwise)
	case f.name == "next_kind":
		return fmt.Sprintf("CASE WHEN %[1]s ~ %[2]s THEN %[1]s END", theirs, quoteText(kindPattern.String()))
	}
	known := make([]string, len(f.words))
	for i, word := range f.words {
		known[i] = quoteText(word)
	}
	return fmt.Sprintf("CASE WHEN %[1]s IN (%[2]s) THEN %[1]s ELSE %[3]s END", theirs, strings.Join(known, ", "), otherwise)
}

// theirs returns the platform's value of a field, before a translation.
func (g *generator) theirs(e *Entity, f field, row string) string {
	v := e.Values[f.name]
	switch {
	case v.Fixed != nil:
		return quoteText(*v.Fixed)
	case v.Join != nil:
		return fmt.Sprintf("(SELECT %s FROM %s AS j WHERE j.%s = %s.%s)",
			g.read(v.Join.Table, v.Join.Column, f.holds, "j"), qualified(v.Join.Table), name(v.Join.Key), row, name(v.Join.By))
	default:
		return g.read(e.Table, v.Column, f.holds, row)
	}
}

// read returns the expression that reads a column as a value for JSON.
func (g *generator) read(table Name, column string, holds class, row string) string {
	expression := row + "." + name(column)
	switch {
	case holds == day && g.catalog.Table(table).Column(column).BaseType == "timestamptz":
		return "(" + expression + " AT TIME ZONE 'UTC')::date"
	case holds == day:
		return expression + "::date"
	case holds == text:
		return expression + "::text"
	case holds == moment && g.catalog.Table(table).Column(column).BaseType == "timestamp":
		return expression + " AT TIME ZONE 'UTC'"
	default:
		return expression
	}
}

// statusColumns are the columns from which the status and the reason of a row follow.
func (g *generator) statusColumns(e *Entity) []string {
	columns := []string{e.Status.Column}
	if e.Reason != nil && e.Reason.Column != e.Status.Column {
		columns = append(columns, e.Reason.Column)
	}
	if e.Deleted != nil {
		columns = append(columns, e.Deleted.Column)
	}
	return columns
}

func (g *generator) statusPairs(e *Entity, row string) []string {
	column := row + "." + name(e.Status.Column) + "::text"
	const indent = "\n                            "
	var known []string
	var cases strings.Builder
	for _, word := range e.Status.Map {
		known = append(known, quoteText(word.Theirs))
		fmt.Fprintf(&cases, indent+"WHEN %s THEN %s", quoteText(word.Theirs), quoteText(word.Ours))
	}
	// A word that is not in the map, and null, parks the row.
	pairs := []string{fmt.Sprintf("CASE WHEN %s IN (%s) THEN 'status' ELSE 'unknown' END,", column, strings.Join(known, ", ")) +
		fmt.Sprintf("\n                        CASE %s%s%sELSE coalesce(%s, 'null') END", column, cases.String(), indent, column)}
	if e.Deleted != nil {
		deleted := row + "." + name(e.Deleted.Column)
		if g.catalog.Table(e.Table).Column(e.Deleted.Column).BaseType == "bool" {
			deleted = "coalesce(" + deleted + ", false)"
		} else {
			deleted += " IS NOT NULL"
		}
		pairs = append(pairs, "'deleted', "+deleted)
	}
	return pairs
}

func (g *generator) reasonPairs(e *Entity, row string) []string {
	reason, own := g.reason(e, row)
	pairs := []string{"'reason', " + reason}
	if own != "" {
		pairs = append(pairs, "'own_reason', "+own)
	}
	return pairs
}

// reason returns the expressions of the reason of a paused row, and of the platform's own cause.
func (g *generator) reason(e *Entity, row string) (reason, own string) {
	status := row + "." + name(e.Status.Column) + "::text"
	plain := e.plainPaused()
	var cases strings.Builder
	for _, word := range e.Status.meaning(paused) {
		if word.Reason != "" {
			fmt.Fprintf(&cases, " WHEN %s = %s THEN %s", status, quoteText(word.Theirs), quoteText(word.Reason))
		}
	}
	if len(plain) > 0 {
		isPlain := fmt.Sprintf("%s IN (%s)", status, strings.Join(plain, ", "))
		if e.Reason == nil {
			fmt.Fprintf(&cases, " WHEN %s THEN 'paused_by_user'", isPlain)
		} else {
			column := row + "." + name(e.Reason.Column) + "::text"
			var known []string
			var words strings.Builder
			for _, word := range e.Reason.Map {
				known = append(known, quoteText(word.Theirs))
				fmt.Fprintf(&words, " WHEN %s THEN %s", quoteText(word.Theirs), quoteText(word.Ours))
			}
			inner := quoteText(e.Reason.Else)
			if len(known) > 0 {
				inner = fmt.Sprintf("CASE %s%s ELSE %s END", column, words.String(), inner)
			}
			fmt.Fprintf(&cases, " WHEN %s THEN %s", isPlain, inner)
			if e.Kind == Enrollments {
				if len(known) > 0 {
					isPlain += fmt.Sprintf(" AND %s NOT IN (%s)", column, strings.Join(known, ", "))
				}
				own = fmt.Sprintf("CASE WHEN %s THEN left(%s, 1000) END", isPlain, column)
			}
		}
	}
	if cases.Len() == 0 {
		return "NULL", own
	}
	return "CASE" + cases.String() + " END", own
}

// plainPaused are the status words, as literals, of a paused row that do not say why it is paused.
func (e *Entity) plainPaused() []string {
	var plain []string
	for _, word := range e.Status.meaning(paused) {
		if word.Reason == "" {
			plain = append(plain, quoteText(word.Theirs))
		}
	}
	return plain
}

// isPaused is the condition that the platform's word means paused.
func (g *generator) isPaused(e *Entity, row string) string {
	var words []string
	for _, word := range e.Status.meaning(paused) {
		words = append(words, quoteText(word.Theirs))
	}
	return fmt.Sprintf("%s.%s::text IN (%s)", row, name(e.Status.Column), strings.Join(words, ", "))
}

// isStopped is the condition that no sender works on the row.
func (g *generator) isStopped(e *Entity, row string) string {
	var words []string
	for _, word := range e.Status.Map {
		if !e.Kind.isRunning(word.Ours) {
			words = append(words, quoteText(word.Theirs))
		}
	}
	return fmt.Sprintf("%s.%s::text IN (%s)", row, name(e.Status.Column), strings.Join(words, ", "))
}

// differ compares columns of the new and the old row.
func differ(columns []string) string {
	side := func(row string) string {
		all := make([]string, len(columns))
		for i, column := range columns {
			all[i] = row + "." + name(column)
		}
		if len(all) == 1 {
			return all[0]
		}
		return "(" + strings.Join(all, ", ") + ")"
	}
	return side("n") + " IS DISTINCT FROM " + side("o")
}

// The functions that the owners of the platform's tables call, in the triggers and in a consumer of
// the platform.
var (
	triggerFunctions = []string{
		"thaw.take_workspaces(jsonb, boolean)", "thaw.take_accounts(jsonb, boolean)", "thaw.take_campaigns(jsonb, boolean)",
		"thaw.take_enrollments(jsonb, boolean)", "thaw.note_adopt_failure(text, text, text)",
	}
	consumerFunctions = []string{"thaw.take_changes(text, integer)", "thaw.confirm_changes(text, text[])"}
)

// grants returns the statements that give the platform's role and Thaw's role what they need. There
// are none if they are the same role.
func (g *generator) grants(owner string) []string {
	var all []string
	owners := map[string]bool{}
	for _, e := range g.mapping.Entities {
		table := g.catalog.Table(e.Table)
		if table.Owner != owner && !owners[table.Owner] {
			all = append(all, "GRANT USAGE, CREATE ON SCHEMA thaw_adopt TO "+quote(table.Owner))
		}
		if table.Owner != g.thawRole && !owners[table.Owner] {
			all = append(all, "GRANT USAGE ON SCHEMA thaw TO "+quote(table.Owner))
			all = append(all, "GRANT EXECUTE ON FUNCTION "+strings.Join(slices.Concat(triggerFunctions, consumerFunctions), ", ")+" TO "+quote(table.Owner))
		}
		owners[table.Owner] = true
	}
	schemas := map[string]bool{}
	read := func(n Name, writes []string) {
		if g.catalog.Table(n).Owner == g.thawRole {
			return
		}
		if !schemas[n.Schema] {
			schemas[n.Schema] = true
			all = append(all, fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", quote(n.Schema), quote(g.thawRole)))
		}
		all = append(all, fmt.Sprintf("GRANT SELECT ON %s TO %s", qualified(n), quote(g.thawRole)))
		if len(writes) > 0 {
			all = append(all, fmt.Sprintf("GRANT UPDATE (%s) ON %s TO %s", strings.Join(writes, ", "), qualified(n), quote(g.thawRole)))
		}
	}
	for _, e := range g.mapping.Entities {
		var writes []string
		for _, column := range e.writes() {
			writes = append(writes, quote(column))
		}
		read(e.Table, writes)
		for _, f := range fields[e.Kind] {
			if j := e.Values[f.name].Join; j != nil {
				read(j.Table, nil)
			}
		}
	}
	return all
}

// writes are the columns that Thaw writes in the platform's table.
func (e *Entity) writes() []string {
	if e.Status == nil {
		return nil
	}
	columns := []string{e.Status.Column}
	add := func(column string) {
		if column != "" && !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
	}
	if e.Reason != nil {
		add(e.Reason.Column)
	}
	add(e.Values["account"].Column)
	add(e.Values["next_action_at"].Column)
	add(e.Values["paused_at"].Column)
	return columns
}

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// name writes the name of a column or table after a dot, where keywords need no quotes.
func name(text string) string {
	if plainName.MatchString(text) {
		return text
	}
	return quote(text)
}

func quote(text string) string { return pgx.Identifier{text}.Sanitize() }

func qualified(n Name) string { return quote(n.Schema) + "." + quote(n.Table) }

// quoteText writes a text as a literal that does not depend on standard_conforming_strings.
func quoteText(text string) string {
	if strings.Contains(text, `\`) {
		return `E'` + strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(text) + `'`
	}
	return `'` + strings.ReplaceAll(text, `'`, `''`) + `'`
}

func render(source string, data any) string {
	t := template.Must(template.New("").Funcs(template.FuncMap{"quote": quote, "qualified": qualified}).Parse(source))
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		panic(err) // a template of this package
	}
	return b.String()
}
