package demo

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/testdb"
)

// A listener stores the output, and calls heard when the output contains waitsFor.
type listener struct {
	bytes.Buffer
	waitsFor string
	heard    context.CancelFunc
}

func (l *listener) Write(p []byte) (int, error) {
	defer func() {
		if strings.Contains(l.String(), l.waitsFor) {
			l.heard()
		}
	}()
	return l.Buffer.Write(p)
}

// The story checks its own steps. This test checks its output.
func TestStory(t *testing.T) {
	t.Parallel()
	testdb.RequireFull(t)
	// The port is in use.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()

	out := &listener{waitsFor: "TABLE thaw.history", heard: interrupt}
	err = Run(ctx, Options{Out: out, Addr: taken.Addr().String(), Logger: testdb.Logger(t)})
	told := out.String()
	t.Log(told)
	require.NoError(t, err, "Ctrl-C after the story is a normal exit")

	for _, line := range []string{
		`127\.0\.0\.1:\d+ is in use, so the demo takes a free port\.`,
		`Fleet: 6454 prospects in 20 campaigns on 32 accounts of 6 workspaces, imported in \d+\.\d s\.`,
		`thaw auto-resume off umbrella --reason ".+"`,
		`95 prospects were paused .+, 60 of them on an account`,
		`{"AccountStatus":{"account_id":"` + dana + `","account_type":"LINKEDIN","message":"CREDENTIALS"}}`,
		`180 prospects and campaign acme-founders were paused \d.* m?s after the message was sent\.`,
		`180 prospects and the campaign were resumed \d.* m?s after the message was sent\. No step changed\.`,
		`The platform adds a mailbox with 24 prospects to campaign acme-hiring, beside its LinkedIn accounts\.`,
		`{"type":"account\.status","timestamp":".+","data":{"provider":"email","account":"sales@acme\.example","status":"oauth_expired"}}`,
		`The 24 prospects of the mailbox were paused\. The campaign still runs: its LinkedIn accounts work\.`,
		`Mailbox Sales \(sales@acme\.example\) is disconnected because its sign-in has expired\. Sign in to it again\.`,
		`24 prospects were resumed \d.* m?s after the message was sent\.`,
		`The sweep of tick \d\d:\d\d:\d\d resumed 150 prospects and their campaign \d.* m?s later\.`,
		`140 prospects of the old account were moved to the new one and resumed \d.* m?s after OK was sent\.`,
		`4800 prospects are paused on the 4 accounts of initech\. The whole team logs in again:`,
		`heal 1 resumed \d+ prospects in \d.* m?s; 0 remaining\.`,
		`POST /api/v1/users/invite  .+-made-up-\d+  -> 201, \d.* m?s after it was due`,
		`thaw\.reserve\(\d+, 'invite'\)  -> already_invited: the same person gets no second invite, in any campaign\.`,
		`The provider received 5 invites to 5 prospects, the cap of the first week\. Then:`,
		`The daily cap of invites is used up \(5 of 5\)\. It opens at .+`,
		`thaw verify: \d+ checks, 0 violations\. .+`,
		`GET /readyz  -> 200`,
		`GET /        -> 200`,
		`GET /jobs/   -> 200`,
		`524 prospects must stay paused\. .+`,
		`All steps succeeded, in \d+ s\.`,
		`pages      http://127\.0\.0\.1:\d+/`,
		`explain    http://127\.0\.0\.1:\d+/prospects\?url=.+`,
		`jobs       http://127\.0\.0\.1:\d+/jobs/`,
	} {
		require.Regexp(t, `(?m)^ *`+line+`$`, told)
	}
	for code, count := range stillPaused {
		require.Regexp(t, fmt.Sprintf(`(?m)^ +%d  %s +(user|operator|billing)$`, count, code), told)
	}
	ticks := regexp.MustCompile(`(?m)^   tick .+ resumed \(up to \d+ per account, cap 200\), +\d+ remaining$`).FindAllString(told, -1)
	require.GreaterOrEqual(t, len(ticks), backlogTicks)
	require.NotContains(t, told, "\x1b", "no escape codes without a terminal")
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	moments := []string{"3. "}
	if testdb.Full() {
		moments = append(moments, "Thaw demo", "migrations")
	}
	for _, moment := range moments {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			out := &listener{waitsFor: moment, heard: interrupt}
			err := Run(ctx, Options{Out: out, Addr: "127.0.0.1:0", Once: true, Logger: testdb.Logger(t)})
			require.Equal(t, context.Canceled, err)
			require.NotContains(t, out.String(), "4. ")
		})
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	n := narrator{out: &out, terminal: true}
	n.chapter("An account disconnects")
	bar := n.bar("heal 1", "prospects", 2400)
	require.NoError(t, bar.Set(2000))
	require.NoError(t, bar.Finish())
	require.Contains(t, out.String(), "\x1b[1m1. An account disconnects\x1b[0m\n")
	require.Contains(t, out.String(), "heal 1 100% |"+strings.Repeat("█", 40)+"| (2400/2400")
}

func TestAddressMustBeLoopback(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), Options{Addr: ":8080"})
	require.ErrorContains(t, err, "--addr=:8080 is reachable from other hosts")
}

// On an empty database every step fails.
func TestFailedStepIsAnError(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	s := &story{narrator: narrator{out: t.Output()}, db: store.New(db.Pool)}
	ctx := t.Context()

	require.NoError(t, s.expect(ctx, 2, "workspaces", "SELECT 2"))
	require.EqualError(t, s.expect(ctx, 2, "workspaces", "SELECT 3"), "expected 2 workspaces, got 3")
	require.ErrorContains(t, s.explainPaused(ctx), "expected ")
	require.ErrorContains(t, s.heal(ctx), "initech")

	db.Exec(t, `
		INSERT INTO thaw.workspaces (key) VALUES ('initech');
		INSERT INTO thaw.heals (workspace_id, target, cap, resumed, actor) SELECT id, 'x', 10, 5, 'unknown' FROM thaw.workspaces`)
	require.ErrorContains(t, s.verify(ctx), "expected no violation of heals_match_events, got 1")
}
