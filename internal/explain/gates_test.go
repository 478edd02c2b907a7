package explain

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every code that the SQL function returns has a sentence of its own, an actor and, if it opens at
// a time, that time.
func TestEveryGateIsExplained(t *testing.T) {
	t.Parallel()
	opensByTime := []GateCode{
		GateAccountOnHold, GateAccountFlapping, GateNotDue, GateKindOnHold, GateWindowClosed, GateCooldown, GateDailyCap, GateWeeklyCap, GateCampaignCap,
		GateInviteWithdrawn,
	}
	seen := map[string]GateCode{}
	for _, code := range GateCodes {
		facts := GateFacts{Code: code, Kind: "invite", Account: "account acc_1", Campaign: "spring", Used: 30, Cap: 30}
		timeless := BecauseOfGate(facts)
		facts.OpensAt = &later
		gate := BecauseOfGate(facts)
		assert.Equal(t, code, gate.Code)
		assert.NotEmpty(t, gate.Brief, code)
		assert.Contains(t, Actors, gate.WhoActs, code)
		assert.Equal(t, &later, gate.OpensAt, code)
		assert.True(t, strings.HasSuffix(gate.Sentence, "."), gate.Sentence)
		assert.NotContains(t, gate.Sentence, string(code), "%s has no sentence of its own", code)
		assert.Equal(t, slices.Contains(opensByTime, code), gate.Sentence != timeless.Sentence, code)
		if slices.Contains(opensByTime, code) {
			assert.Contains(t, gate.Sentence, " at 2026-05-01T09:15Z.", code)
			assert.False(t, strings.Contains(gate.Sentence, "nvites of") && strings.Contains(gate.Sentence, " It "), "%s: it stands for invites", gate.Sentence)
		}
		assert.Empty(t, seen[gate.Sentence], code)
		seen[gate.Sentence] = code
	}
}

func TestGateSentences(t *testing.T) {
	t.Parallel()
	facts := GateFacts{Kind: "view", Account: "account acc_1"}
	require.Equal(t, Gate{Sentence: "Nothing holds the next profile view.", WhoActs: None}, BecauseOfGate(facts))
	facts.Code, facts.Used, facts.Cap, facts.OpensAt = GateDailyCap, 30, 30, &later
	require.Equal(t, Gate{
		Code: GateDailyCap, Brief: "daily cap (30 of 30)", WhoActs: None, OpensAt: &later,
		Sentence: "The daily cap of profile views is used up (30 of 30). It opens at 2026-05-01T09:15Z.",
	}, BecauseOfGate(facts))
	require.Equal(t, "Profile views of account acc_1 are held elsewhere, for the same person; other kinds go on. The hold ends at 2026-05-01T09:15Z.",
		BecauseOfGate(GateFacts{Code: GateKindOnHold, Kind: "view", Account: "account acc_1", OpensAt: &later, IsHeldElsewhere: true}).Sentence)
	newer := BecauseOfGate(GateFacts{Code: "moon", Kind: "poke"})
	require.Equal(t, "The next poke action is held: moon. See the documentation of this code.", newer.Sentence)
}

// The list of codes is that of the SQL functions, in the same order.
func TestGateCodesAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	migration, err := os.ReadFile("../../schema/migrations/00044_gates.sql")
	require.NoError(t, err)
	list := between(t, string(migration), "The first closed gate is the answer", "-- opens_at is when the gate opens")
	var documented []GateCode
	for _, code := range regexp.MustCompile(`\b[a-z]+(?:_[a-z]+)+\b|\bcooldown\b`).FindAllString(list, -1) {
		if code != "block_reason" {
			documented = append(documented, GateCode(code))
		}
	}
	require.Equal(t, GateCodes, documented, "the comment")

	snapshot, err := os.ReadFile("../../schema/schema.sql")
	require.NoError(t, err)
	var returned []GateCode
	for _, function := range []string{"block_reason", "kind_gates", "action_gates"} {
		body := between(t, string(snapshot), "CREATE FUNCTION thaw."+function+"(", "\nCREATE FUNCTION ")
		for _, found := range regexp.MustCompile(`(?:THEN|ELSE) '([a-z_]+)'`).FindAllStringSubmatch(body, -1) {
			returned = append(returned, GateCode(found[1]))
		}
	}
	slices.Sort(returned)
	// Auto-resume is about resuming alone. The other is no gate, but the cause of a hold.
	returned = slices.DeleteFunc(slices.Compact(returned), func(c GateCode) bool { return c == "auto_resume_off" || c == HeldElsewhere })
	require.ElementsMatch(t, GateCodes, returned, "the functions")
}

// between returns the text between two others.
func between(t *testing.T, text, from, to string) string {
	t.Helper()
	_, text, isFound := strings.Cut(text, from)
	require.True(t, isFound, from)
	text, _, isFound = strings.Cut(text, to)
	require.True(t, isFound, to)
	return text
}
