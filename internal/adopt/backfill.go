package adopt

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	// Was has the words whose meaning the mapping has changed, with their former meaning; empty for
	// words that parked their rows. It is empty once their rows are copied again.
	Was map[string]string `json:"was,omitempty"`
}

// Backfill copies the rows that the platform has already, in batches. The triggers exist: rows that
// change meanwhile are copied by them, and rows that Thaw has are left alone. So it takes no locks
// on the platform's rows, and an interrupted one continues where it stopped.
func (p *Prepared) Backfill(ctx context.Context, db Database, progress func(kind Kind, rows int64)) (map[Kind]Backfilled, error) {
	state, err := readProgress(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, e := range p.Mapping.Entities {
		batch := p.batch(e)
		if s := state[e.Kind]; len(s.Was) > 0 {
			if err := p.copyRemapped(ctx, db, e, batch.words, s.Was); err != nil {
				return state, fmt.Errorf("copying %s whose word has another meaning from %s: %w", e.Kind, e.Table, err)
			}
			s.Was = nil
			state[e.Kind] = s
		}
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

// readProgress returns how far an interrupted backfill is, if there is one.
func readProgress(ctx context.Context, db Database) (map[Kind]Backfilled, error) {
	progress := map[Kind]Backfilled{}
	var raw []byte
	if err := db.QueryRow(ctx, "SELECT CASE s.phase WHEN 'backfilling' THEN s.progress ELSE '{}' END FROM thaw.adopt_state AS s").Scan(&raw); err != nil {
		return nil, err
	}
	return progress, json.Unmarshal(raw, &progress)
}

// remapped returns, as the beginning of a backfill, the words to which this mapping gives another
// meaning than the one before. Only for accounts does it count what a word meant: a comparison
// finds other rows, but not accounts whose status in Thaw no longer has a word. pending are changes
// that an interrupted backfill has not applied.
func (m *Mapping) remapped(before *Mapping, pending map[Kind]Backfilled) map[Kind]Backfilled {
	all := map[Kind]Backfilled{}
	for _, e := range m.Entities {
		old := before.Entity(e.Kind)
		if e.Status == nil || old.Table != e.Table || old.Status.Column != e.Status.Column {
			continue
		}
		was := map[string]string{}
		for _, word := range e.Status.Map {
			former, isPending := pending[e.Kind].Was[word.Theirs]
			if !isPending {
				i := slices.IndexFunc(old.Status.Map, func(w Word) bool { return w.Theirs == word.Theirs })
				if i >= 0 {
					former = old.Status.Map[i].Ours
				}
			}
			if former != word.Ours && (former == "" || e.Kind == Accounts) {
				was[word.Theirs] = former
			}
		}
		if len(was) > 0 {
			all[e.Kind] = Backfilled{Was: was}
		}
	}
	return all
}

// copyRemapped copies rows again whose word has another meaning now: parked ones, and accounts that
// still have the status that the word meant. Any other status is that of a newer signal.
func (p *Prepared) copyRemapped(ctx context.Context, db Database, e *Entity, words string, was map[string]string) error {
	after, list := "", slices.Collect(maps.Keys(was))
	for {
		var rows int
		err := inTx(ctx, db, pgx.TxOptions{}, func(tx pgx.Tx) error {
			var ids, theirs []string
			var raw, again []json.RawMessage
			var id, word string
			var text []byte
			rows = 0
			if err := each(ctx, tx, words, []any{after, after != "", batchRows, list}, []any{&id, &text, &word}, func() {
				ids, theirs, raw = append(ids, id), append(theirs, word), append(raw, slices.Clone(text))
			}); err != nil {
				return err
			}
			copies, err := readCopied(ctx, tx, e.Kind, ids)
			if err != nil {
				return err
			}
			for i, id := range ids {
				t, former := copies[id], was[theirs[i]]
				if former == "" && t.isKept || former != "" && t.row["status"] == former {
					again = append(again, raw[i])
				}
			}
			if rows = len(ids); rows > 0 {
				after = ids[rows-1]
			}
			if len(again) == 0 {
				return nil
			}
			rowsText, err := json.Marshal(again)
			if err != nil {
				return err
			}
			// What could not be applied is kept in thaw.adopt_errors.
			return exec(ctx, tx, fmt.Sprintf("SELECT thaw.take_%s($1::jsonb)", e.Kind), string(rowsText))
		})
		if err != nil || rows < batchRows {
			return err
		}
	}
}

// batch has the statements that read the platform's rows of an entity in the order of their ids.
type batch struct {
	backfill string
	read     string // id and row as JSON
	byID     string // the same for a list of ids
	words    string // id, row and status word of rows that have one of a list of words
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
	words := ""
	if e.Status != nil {
		words = fmt.Sprintf(`
			SELECT p.id::text, p.row, p.word FROM (
				SELECT %[1]s AS id, %[2]s AS row, n.%[5]s::text AS word FROM %[3]s AS n
				WHERE n.%[5]s::text = ANY ($4::text[]) AND (NOT $2::boolean OR %[1]s > (CASE WHEN $2::boolean THEN $1::text END)::%[4]s)
				ORDER BY %[1]s LIMIT $3) AS p
			ORDER BY p.id`, id, row, qualified(e.Table), typ, name(e.Status.Column))
	}
	return batch{
		words: words,
		backfill: fmt.Sprintf(`WITH page AS MATERIALIZED (%s)
			SELECT count(*), (SELECT l.id::text FROM page AS l ORDER BY l.id DESC LIMIT 1),
				coalesce(thaw.take_%s(coalesce(jsonb_agg(p.row ORDER BY p.id), '[]'), true), 0)
			FROM page AS p`, page, e.Kind),
		read:    fmt.Sprintf("SELECT p.id::text, p.row FROM (%s) AS p ORDER BY p.id", page),
		byID:    fmt.Sprintf("SELECT %[1]s::text, %[2]s FROM %[3]s AS n WHERE %[1]s = ANY ($1::text[]::%[4]s[]) ORDER BY %[1]s", id, row, qualified(e.Table), typ),
		missing: fmt.Sprintf("SELECT g.id FROM unnest($1::text[]) AS g (id) WHERE NOT EXISTS (SELECT FROM %s AS n WHERE %s = g.id::%s) ORDER BY g.id", qualified(e.Table), id, typ),
	}
}
