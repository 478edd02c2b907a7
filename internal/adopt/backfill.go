package adopt

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// batchRows is how many rows of the platform are read at a time.
const batchRows = 1000

// Backfilled is how far the backfill of a kind is. thaw.adopt_state.progress has one for each.
type Backfilled struct {
	Rows   int64  `json:"rows"`
	Failed int64  `json:"failed,omitempty"` // rows that are in thaw.adopt_errors
	After  string `json:"after,omitempty"`  // the id of the last row
	Done   bool   `json:"done,omitempty"`
}

// Backfill copies the rows that the platform has already, in batches. The triggers exist: rows that
// change meanwhile are copied by them, and rows that Thaw has are left alone. So it takes no locks
// on the platform's rows, and an interrupted one continues where it stopped.
func (p *Prepared) Backfill(ctx context.Context, db Database, progress func(kind Kind, rows int64)) (map[Kind]Backfilled, error) {
	var raw []byte
	var phase string
	if err := db.QueryRow(ctx, "SELECT s.phase, s.progress FROM thaw.adopt_state AS s").Scan(&phase, &raw); err != nil {
		return nil, err
	}
	state := map[Kind]Backfilled{}
	if phase == "backfilling" {
		if err := json.Unmarshal(raw, &state); err != nil {
			return nil, err
		}
	}
	for _, e := range p.Mapping.Entities {
		batch := p.batch(e)
		for s := state[e.Kind]; !s.Done; state[e.Kind] = s {
			var rows, failed int64
			var last *string
			err := inTx(ctx, db, pgx.TxOptions{}, func(tx pgx.Tx) error {
				if err := tx.QueryRow(ctx, batch.backfill, s.After, s.After != "", batchRows).Scan(&rows, &last, &failed); err != nil {
					return err
				}
				s.Rows, s.Failed, s.Done = s.Rows+rows, s.Failed+failed, rows < batchRows
				if last != nil {
					s.After = *last
				}
				state[e.Kind] = s
				text, err := json.Marshal(state)
				if err != nil {
					return err
				}
				_, err = tx.Exec(ctx, "SELECT thaw.set_adopt_phase('backfilling', $1)", string(text))
				return err
			})
			if err != nil {
				return state, fmt.Errorf("copying %s from %s: %w", e.Kind, e.Table, err)
			}
			progress(e.Kind, s.Rows)
		}
	}
	return state, nil
}

// batch has the statements that read the platform's rows of an entity in the order of their ids.
type batch struct {
	backfill string
	read     string // id and row as JSON
	byID     string // the same for a list of ids
	missing  string // which of a list of ids the platform does not have
}

func (p *Prepared) batch(e *Entity) batch {
	g := &generator{mapping: p.Mapping, catalog: p.Catalog}
	always, parts := g.parts(e, "n")
	for _, part := range parts {
		always = append(always, part.pairs...)
		if !part.isReason {
			always = append(always, part.whenPaused...)
		}
	}
	row := "jsonb_build_object(" + strings.Join(always, ", ") + ")"
	id, typ := "n."+name(e.ID), p.Catalog.Table(e.Table).Column(e.ID).Type
	page := fmt.Sprintf(`
		SELECT %[1]s AS id, %[2]s AS row FROM %[3]s AS n
		WHERE NOT $2::boolean OR %[1]s > (CASE WHEN $2::boolean THEN $1::text END)::%[4]s
		ORDER BY %[1]s LIMIT $3`, id, row, qualified(e.Table), typ)
	return batch{
		backfill: fmt.Sprintf(`WITH page AS MATERIALIZED (%s)
			SELECT count(*), (SELECT l.id::text FROM page AS l ORDER BY l.id DESC LIMIT 1),
				coalesce(thaw.take_%s(jsonb_agg(p.row ORDER BY p.id), true), 0)
			FROM page AS p`, page, e.Kind),
		read:    fmt.Sprintf("SELECT p.id::text, p.row FROM (%s) AS p ORDER BY p.id", page),
		byID:    fmt.Sprintf("SELECT %[1]s::text, %[2]s FROM %[3]s AS n WHERE %[1]s = ANY ($1::text[]::%[4]s[]) ORDER BY %[1]s", id, row, qualified(e.Table), typ),
		missing: fmt.Sprintf("SELECT g.id FROM unnest($1::text[]) AS g (id) WHERE NOT EXISTS (SELECT FROM %s AS n WHERE %s = g.id::%s) ORDER BY g.id", qualified(e.Table), id, typ),
	}
}
