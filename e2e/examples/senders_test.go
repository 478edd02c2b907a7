package examples_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Both senders, run as their READMEs say, reach every account's first prospect and write to those
// who were invited. By the log of the simulator, nothing is delivered twice, and Thaw's
// ledger has each request, as what it was, with what came of it. They release what they cannot do,
// and stop without losing an account when the provider rejects their API key.
func TestSenders(t *testing.T) {
	t.Parallel()
	nodeReadme, err := os.ReadFile("../../examples/sender-node/README.md")
	require.NoError(t, err)
	for _, name := range []string{"sender-node", "sender-go"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			folder, err := filepath.Abs(filepath.Join("../../examples", name))
			require.NoError(t, err)
			if name == "sender-node" {
				folder = checkout(t, name) // npm installs into it
			}
			readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
			require.NoError(t, err)
			command := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(readme)
			require.NotNil(t, command)
			provider, webhooks := freeAddress(t), freeAddress(t)
			_, listens, err := net.SplitHostPort(webhooks)
			require.NoError(t, err)
			sender := start(t, folder, append(os.Environ(), "PATH="+filepath.Dir(build(t, "./cmd/thaw"))+string(os.PathListSeparator)+os.Getenv("PATH"),
				"DATABASE_URL="+db.Direct, "THAW_ADDR="+freeAddress(t), "PROVIDER_ADDR="+provider, "PORT="+listens), string(command[1]))

			require.Eventually(t, func() bool {
				counts := map[string]int{}
				for _, r := range logOf(provider) {
					counts[r.Kind]++
				}
				return counts["view"] >= 20 && counts["invite"] >= 8 && counts["message"] >= 4
			}, 2*time.Minute, 100*time.Millisecond, "waiting for the first view, invite and message of the accounts")
			// The senders go on, so both are read until they agree.
			require.Eventually(t, func() bool {
				want, got := map[string]int{}, map[string]int{}
				for _, r := range logOf(provider) {
					want[r.Kind+" "+stateOf(t, r)]++
				}
				for _, state := range testdb.Column[string](t, db, "SELECT kind || ' ' || state FROM thaw.actions WHERE started_at IS NOT NULL") {
					got[state]++
				}
				return maps.Equal(want, got)
			}, time.Minute, 100*time.Millisecond, "the states of the ledger, from the simulator's log")

			type pair struct{ Account, Kind, To string }
			delivered := map[pair]int{}
			for _, r := range logOf(provider) {
				if r.Delivered {
					delivered[pair{r.Account, r.Kind, r.To}]++
				}
			}
			for p, n := range delivered {
				require.Equal(t, 1, n, "%v was delivered more than once", p)
			}

			db.Exec(t, `
				INSERT INTO thaw.campaigns (workspace_id, key, name, status) VALUES (1, 'letters', 'Letters', 'running');
				SELECT thaw.set_campaign_steps('acme', 'letters', '[{"kind": "email"}]');
				INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
				VALUES (1, 2, 2, 'https://www.linkedin.com/in/reader', 'active', now())`)
			require.Eventually(t, func() bool {
				return testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions WHERE kind = 'email' AND state = 'released' AND outcome = 'released'") > 0
			}, time.Minute, 50*time.Millisecond, "the e-mail, which the sender cannot send, is released")
			require.False(t, slices.ContainsFunc(logOf(provider), func(r requested) bool { return r.To == "reader" }))

			// The commands of the README lose an account and connect it again, through the webhook of
			// the provider.
			accounts := regexp.MustCompile(`curl -d '(.*)' http://127\.0\.0\.1:8090(/accounts/\S+)`).FindAllSubmatch(nodeReadme, -1)
			require.Len(t, accounts, 2)
			for i, want := range []string{"disconnected", "connected"} {
				response, err := http.Post("http://"+provider+string(accounts[i][2]), "application/x-www-form-urlencoded", bytes.NewReader(accounts[i][1]))
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.Eventually(t, func() bool {
					return testdb.Value[string](t, db, "SELECT status::text FROM thaw.accounts WHERE provider_account_id = 'acc_1'") == want
				}, time.Minute, 50*time.Millisecond, "the account is %s", want)
			}

			key := regexp.MustCompile(`curl -d '(.*)' http://127\.0\.0\.1:8090/faults`).FindSubmatch(nodeReadme)
			require.NotNil(t, key)
			response, err := http.Post("http://"+provider+"/faults", "application/x-www-form-urlencoded", bytes.NewReader(key[1]))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			db.Exec(t, `
				INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
				SELECT 1, 1, account, format('https://www.linkedin.com/in/late-%s/?of=example', account), 'active', now() FROM generate_series(1, 10) AS account`)
			select {
			case <-sender.ended:
			case <-time.After(time.Minute):
				require.Fail(t, "the sender goes on although the provider rejects its API key")
			}
			require.Contains(t, sender.out(), "the provider rejects our API key: 401 missing_credentials")
			require.Equal(t, []string{"released throttled"}, testdb.Column[string](t, db,
				"SELECT DISTINCT state || ' ' || outcome FROM thaw.actions WHERE error_code = 'missing_credentials'"))
			require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.accounts WHERE status <> 'connected'"))
			require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions WHERE state = 'started'"))
		})
	}
}

// In a clone of the repository, the one command of the README needs no thaw and no database.
func TestSenderStartsWithOneCommand(t *testing.T) {
	t.Parallel()
	provider := freeAddress(t)
	environment := slices.DeleteFunc(os.Environ(), func(of string) bool { return strings.HasPrefix(of, "DATABASE_URL=") })
	sender := start(t, "../../examples/sender-go", append(environment, "THAW_ADDR="+freeAddress(t), "PROVIDER_ADDR="+provider), "exec ./run.sh")
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(logOf(provider), func(r requested) bool { return r.Delivered })
	}, 3*time.Minute, 100*time.Millisecond, "waiting for the first delivery")
	require.NoError(t, sender.Process.Signal(syscall.SIGTERM))
	select {
	case <-sender.ended:
	case <-time.After(time.Minute):
		require.Fail(t, "the example does not end")
	}
}

// A requested is a line of the simulator's log.
type requested struct {
	Account   string `json:"account_id"`
	Kind      string `json:"kind"`
	To        string `json:"to"`
	Fault     string `json:"fault"`
	Status    int    `json:"status"`
	Delivered bool   `json:"delivered"`
}

// stateOf returns the state that an action must have after this request.
func stateOf(t *testing.T, r requested) string {
	t.Helper()
	switch r.Fault {
	case "":
		require.Equal(t, http.StatusCreated, r.Status)
		return "sent"
	case "reset":
		return "unknown"
	case "invalid_recipient":
		return "refused"
	default:
		require.Equal(t, "limit_as_500", r.Fault)
		return "released"
	}
}

// logOf returns the simulator's log, or nothing if it does not run yet.
func logOf(address string) (lines []requested) {
	response, err := http.Get("http://" + address + "/log")
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	from := json.NewDecoder(response.Body)
	for {
		var line requested
		if err := from.Decode(&line); errors.Is(err, io.EOF) {
			return lines
		} else if err != nil {
			return nil
		}
		lines = append(lines, line)
	}
}
