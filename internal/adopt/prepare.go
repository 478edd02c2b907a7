package adopt

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Prepared is a mapping that fits the tables of a database.
type Prepared struct {
	Mapping *Mapping
	Catalog *Catalog
	Plan    *Plan
	Notices []Notice

	riverSchema string
	thawRole    string // the owner of Thaw's schema
}

// A Reader runs statements: a connection, a pool or a transaction.
type Reader interface {
	Queryer
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// A Database runs statements and transactions: a pool or a connection.
type Database interface {
	Reader
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// Prepare compares the mapping with the tables of the database and makes its plan. The error is
// [*Problems] if they do not fit.
func (m *Mapping) Prepare(ctx context.Context, db Reader, riverSchema string) (*Prepared, error) {
	return m.prepare(ctx, db, riverSchema, nil)
}

// prepare is [Mapping.Prepare] that reads only the named tables, or all if there are no names.
func (m *Mapping) prepare(ctx context.Context, db Reader, riverSchema string, only []Name) (*Prepared, error) {
	catalog, err := readCatalog(ctx, db, riverSchema, only)
	if err != nil {
		return nil, err
	}
	notices, err := m.Check(catalog)
	if err != nil {
		return nil, err
	}
	var owner string
	if err := db.QueryRow(ctx, "SELECT pg_catalog.pg_get_userbyid(n.nspowner) FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'thaw'").Scan(&owner); err != nil {
		return nil, err
	}
	return &Prepared{Mapping: m, Catalog: catalog, Plan: m.Generate(catalog, owner), Notices: notices, riverSchema: riverSchema, thawRole: owner}, nil
}

// TriggerCount returns how many triggers the plan creates.
func (p *Plan) TriggerCount() int {
	n := 0
	for _, t := range p.Tables {
		n += len(t.Triggers)
	}
	return n
}
