package operator

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// An Erasure names the person to erase: the URLs under which the person is enrolled or mentioned,
// and other texts, such as the name.
type Erasure struct {
	URLs, Also []string
}

// An ErasedTable is the result for a table: how many rows were erased or changed, and how many
// still mention the person.
type ErasedTable struct {
	Table     string `json:"table"`
	Erased    int64  `json:"erased"`
	Remaining int64  `json:"remaining"`
}

// PreviewErasure counts the rows that mention the person, per table. It reads all tables.
func (o *Operator) PreviewErasure(ctx context.Context, person Erasure) ([]ErasedTable, error) {
	if err := o.forOperators("erase a person"); err != nil {
		return nil, err
	}
	var tables []ErasedTable
	err := o.store.Unhurried(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		rows, err := q.CountMentions(ctx, append(append([]string{}, person.URLs...), person.Also...))
		for _, row := range rows {
			tables = append(tables, ErasedTable{Table: row.TableName, Remaining: row.Mentions})
		}
		return err
	})
	return tables, err
}

// maxErasures limits how often [Operator.Erase] starts over for rows that were inserted or changed
// while it read the tables, or that were too many for one transaction.
const maxErasures = 20

// Erase erases a person everywhere, and returns what was erased and what is left, per table. It
// cannot be undone. It reads all tables in a transaction without locks at first, erases in the same
// one, and counts what is left in another, so that no lock is held while tables are read.
func (o *Operator) Erase(ctx context.Context, person Erasure, reason string) ([]ErasedTable, error) {
	if err := o.forOperators("erase a person"); err != nil {
		return nil, err
	}
	also := person.Also
	if also == nil {
		also = []string{}
	}
	tables := map[string]ErasedTable{}
	for range maxErasures {
		erased := int64(0)
		err := o.store.Unhurried(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
			rows, err := q.ErasePerson(ctx, dbsqlc.ErasePersonParams{Urls: person.URLs, Also: also, Reason: reason, Actor: o.actor})
			for _, row := range rows {
				erased += row.Erased
				tables[row.TableName] = ErasedTable{Table: row.TableName, Erased: tables[row.TableName].Erased + row.Erased}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		left, err := o.PreviewErasure(ctx, person)
		if err != nil {
			return nil, err
		}
		for name, table := range tables {
			table.Remaining = 0
			tables[name] = table
		}
		for _, table := range left {
			tables[table.Table] = ErasedTable{table.Table, tables[table.Table].Erased, table.Remaining}
		}
		if len(left) == 0 || erased == 0 {
			break
		}
	}
	return slices.SortedFunc(maps.Values(tables), func(a, b ErasedTable) int { return cmp.Compare(a.Table, b.Table) }), nil
}
