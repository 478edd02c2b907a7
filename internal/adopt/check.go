package adopt

import (
	"fmt"
	"slices"
	"strings"
)

// A Notice is something that works, and that the reader of a plan should know.
type Notice struct {
	Line    int    `json:"line"`
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Check compares the mapping with the tables that there are. The error is [*Problems].
func (m *Mapping) Check(catalog *Catalog) ([]Notice, error) {
	c := &checker{mapping: m, catalog: catalog}
	for _, e := range m.Entities {
		c.entity(e)
	}
	slices.SortStableFunc(c.List, func(a, b Problem) int { return a.Line - b.Line })
	return c.notices, c.orNil()
}

type checker struct {
	Problems
	mapping *Mapping
	catalog *Catalog
	notices []Notice
}

func (c *checker) note(line int, path, format string, args ...any) {
	c.notices = append(c.notices, Notice{line, path, fmt.Sprintf(format, args...)})
}

func (c *checker) entity(e *Entity) {
	path := string(e.Kind)
	table := c.table(e.Table, e.Line, path+".table", true)
	if table == nil {
		return
	}
	if id := c.column(table, e.ID, e.Line, path+".id", text); id != nil {
		switch {
		case !table.isKey(e.ID):
			c.add(e.Line, path+".id", fmt.Sprintf("no unique index is on %s of %s alone, so several rows could have one id", e.ID, e.Table), "Name the primary key, or create a unique index.")
		case !id.NotNull:
			c.add(e.Line, path+".id", fmt.Sprintf("%s of %s can be null", e.ID, e.Table), "Name the primary key, or set the column NOT NULL.")
		}
	}
	for _, f := range fields[e.Kind] {
		if v, ok := e.Values[f.name]; ok {
			c.value(table, v, path+"."+f.name, f)
		}
	}
	if e.Deleted != nil {
		if e.Deleted.Join != nil {
			c.add(e.Deleted.Line, path+".deleted", "a soft delete is a column of the same table", "Name the column.")
		} else if column := c.column(table, e.Deleted.Column, e.Deleted.Line, path+".deleted", text); column != nil && column.BaseType != "bool" && column.Category != "D" {
			c.add(e.Deleted.Line, path+".deleted", fmt.Sprintf("%s is %s, and a soft delete is a boolean or a time", column.Name, column.Type), "Name such a column, or map the state as a word.")
		}
	}
	if e.Status != nil {
		c.words(table, e, e.Status, path+".status")
	}
	if e.Reason != nil {
		c.words(table, e, e.Reason, path+".reason")
	}
}

// kinds are the kinds of relations that cannot be mapped, and why.
var kinds = map[string]string{
	"v": "is a view: a trigger on a view does not see changes of the tables behind it. Map the table that has the state, and read values of other tables by {table: …, by: …, column: …}",
	"m": "is a materialized view, which has no triggers and changes only when it is refreshed. Map the table behind it",
	"f": "is a foreign table: Postgres has no transition tables there, and its rows change on another server without a trigger. Run Thaw on the database that has the table",
}

// table finds a table that can have triggers, if isWritten, or that can be read.
func (c *checker) table(name Name, line int, path string, isWritten bool) *Table {
	table := c.catalog.Table(name)
	switch {
	case table == nil:
		fix := "Write schema.table with the case of the catalog."
		if similar := c.similar(name.Table); similar != "" {
			fix = "Did you mean " + similar + "?"
		}
		c.add(line, path, fmt.Sprintf("there is no table %s, or this role may not see its schema", name), fix)
		return nil
	case kinds[table.Kind] != "":
		message, fix, _ := strings.Cut(kinds[table.Kind], ". ")
		c.add(line, path, fmt.Sprintf("%s %s", name, message), fix+".")
		return nil
	case table.IsTemporary:
		c.add(line, path, fmt.Sprintf("%s is a temporary table of one session", name), "Map a permanent table.")
		return nil
	case table.IsPartition && isWritten:
		c.add(line, path, fmt.Sprintf("%s is a partition, so that rows of the other partitions would be missing", name), "Map the partitioned table.")
		return nil
	}
	for _, child := range table.Children {
		if child.Kind == "f" && isWritten {
			c.add(line, path, fmt.Sprintf("the partition %s is a foreign table, whose rows change on another server without a trigger", child.Name), "Detach it, or run Thaw on that database.")
			return nil
		}
	}
	if len(table.Children) > 0 && isWritten {
		c.note(line, path, "%s has %d partitions or children. Each of them gets the triggers too, because a statement can name it. After you create a partition, run thaw adopt plan again. Until then, Thaw sees only statements on %s itself.", name, len(table.Children), name)
	}
	return table
}

func (c *checker) column(table *Table, name string, line int, path string, holds class) *Column {
	column := table.Column(name)
	if column == nil {
		fix := "Its columns: " + strings.Join(columnNames(table, 20), ", ") + "."
		c.add(line, path, fmt.Sprintf("%s has no column %q", table.Name, name), fix)
		return nil
	}
	if problem := column.problem(holds); problem != "" {
		c.add(line, path, fmt.Sprintf("%s of %s is %s, %s", name, table.Name, column.Type, problem), "Map another column.")
		return nil
	}
	return column
}

// problem says why a column cannot hold a value of a class. Empty: it can.
func (c *Column) problem(holds class) string {
	switch {
	case c.BaseType == "json" || c.BaseType == "xml":
		return "which cannot be compared"
	case c.Category == "A" || c.Category == "C" || c.BaseType == "jsonb":
		return "which has more than one value"
	case holds == integer && c.BaseType != "int2" && c.BaseType != "int4" && c.BaseType != "int8":
		return "and not an integer"
	case holds == moment && c.BaseType != "timestamptz" && c.BaseType != "timestamp":
		return "and not a timestamp"
	case holds == day && c.BaseType != "date" && c.BaseType != "timestamptz" && c.BaseType != "timestamp":
		return "and not a date or a timestamp"
	}
	return ""
}

func (c *checker) value(table *Table, v Value, path string, f field) {
	switch {
	case v.Fixed != nil:
	case v.Join == nil:
		if column := c.column(table, v.Column, v.Line, path, f.holds); column != nil && f.holds == moment && column.BaseType == "timestamp" {
			c.note(v.Line, path, "%s of %s has no time zone. It is read and written as UTC.", v.Column, table.Name)
		}
	default:
		j := v.Join
		c.column(table, j.By, v.Line, path+".by", text)
		other := c.table(j.Table, v.Line, path+".table", true)
		if other == nil {
			return
		}
		c.column(other, j.Column, v.Line, path+".column", f.holds)
		if reference := table.reference(j.By); other.Column(j.Key) == nil && reference != nil && reference.Target == j.Table {
			c.add(v.Line, path+".key", fmt.Sprintf("%s has no column %q", other.Name, j.Key), fmt.Sprintf("Add key: %s to it: %s refers to that column.", reference.TargetColumn, j.By))
		} else if c.column(other, j.Key, v.Line, path+".key", text) != nil && !other.isKey(j.Key) {
			c.add(v.Line, path+".key", fmt.Sprintf("no unique index is on %s of %s alone, so several rows could be meant", j.Key, j.Table), "Name the key that "+j.By+" refers to.")
		}
		if !table.hasIndex(j.By) {
			c.note(v.Line, path, "no index finds the rows of %s by %s. A change of %s.%s reads the whole table, in the platform's transaction. Create one: CREATE INDEX CONCURRENTLY ON %s (%s).",
				table.Name, j.By, j.Table, j.Column, qualified(table.Name), quote(j.By))
		}
	}
}

func (c *checker) words(table *Table, e *Entity, w *Words, path string) {
	column := c.column(table, w.Column, w.Line, path+".column", text)
	if column == nil {
		return
	}
	if column.IsGenerated && (e.Kind == Campaigns || e.Kind == Enrollments) {
		c.add(w.Line, path+".column", fmt.Sprintf("%s of %s is a generated column, which Thaw cannot write", w.Column, table.Name), "Map the column that it is generated from.")
	}
	if w == e.Reason && column.NotNull && w.None == nil {
		c.add(w.Line, path, fmt.Sprintf("%s of %s cannot be null, so Thaw needs the word of a row that is not paused", w.Column, table.Name), `Add none, for example none: "".`)
	}
	if len(column.Words) == 0 {
		return
	}
	var mapped []string
	for _, words := range [][]Word{w.Map, w.Back} {
		for _, word := range words {
			mapped = append(mapped, word.Theirs)
			if !slices.Contains(column.Words, word.Theirs) {
				c.add(word.Line, path+".map", fmt.Sprintf("%s of %s is never %q", w.Column, table.Name, word.Theirs), "Its words: "+strings.Join(column.Words, ", ")+".")
			}
		}
	}
	var missing []string
	for _, word := range column.Words {
		if !slices.Contains(mapped, word) {
			missing = append(missing, word)
		}
	}
	if len(missing) > 0 && w == e.Status {
		c.note(w.Line, path+".map", "the words %s are not in the map. A row with one of them is parked: Thaw does not resume it, and does not write it.", strings.Join(missing, ", "))
	}
	if e.Kind == Accounts {
		var unwritten []string
		for _, status := range e.Kind.statuses() {
			if _, ok := e.StatusWord(status, ""); !ok {
				unwritten = append(unwritten, status)
			}
		}
		if len(unwritten) > 0 {
			c.note(w.Line, path, "the platform has no word for %s. Such an account keeps the word that it has in %s.", strings.Join(unwritten, ", "), table.Name)
		}
	}
}

// similar returns a table whose name is like the given one, or "".
func (c *checker) similar(name string) string {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	for _, t := range c.catalog.Tables {
		if plain(t.Name.Table) == plain(name) {
			return t.Name.String()
		}
	}
	for _, t := range c.catalog.Tables {
		if strings.Contains(plain(t.Name.Table), plain(name)) || strings.Contains(plain(name), plain(t.Name.Table)) {
			return t.Name.String()
		}
	}
	return ""
}

func columnNames(t *Table, limit int) []string {
	var all []string
	for i, c := range t.Columns {
		if i == limit {
			return append(all, "…")
		}
		all = append(all, c.Name)
	}
	return all
}
