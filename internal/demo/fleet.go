package demo

import (
	"bytes"
	"context"
	_ "embed"

	"github.com/thawline/thaw/internal/importer"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// fleet is what the demo imports. Everybody in it is made up; generate_test.go makes it.
//
//go:embed fleet.csv
var fleet []byte

// importFleet loads the fleet, and switches automatic resuming off where that is wanted, before the first tick.
func (s *story) importFleet(ctx context.Context) error {
	bar := s.bar("import", "prospects", int64(bytes.Count(fleet, []byte("\n"))-1))
	result, err := importer.Import(ctx, s.db.Pool(), bytes.NewReader(fleet), importer.Options{
		Progress: func(rows, _ int64) { _ = bar.Set64(rows) },
	})
	if err != nil {
		return err
	}
	s.say("Fleet: %d prospects of %d campaigns on %d accounts of %d workspaces, imported in %.1f s.",
		result.Enrollments, result.Campaigns, result.Accounts, result.Workspaces, result.Seconds)

	note := "asked by their lawyer, until the audit is over"
	err = s.db.SetAutoResume(ctx, dbsqlc.SetAutoResumeParams{WorkspaceKey: optedOutWorkspace, Enabled: false, Reason: &note, Actor: "cli:demo"})
	if err != nil {
		return err
	}
	s.say("thaw auto-resume off %s --reason %q", optedOutWorkspace, note)
	return nil
}
