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
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

// Both senders, run as their READMEs say, reach every account's first prospect and write to those
// who were invited. By the log of the simulator, nothing is delivered twice, and Thaw's
// ledger has each request with what came of it.
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
			_, port, err := net.SplitHostPort(webhooks)
			require.NoError(t, err)
			start(t, folder, append(os.Environ(), "PATH="+filepath.Dir(build(t))+string(os.PathListSeparator)+os.Getenv("PATH"),
				"DATABASE_URL="+db.Direct, "THAW_ADDR="+freeAddress(t), "PROVIDER_ADDR="+provider, "PORT="+port), string(command[1]))

			require.Eventually(t, func() bool {
				counts := map[string]int{}
				for _, r := range logOf(provider) {
					counts[r.Kind]++
				}
				return counts["invite"] >= 10 && counts["message"] >= 6
			}, 2*time.Minute, 100*time.Millisecond, "waiting for the first invite and message of the accounts")
			// The senders go on, so both are read until they agree.
			require.Eventually(t, func() bool {
				want, got := map[string]int{}, map[string]int{}
				for _, r := range logOf(provider) {
					want[stateOf(t, r)]++
				}
				for _, state := range testdb.Column[string](t, db, "SELECT state FROM thaw.actions WHERE started_at IS NOT NULL") {
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
		})
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
