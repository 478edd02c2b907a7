package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/readmodel"
)

// A hold has its reason, or is held elsewhere: in another workspace, of which nothing is shown.
func TestLimitsShowHolds(t *testing.T) {
	t.Parallel()
	until, reason, code, elsewhere := time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC), "asked by phone", "person", explain.HeldElsewhere
	var text strings.Builder
	printSending(&output{Writer: &text}, readmodel.AccountSending{Account: "acc_jane", Kinds: []readmodel.KindSending{
		{Kind: "view", HeldUntil: &until, HeldCode: &code, HeldReason: &reason},
		{Kind: "invite", HeldUntil: &until, HeldCode: &elsewhere},
		{Kind: "message"},
	}})
	require.Regexp(t, `(?m)^view on hold until Fri 2026-05-01.*: asked by phone$`, text.String())
	require.Regexp(t, `(?m)^invite on hold until Fri 2026-05-01.*: held elsewhere$`, text.String())
	require.NotContains(t, text.String(), "message on hold")
}
