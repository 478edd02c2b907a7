package operator

import (
	"context"

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

// Erase erases a person everywhere, and returns what was erased and what is left, per table. It
// cannot be undone. It reads all tables, in one transaction.
func (o *Operator) Erase(ctx context.Context, person Erasure, reason string) ([]ErasedTable, error) {
	if err := o.forOperators("erase a person"); err != nil {
		return nil, err
	}
	also := person.Also
	if also == nil {
		also = []string{}
	}
	var tables []ErasedTable
	err := o.store.Unhurried(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
		rows, err := q.ErasePerson(ctx, dbsqlc.ErasePersonParams{Urls: person.URLs, Also: also, Reason: reason, Actor: o.actor})
		for _, row := range rows {
			tables = append(tables, ErasedTable{row.TableName, row.Erased, row.Remaining})
		}
		return err
	})
	return tables, err
}
