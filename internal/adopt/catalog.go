package adopt

import (
	"context"
	_ "embed" // the statements
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// maxTables is how many tables a database may have.
const maxTables = 5000

// The statements on the catalog.
var (
	//go:embed sql/tables.sql
	tablesSQL string
	//go:embed sql/columns.sql
	columnsSQL string
	//go:embed sql/keys.sql
	keysSQL string
	//go:embed sql/references.sql
	referencesSQL string
	//go:embed sql/checks.sql
	checksSQL string
	//go:embed sql/children.sql
	childrenSQL string
)

// A Queryer runs queries: a connection, a pool or a transaction.
type Queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// A Catalog has the tables of the platform, in the order of their names.
type Catalog struct{ Tables []*Table }

// A Table is what Postgres knows about a table.
type Table struct {
	OID         int64
	Name        Name
	Kind        string // pg_class.relkind
	IsTemporary bool
	IsPartition bool
	Owner       string
	Rows        int64 // an estimate
	Columns     []*Column
	Keys        []Key
	References  []Reference
	Checks      []CheckConstraint
	// Children are its partitions and the tables that inherit from it.
	Children []Child
}

// A Column is what Postgres knows about a column.
type Column struct {
	Name     string
	Type     string // as in CREATE TABLE
	BaseType string // pg_type.typname; of a domain, that of the type below it
	Category string // pg_type.typcategory
	NotNull  bool
	// IsGenerated is true if no statement can write the column.
	IsGenerated bool
	HasDefault  bool
	// Words are the labels of an enum type, or the words of a CHECK constraint.
	Words []string
}

// A CheckConstraint is a CHECK constraint.
type CheckConstraint struct {
	Name       string
	Definition string // as in CREATE TABLE
	Columns    []string
	condition  string // over the columns of a row
}

// A Key is an index.
type Key struct {
	Columns                        []string
	IsUnique, IsPrimary, IsPartial bool
}

// A Reference is a foreign key of one column.
type Reference struct {
	Column       string
	Target       Name
	TargetColumn string
}

// A Child is a partition, or a table that inherits.
type Child struct {
	Name Name
	Kind string
}

// Table returns a table by its name, or nil.
func (c *Catalog) Table(name Name) *Table {
	for _, t := range c.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Column returns a column by its name, or nil.
func (t *Table) Column(name string) *Column {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// isKey reports whether the column alone identifies a row. The key of a partitioned table contains
// the columns of its partitions, so there it is enough if the key begins with the column.
func (t *Table) isKey(column string) bool {
	return slices.ContainsFunc(t.Keys, func(k Key) bool {
		return k.IsUnique && len(k.Columns) > 0 && k.Columns[0] == column && (len(k.Columns) == 1 || t.Kind == "p")
	})
}

// hasIndex reports whether an index finds rows by the column.
func (t *Table) hasIndex(column string) bool {
	return slices.ContainsFunc(t.Keys, func(k Key) bool { return !k.IsPartial && len(k.Columns) > 0 && k.Columns[0] == column })
}

// reference returns the foreign key of a column, or nil.
func (t *Table) reference(column string) *Reference {
	for i := range t.References {
		if t.References[i].Column == column {
			return &t.References[i]
		}
	}
	return nil
}

// literal matches a text in the definition of a CHECK constraint.
var literal = regexp.MustCompile(`'((?:[^']|'')*)'::`)

// ReadCatalog reads the tables of the platform. Tables in riverSchema are not the platform's.
func ReadCatalog(ctx context.Context, db Queryer, riverSchema string) (*Catalog, error) {
	return readCatalog(ctx, db, riverSchema, nil)
}

// readCatalog is [ReadCatalog] for the named tables only, or for all if there are no names.
func readCatalog(ctx context.Context, db Queryer, riverSchema string, only []Name) (*Catalog, error) {
	catalog := &Catalog{}
	var schemas, names []string // nil: null
	for _, name := range only {
		schemas, names = append(schemas, name.Schema), append(names, name.Table)
	}
	byOID := map[int64]*Table{}
	var oids []int64
	var t Table
	err := each(ctx, db, tablesSQL, []any{riverSchema, maxTables, schemas, names},
		[]any{&t.OID, &t.Name.Schema, &t.Name.Table, &t.Kind, &t.IsTemporary, &t.IsPartition, &t.Owner, &t.Rows}, func() {
			table := t
			catalog.Tables = append(catalog.Tables, &table)
			byOID[t.OID], oids = &table, append(oids, t.OID)
		})
	if err != nil {
		return nil, err
	}
	if len(oids) > maxTables {
		return nil, fmt.Errorf("the database has more than %d tables, and thaw adopt reads at most that many", maxTables)
	}
	var oid int64
	var column Column
	err = each(ctx, db, columnsSQL, []any{oids},
		[]any{&oid, &column.Name, &column.Type, &column.BaseType, &column.Category, &column.NotNull, &column.IsGenerated, &column.HasDefault, &column.Words}, func() {
			c := column
			byOID[oid].Columns = append(byOID[oid].Columns, &c)
			column.Words = nil
		})
	if err != nil {
		return nil, err
	}
	var key Key
	if err := each(ctx, db, keysSQL, []any{oids}, []any{&oid, &key.IsUnique, &key.IsPrimary, &key.IsPartial, &key.Columns}, func() {
		byOID[oid].Keys = append(byOID[oid].Keys, key)
		key.Columns = nil
	}); err != nil {
		return nil, err
	}
	var reference Reference
	var target int64
	if err := each(ctx, db, referencesSQL, []any{oids}, []any{&oid, &reference.Column, &target, &reference.TargetColumn}, func() {
		if other := byOID[target]; other != nil {
			reference.Target = other.Name
			byOID[oid].References = append(byOID[oid].References, reference)
		}
	}); err != nil {
		return nil, err
	}
	var check CheckConstraint
	if err := each(ctx, db, checksSQL, []any{oids}, []any{&oid, &check.Name, &check.Definition, &check.condition, &check.Columns}, func() {
		t := byOID[oid]
		t.Checks = append(t.Checks, check)
		if len(check.Columns) == 1 {
			c := t.Column(check.Columns[0])
			for _, found := range literal.FindAllStringSubmatch(check.Definition, -1) {
				c.Words = append(c.Words, strings.ReplaceAll(found[1], "''", "'"))
			}
		}
		check.Columns = nil
	}); err != nil {
		return nil, err
	}
	var child Child
	err = each(ctx, db, childrenSQL, []any{oids}, []any{&oid, &child.Name.Schema, &child.Name.Table, &child.Kind}, func() {
		byOID[oid].Children = append(byOID[oid].Children, child)
	})
	return catalog, err
}

// each scans every row of a query into targets and calls do.
func each(ctx context.Context, db Queryer, sql string, args, targets []any, do func()) error {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, targets, func() error { do(); return nil })
	return err
}

// errNoTables is returned if there is nothing to propose a mapping for.
var errNoTables = errors.New("the database has no tables except Thaw's own: thaw adopt works on a database that has the platform's tables too. Check the database URL")
