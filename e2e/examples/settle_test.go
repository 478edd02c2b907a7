package examples_test

import (
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/providersim"
	"github.com/thawline/thaw/internal/testdb"
)

// A sender that is stopped during its calls settles each of them before it ends, also if a proxy
// before Thaw rejects the first reports (Node), or the database connections are silent (Go). Before
// that, it tries again when the provider says so, and it does not drop a reservation that is kept.
func TestSendersSettleEachCall(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sender-node", "sender-go"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			provider := newProvider(t)
			require.NoError(t, provider.sim.Fault(providersim.Requested{Fault: "too_many_requests", Account: "acc_2"}))
			program, thaw, webhooks := build(t, "./cmd/thaw"), freeAddress(t), freeAddress(t)
			secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of at least 24 bytes"))
			environment := append(os.Environ(), "DATABASE_URL="+db.Direct, "THAW_ADDR="+thaw, "PROVIDER_URL="+provider.url,
				"THAW_ACTION_GAP_FROM=1s", "THAW_ACTION_GAP_TO=2s")
			run := func(folder, name string, args ...string) string {
				command := exec.CommandContext(t.Context(), name, args...)
				command.Dir, command.Env = folder, environment
				out, err := command.Output()
				require.NoError(t, err, "%s", out)
				return strings.TrimSpace(string(out))
			}
			run("", program, "migrate", "up")
			fleet, err := os.ReadFile("../../examples/sender-node/fleet.sql")
			require.NoError(t, err)
			db.Exec(t, string(fleet))
			// Between the first reservation of account 3 and its start, another action begins.
			db.Exec(t, `
				CREATE FUNCTION begin_another() RETURNS trigger LANGUAGE plpgsql AS $$
				BEGIN
					UPDATE thaw.senders SET last_started_at = clock_timestamp() + interval '2 seconds'
					WHERE id = NEW.sender_id AND NOT EXISTS (SELECT FROM thaw.actions AS a WHERE a.account_id = 3 AND a.id < NEW.id);
					RETURN NULL;
				END;
				$$;
				CREATE CONSTRAINT TRIGGER begin_another AFTER INSERT ON thaw.actions DEFERRABLE INITIALLY DEFERRED
				FOR EACH ROW WHEN (NEW.account_id = 3) EXECUTE FUNCTION begin_another()`)

			var sender *running
			silence := func() {}
			if name == "sender-node" {
				environment = append(environment, "THAW_WEBHOOK_SECRET="+secret)
				folder := checkout(t, name)
				run(folder, "npm", "ci", "--silent")
				_, listens, err := net.SplitHostPort(webhooks)
				require.NoError(t, err)
				sender = start(t, folder, append(environment, "THAW_URL="+rejecting(t, "http://"+thaw), "PORT="+listens,
					"THAW_TOKEN="+run("", program, "token", "create", "--fleet", "--send", "--name", "the sender")), "exec node sender.js")
				requireReceives(t, webhooks, secret)
				environment = append(environment, "THAW_PUSH_ACTIONS=true", "THAW_WEBHOOK_URL=http://"+webhooks+"/", "THAW_WEBHOOK_ALLOW_PRIVATE=true")
			} else {
				r := newRelay(t, db.Pool.Config().ConnConfig.Config)
				silence = r.silence
				sender = start(t, "", append(environment, "DATABASE_URL="+r.url), "exec "+build(t, "./examples/sender-go"))
			}
			start(t, "", environment, "exec "+program+" serve")

			require.Eventually(t, func() bool {
				return testdb.Value[bool](t, db, `
					SELECT count(*) = 1 FROM thaw.actions AS a JOIN thaw.enrollments AS e ON e.id = a.enrollment_id
					WHERE a.account_id = 2 AND a.outcome = 'throttled' AND e.next_action_at < a.settled_at + interval '2 minutes'`)
			}, 2*time.Minute, 50*time.Millisecond, "it is tried again when the provider says so")
			require.Eventually(t, func() bool {
				return testdb.Value[bool](t, db, `
					SELECT count(*) = 1 FROM thaw.enrollments AS e
					WHERE e.step = 1 AND e.id = (SELECT a.enrollment_id FROM thaw.actions AS a WHERE a.account_id = 3 ORDER BY a.id LIMIT 1)`)
			}, 2*time.Minute, 50*time.Millisecond, "the first prospect of account 3 is reached after the gap, not after the lease")

			provider.holds.Store(true)
			db.Exec(t, `
				INSERT INTO thaw.enrollments (workspace_id, campaign_id, account_id, prospect_url, status, next_action_at)
				SELECT 1, 1, account, 'https://www.linkedin.com/in/late-' || account, 'active', now() FROM generate_series(1, 10) AS account`)
			require.Eventually(t, func() bool {
				held := provider.held.Load()
				return held > 0 && held == testdb.Value[int32](t, db, `
					SELECT CASE WHEN bool_or(state = 'reserved') THEN -1 ELSE count(*) FILTER (WHERE state = 'started') END FROM thaw.actions`)
			}, 2*time.Minute, 10*time.Millisecond, "calls are under way, and nothing else")
			require.NoError(t, sender.Process.Signal(syscall.SIGTERM))
			require.Eventually(t, func() bool { return strings.Contains(sender.out(), "the sender stops") }, time.Minute, 10*time.Millisecond)
			silence()
			provider.release()
			select {
			case <-sender.ended:
			case <-time.After(3 * time.Minute):
				require.Fail(t, "the sender does not end")
			}
			require.True(t, sender.ProcessState.Success(), sender.ProcessState)

			want := map[string]int{}
			for _, entry := range provider.sim.Log(0) {
				want[map[bool]string{true: "sent sent", false: "released throttled"}[entry.Code == ""]]++
			}
			got := map[string]int{}
			for _, state := range testdb.Column[string](t, db, "SELECT state || ' ' || coalesce(outcome::text, '') FROM thaw.actions WHERE started_at IS NOT NULL") {
				got[state]++
			}
			require.Equal(t, want, got, "the ledger has what came of each request")
			if name == "sender-go" {
				require.Zero(t, testdb.Value[int](t, db, "SELECT count(*) FROM thaw.actions WHERE state = 'reserved'"), "what is not started is released")
			}
		})
	}
}

// A provider is the simulator, which may hold its answers.
type provider struct {
	sim     *providersim.Server
	url     string
	holds   atomic.Bool
	held    atomic.Int32
	release func()
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	released := make(chan struct{})
	p := &provider{sim: providersim.New(providersim.Config{Logger: testdb.Logger(t)}), release: sync.OnceFunc(func() { close(released) })}
	t.Cleanup(p.sim.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		p.sim.ServeHTTP(answer, r)
		if p.holds.Load() {
			p.held.Add(1)
			<-released
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	t.Cleanup(p.release)
	p.url = server.URL
	return p
}

// rejecting returns the URL of a proxy in front of Thaw that rejects the first reports.
func rejecting(t *testing.T, thaw string) string {
	t.Helper()
	to, err := url.Parse(thaw)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	statuses := []int{http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}
	var reports atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/settle") {
			if n := int(reports.Add(1)); n <= len(statuses) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(statuses[n-1])
				_, _ = io.WriteString(w, `{"message": "not by Thaw"}`)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// requireReceives requires that a receiver of webhooks goes on after a message that breaks off, and
// accepts one whose second part begins within a letter.
func requireReceives(t *testing.T, address, secret string) {
	t.Helper()
	require.Eventually(t, func() bool {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		defer connection.Close()
		_, err = io.WriteString(connection, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
		return err == nil
	}, time.Minute, 50*time.Millisecond)

	webhook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	body := `{"type": "test", "data": {"name": "Jörg"}}`
	at, now := strings.Index(body, "ö")+1, time.Now()
	signature, err := webhook.Sign("msg_1", now, []byte(body))
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/",
		io.MultiReader(strings.NewReader(body[:at]), strings.NewReader(body[at:]))) // each is an HTTP chunk
	require.NoError(t, err)
	request.Header.Set("webhook-id", "msg_1")
	request.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	request.Header.Set("webhook-signature", signature)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusNoContent, response.StatusCode)
}

// A relay passes on connections to a database. Those that exist when it falls silent stay open, and
// nothing passes through them any more.
type relay struct {
	url     string
	current atomic.Pointer[atomic.Bool]
}

func newRelay(t *testing.T, to pgconn.Config) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	from := url.URL{Scheme: "postgres", User: url.UserPassword(to.User, to.Password), Host: listener.Addr().String(), Path: "/" + to.Database, RawQuery: "sslmode=disable"}
	r := &relay{url: from.String()}
	r.current.Store(&atomic.Bool{})
	network, address := pgconn.NetworkAddress(to.Host, to.Port)
	go func() {
		for {
			client, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			server, err := net.Dial(network, address)
			if err != nil {
				_ = client.Close()
				continue
			}
			silent := r.current.Load()
			go pass(server, client, silent)
			go pass(client, server, silent)
		}
	}()
	return r
}

// silence stops what passes through the connections that exist.
func (r *relay) silence() { r.current.Swap(&atomic.Bool{}).Store(true) }

func pass(to, from net.Conn, silent *atomic.Bool) {
	defer to.Close()
	buffer := make([]byte, 32*1024)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if silent.Load() {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
