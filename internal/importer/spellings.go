package importer

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/explain"
)

const (
	// sketchBits is the size of a sketch in bits (1 MiB). With 1,000,000 prospects in it, the false
	// positive rate is one in nine.
	sketchBits = 8 << 20
	// hitsAtOnce is how many hits are written per COPY.
	hitsAtOnce = 1000
)

// findSpellings fills the table import_spelled with enrollments in the database that may be other
// spellings of the new prospects in import_matches.
//
// URLs are normalized in Go, and no index has the normalized URL (docs/decisions/0012). So
// findSpellings reads all prospects of the campaigns that get new ones once, without locks. A
// sketch of the new prospects bounds the memory: prospects that are not in it are skipped, and the
// database compares the others. An import without new prospects in existing campaigns reads
// nothing.
func findSpellings(ctx context.Context, tx pgx.Tx, pool *pgxpool.Pool) error {
	var campaigns []int64
	if err := tx.QueryRow(ctx, "SELECT array_agg(DISTINCT n.campaign_id) FROM import_matches AS n WHERE n.enrollments = 0").Scan(&campaigns); err != nil {
		return fmt.Errorf("looking for new prospects: %w", err)
	}
	if len(campaigns) == 0 {
		return nil
	}
	wanted := newSketch()
	var campaign int64
	var prospect string
	rows, err := tx.Query(ctx, "SELECT n.campaign_id, n.normal_url FROM import_matches AS n WHERE n.enrollments = 0")
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&campaign, &prospect}, func() error {
			wanted.add(campaign, prospect)
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("looking for new prospects: %w", err)
	}

	hits := make([][]any, 0, hitsAtOnce)
	flush := func() error {
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"import_spelled"}, []string{"campaign_id", "prospect_url", "normal_url"}, pgx.CopyFromRows(hits))
		hits = hits[:0]
		return err
	}
	err = pgx.BeginFunc(ctx, pool, func(reading pgx.Tx) error {
		// Reading may take longer than the statement_timeout of the role, which is meant for
		// applications.
		if _, err := reading.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		known, err := reading.Query(ctx, "SELECT e.campaign_id, e.prospect_url FROM thaw.enrollments AS e WHERE e.campaign_id = ANY ($1)", campaigns)
		if err != nil {
			return err
		}
		_, err = pgx.ForEachRow(known, []any{&campaign, &prospect}, func() error {
			normal := explain.NormalURL(prospect)
			if !wanted.has(campaign, normal) {
				return nil
			}
			hits = append(hits, []any{campaign, prospect, normal})
			if len(hits) < hitsAtOnce {
				return nil
			}
			return flush()
		})
		return err
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return fmt.Errorf("comparing the spellings of prospects: %w", err)
	}
	return nil
}

// A sketch is a Bloom filter of prospects: it may have false positives, but no false negatives.
type sketch struct {
	seed maphash.Seed
	bits []uint64
}

func newSketch() *sketch { return &sketch{maphash.MakeSeed(), make([]uint64, sketchBits/64)} }

// places returns the positions of the two bits of a prospect.
func (s *sketch) places(campaign int64, prospect string) [2]uint64 {
	hash := maphash.String(s.seed, prospect) ^ uint64(campaign)*0x9e3779b97f4a7c15
	hash = maphash.Comparable(s.seed, hash)
	return [2]uint64{hash % sketchBits, (hash >> 32) % sketchBits}
}

func (s *sketch) add(campaign int64, prospect string) {
	for _, place := range s.places(campaign, prospect) {
		s.bits[place/64] |= 1 << (place % 64)
	}
}

func (s *sketch) has(campaign int64, prospect string) bool {
	for _, place := range s.places(campaign, prospect) {
		if s.bits[place/64]&(1<<(place%64)) == 0 {
			return false
		}
	}
	return true
}
