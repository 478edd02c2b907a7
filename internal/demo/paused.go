package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/readmodel"
)

// A pausedGroup has the number of prospects that are paused for the same reason, and one example.
type pausedGroup struct {
	count   int
	example readmodel.Explanation
}

// explainPaused: every paused prospect has a reason and a party who can act on it.
func (s *story) explainPaused(ctx context.Context) error {
	groups, err := s.pausedGroups(ctx)
	if err != nil {
		return err
	}
	seen := make(map[explain.Code]int, len(groups))
	total := 0
	for _, g := range groups {
		seen[g.example.Code] = g.count
		total += g.count
	}
	for code, want := range stillPaused {
		if seen[code] != want {
			return fmt.Errorf("expected %d prospects paused with code %s, got %d", want, code, seen[code])
		}
	}
	if len(seen) != len(stillPaused) {
		return fmt.Errorf("expected %d codes of paused prospects, got %d: %v", len(stillPaused), len(seen), seen)
	}
	s.say("%d prospects must stay paused. This is the answer of thaw explain for one prospect of each kind:", total)
	const row = "%8s  %-28s%s\n"
	fmt.Fprintf(s.out, row, "COUNT", "CODE", "WHO ACTS")
	for _, g := range groups {
		fmt.Fprintf(s.out, row, strconv.Itoa(g.count), g.example.Code, g.example.WhoActs)
		s.wrap("          ", g.example.Sentence)
	}
	s.paused = groups[0].example.ProspectURL
	return nil
}

// pausedGroups groups the paused prospects, the largest group first. The explanation is the same
// for all prospects with the same account, campaign and reason, so it explains one of them.
func (s *story) pausedGroups(ctx context.Context) ([]pausedGroup, error) {
	rows, err := s.db.Pool().Query(ctx, `
		SELECT min(e.prospect_url), count(*)
		FROM thaw.enrollments AS e
		WHERE e.status = 'paused'
		GROUP BY e.account_id, e.campaign_id, e.paused_reason
		ORDER BY count(*) DESC, min(e.prospect_url)`)
	if err != nil {
		return nil, fmt.Errorf("grouping the paused prospects: %w", err)
	}
	type alike struct {
		URL   string
		Count int
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[alike])
	if err != nil {
		return nil, fmt.Errorf("grouping the paused prospects: %w", err)
	}
	byCode := make(map[explain.Code]*pausedGroup)
	for _, a := range all {
		explanations, err := readmodel.Explain(ctx, s.db, a.URL)
		if err != nil {
			return nil, err
		}
		// In this fleet each prospect is in one campaign.
		x := explanations[0]
		if byCode[x.Code] == nil {
			byCode[x.Code] = &pausedGroup{example: x}
		}
		byCode[x.Code].count += a.Count
	}
	var groups []pausedGroup
	for _, g := range byCode {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b pausedGroup) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.example.Code, b.example.Code))
	})
	return groups, nil
}
