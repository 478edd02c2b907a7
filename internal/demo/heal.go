package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// healCap is higher than the number of resumable prospects.
const healCap = 5000

// heal: an operator resumes the rest of the backlog without waiting for further ticks.
func (s *story) heal(ctx context.Context) error {
	before, err := s.number(ctx, teamWaiting, teamWorkspace)
	if err != nil {
		return err
	}
	workspace, err := s.db.Read().WorkspaceID(ctx, teamWorkspace)
	if err != nil {
		return fmt.Errorf("looking up workspace %s: %w", teamWorkspace, err)
	}
	s.say("thaw heal --workspace %s --cap %d --wait", teamWorkspace, healCap)
	began := time.Now()
	id, err := s.db.Trip().StartHeal(ctx, dbsqlc.StartHealParams{WorkspaceID: &workspace, Cap: healCap, Actor: "demo"})
	if err != nil {
		return fmt.Errorf("starting the heal: %w", err)
	}

	var heal dbsqlc.HealRow
	bar := s.bar(fmt.Sprintf("heal %d", id), "prospects", before)
	deadline := time.Now().Add(patience)
	err = s.look(ctx, func() (bool, error) {
		if heal, err = s.db.Read().Heal(ctx, id); err != nil {
			return false, fmt.Errorf("reading heal %d: %w", id, err)
		}
		_ = bar.Set(int(heal.Resumed))
		if heal.FinishedAt == nil && time.Now().After(deadline) {
			return false, fmt.Errorf("expected heal %d to be done after %[4]s, got %[2]d of %[3]d prospects resumed", id, heal.Resumed, before, patience)
		}
		return heal.FinishedAt != nil, nil
	})
	if err != nil {
		return err
	}
	took := since(began)
	_ = bar.Finish() // a tick may have resumed some of them, so that the bar is not full
	if err := s.expect(ctx, 0, "prospects of the team still paused", teamWaiting, teamWorkspace); err != nil {
		return err
	}
	// A tick may begin in the meantime and resume some of the prospects.
	swept, err := s.number(ctx, `
		SELECT count(*) FROM thaw.history AS h
		WHERE h.workspace = $1 AND h.kind = 'resumed' AND h.source = 'sweep' AND h.at >= $2`, teamWorkspace, heal.RequestedAt)
	if err != nil {
		return err
	}
	if int64(heal.Resumed)+swept != before {
		return fmt.Errorf("expected %d prospects resumed, got %d resumed by the heal and %d by a concurrent sweep", before, heal.Resumed, swept)
	}
	s.say("heal %d resumed %d prospects in %s; %d remaining.", id, heal.Resumed, took, *heal.Remaining)
	return nil
}
