package adopt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answers are what the proposal for each fixture could not guess: pairs of a text of the proposal
// and its replacement.
var answers = map[string][]string{
	"outreach": {`on_vacation: "?"`, "on_vacation: pending", `"?": account_disconnected`, "account_lost: account_disconnected"},
	"rails": {
		`"1": "?" # one of connecting`, `"1": connected # one of connecting`, `"2": "?" # one of connecting`, `"2": disconnected # one of connecting`,
		`"0": "?" # one of pending`, `"0": pending # one of pending`, `"1": "?" # one of pending`, `"1": active # one of pending`,
		`"2": "?" # one of pending`, `"2": paused # one of pending`, `"?": paused`, "paused: paused",
	},
	"django": {`"?": paused`, "paused: paused"},
	"prisma": nil,
}

// answered returns the mapping of a fixture, with the answers.
func answered(t *testing.T, fixture string) *Mapping {
	t.Helper()
	proposal, err := os.ReadFile(filepath.Join("testdata", fixture+".yaml"))
	require.NoError(t, err)
	m, err := Parse(strings.NewReplacer(answers[fixture]...).Replace(string(proposal)))
	require.NoError(t, err)
	return m
}

// TestFixturesArePlanned plans the mapping of each fixture, runs the plan, and changes a row of
// every table.
func TestFixturesArePlanned(t *testing.T) {
	t.Parallel()
	for fixture := range answers {
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
