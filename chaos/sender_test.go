package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/jobs"
)

// A sender is a process that calls the provider, behind a relay to Postgres. One that claims is the
// program of examples/sender-go. One that is called, or uses only the gate, is this test program
// (calledSender, gatedSender).
type sender struct {
	*process
	relay *relay
}

// startSender starts a sender in place of the last one of this relay.
func (x *sending) startSender(r *relay) *sender {
	x.Helper()
	var cmd *exec.Cmd
	o := &output{started: make(chan struct{})}
	switch x.way {
	case byCall:
		cmd = exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), calledSenderEnv+"="+platformSecret)
		o.listens = true
	case byGate:
		cmd = exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), gatedSenderEnv+"=1")
	case byClaim:
		program, err := senderProgram()
		require.NoError(x, err)
		cmd = exec.Command(program)
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "DATABASE_URL="+r.url, "PROVIDER_URL="+x.provider.url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := x.run(cmd, o)
	if x.way == byCall {
		p.listening()
	}
	return &sender{process: p, relay: r}
}

// balancer starts the platform's load balancer: it passes each message to one of the senders.
func (x *sending) balancer(s *scenario) (url string) {
	s.Helper()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(x.anySender()) },
		// A sender that was just killed: Thaw sends the message again.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	return s.listen(proxy)
}

// anySender returns the address of a sender that is probably alive.
func (x *sending) anySender() *url.URL {
	x.among.Lock()
	defer x.among.Unlock()
	if len(x.senders) == 0 {
		return &url.URL{Scheme: "http", Host: "127.0.0.1:1"} // while the first one starts
	}
	address, err := url.Parse(x.senders[x.rand.IntN(len(x.senders))].base)
	require.NoError(x, err)
	return address
}

// senderProgram returns the path of the example, which is built once per run.
var senderProgram = built("github.com/thawline/thaw/examples/sender-go")

// calledSenderEnv is set, to the secret of the webhooks, if this program is to be a called sender.
const calledSenderEnv = "THAW_CHAOS_CALLED_SENDER"

// calledSender receives action.due, starts the action, calls the provider and settles the action.
// It runs until it is killed.
func calledSender() error {
	db, err := pgxpool.New(context.Background(), os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	verifier, err := standardwebhooks.NewWebhook(os.Getenv(calledSenderEnv))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "{\"msg\": \"serving\", \"url\": \"http://%s\"}\n", listener.Addr())
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		var message struct {
			Type string
			Data due
		}
		if err == nil {
			err = json.Unmarshal(body, &message)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		// The reservation is in the database: if this process dies, its lease ends.
		w.WriteHeader(http.StatusNoContent)
		if message.Type == "action.due" {
			go func() { slog.Info(message.Data.do(db), "action", message.Data.Reservation) }()
		}
	}))
}

// gatedSenderEnv is set if this program is to be a sender of a platform with its own scheduler.
const gatedSenderEnv = "THAW_CHAOS_GATED_SENDER"

// gatedSender asks for a reservation of each prospect that is due by the platform's own records,
// and does what it gets. It runs until it is killed.
func gatedSender() error {
	ctx := context.Background()
	db, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	type next struct {
		Enrollment int64
		due
	}
	for ; ; <-time.After(100 * time.Millisecond) {
		var all []next
		if _, err := insist(func() error {
			rows, err := db.Query(ctx, `
				SELECT e.id AS enrollment, s.kind, a.provider_account_id AS account, e.prospect_url
				FROM thaw.enrollments AS e
				JOIN thaw.accounts AS a ON a.id = e.account_id
				JOIN thaw.campaign_steps AS s ON s.campaign_id = e.campaign_id AND s.position = e.step
				WHERE e.status = 'active' AND e.next_action_at <= thaw.now()
				ORDER BY random()`)
			if err != nil {
				return err
			}
			all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n next, err error) {
				return n, row.Scan(&n.Enrollment, &n.Kind, &n.Account, &n.ProspectURL)
			})
			return err
		}); err != nil {
			return err
		}
		for _, n := range all {
			var reserved jobs.Reservation
			_, err := insist(func() error {
				return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
					reserved, err = jobs.Reserve(ctx, tx, n.Enrollment, jobs.ReserveOptions{Kind: n.Kind, Actor: "gated"})
					return err
				})
			})
			switch {
			case err != nil:
				slog.Error("not reserved", "enrollment", n.Enrollment, "error", err)
			case reserved.Code == "":
				n.Reservation = reserved.ID
				go func() { slog.Info(n.do(db), "action", n.Reservation) }()
			default:
				// Refused. If this reservation was made and its answer was lost, it ends with its lease.
			}
		}
	}
}

// A due action, as the webhook has it.
type due struct {
	Reservation int64
	Kind        string
	Account     string
	ProspectURL string `json:"prospect_url"`
}

// do returns what came of the action. It waits for a database that is away.
func (d due) do(db *pgxpool.Pool) (what string) {
	var start jobs.Reservation
	lost, err := insist(func() (err error) {
		return pgx.BeginFunc(context.Background(), db, func(tx pgx.Tx) error {
			start, err = jobs.Start(context.Background(), tx, d.Reservation)
			return err
		})
	})
	outcome := jobs.Settlement{Outcome: jobs.OutcomeUnknown, ErrorCode: "start_lost"}
	switch {
	case err != nil:
		return err.Error()
	case lost && start.Code == jobs.CodeAlreadyStarted:
		// The first attempt was committed, and its answer was lost: see jobs.Start.
	case start.Code != "":
		return "not started: " + string(start.Code)
	default:
		outcome = d.call()
	}
	var state jobs.ActionState
	_, err = insist(func() (err error) {
		return pgx.BeginFunc(context.Background(), db, func(tx pgx.Tx) error {
			state, err = jobs.Settle(context.Background(), tx, d.Reservation, outcome)
			return err
		})
	})
	if err != nil {
		return err.Error()
	}
	return string(state)
}

// insist repeats a transaction until the database runs or rejects it. lost is true if an answer was
// lost.
func insist(do func() error) (lost bool, err error) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		if err = do(); !isAway(err) {
			return lost, err
		}
		lost = true
	}
	return lost, err
}

func (d due) call() jobs.Settlement {
	route, to := "/api/v1/chats", path.Base(d.ProspectURL)
	body := map[string]any{"account_id": d.Account, "attendees_ids": []string{to}}
	if d.Kind == "invite" {
		route, body = "/api/v1/users/invite", map[string]any{"account_id": d.Account, "provider_id": to}
	}
	content, _ := json.Marshal(body)
	response, err := http.Post(os.Getenv("PROVIDER_URL")+route, "application/json", bytes.NewReader(content))
	if err != nil {
		return jobs.Settlement{Outcome: jobs.OutcomeUnknown, ErrorCode: "no_answer"}
	}
	defer response.Body.Close()
	var answer struct {
		Invitation string `json:"invitation_id"`
		Message    string `json:"message_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusCreated {
		return jobs.Settlement{Outcome: jobs.OutcomeUnknown, ErrorCode: fmt.Sprint("status_", response.StatusCode)}
	}
	return jobs.Settlement{Outcome: jobs.OutcomeSent, ProviderRef: answer.Invitation + answer.Message}
}
