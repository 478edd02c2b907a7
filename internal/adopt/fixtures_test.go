package adopt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answersOf are what a person replaces in the proposal for each fixture: pairs of a text and its
// replacement.
func answersOf(t *testing.T) (answers map[string][]string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "answers.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &answers))
	return answers
}

// answered returns the mapping of a fixture, with the answers.
func answered(t *testing.T, fixture string) *Mapping {
	t.Helper()
	proposal, err := os.ReadFile(filepath.Join("testdata", fixture+".yaml"))
	require.NoError(t, err)
	m, err := Parse(strings.NewReplacer(answersOf(t)[fixture]...).Replace(string(proposal)))
	require.NoError(t, err)
	return m
}

// TestFixturesArePlanned plans the mapping of each fixture, runs the plan, and changes a row of
// every table.
func TestFixturesArePlanned(t *testing.T) {
	t.Parallel()
	for fixture := range answersOf(t) {
		t.Run(fixture, func(t *testing.T) {
			t.Parallel()
			db := withFixture(t, fixture)
			m := answered(t, fixture)
			p, err := m.Prepare(t.Context(), db.Pool, "thaw")
			require.NoError(t, err)
			preview, err := m.Preview(t.Context(), db.Pool, p.Catalog)
			require.NoError(t, err)
			require.Len(t, preview.Tables, len(Kinds))
			for _, table := range preview.Tables {
				require.Positive(t, table.Rows, table.Table)
				require.Empty(t, table.Unreadable)
			}
			if fixture == "odd" { // here, only the state is changed
				db.Exec(t, "ALTER TABLE core.steps DROP CONSTRAINT held_has_time")
			}
			db.Exec(t, recording)
			db.Exec(t, p.Plan.SQL())
			for _, e := range m.Entities {
				if e.Status == nil {
					continue
				}
				word, ok := e.StatusWord("paused", "account_disconnected")
				if e.Kind == Accounts {
					word, ok = e.StatusWord("disconnected", "")
				}
				require.True(t, ok)
				db.Exec(t, "UPDATE "+qualified(e.Table)+" SET "+quote(e.Status.Column)+" = "+quoteText(word))
				require.NotEmpty(t, taken(t, db), e.Table)
			}
		})
	}
}
