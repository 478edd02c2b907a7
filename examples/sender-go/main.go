// Command sender-go is a sender that claims due actions from Thaw, calls the provider, and reports
// what came of each call. It decides nothing: caps, windows and gaps are Thaw's.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/jobs"
)

// client uses a connection once: if one breaks that was used before, net/http repeats a GET.
var client, api = http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}, os.Getenv("PROVIDER_URL") + "/api/v1/"

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { slog.Info("the sender stops: it settles what is under way") })
	if err := run(ctx); !errors.Is(err, context.Canceled) {
		slog.Error("the sender stops", "error", err)
		os.Exit(1)
	}
}

// run claims actions until there are none, and then waits for a notification of Thaw, or a minute.
func run(ctx context.Context) error {
	db, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer db.Close()
	listener, err := db.Acquire(ctx)
	if err != nil {
		return err
	}
	defer listener.Release()
	for _, err = listener.Exec(ctx, "LISTEN thaw_actions"); ctx.Err() == nil && (err == nil || errors.Is(err, context.DeadlineExceeded)); {
		claimed, lost := transact(ctx, db, jobs.Claim, jobs.ClaimOptions{Limit: 20, Actor: "sender-go"})
		calls, calling := errgroup.WithContext(ctx)
		for _, action := range claimed {
			calls.Go(func() error { return send(calling, db, action) })
		}
		if err = errors.Join(lost, calls.Wait()); err == nil && len(claimed) == 0 {
			waiting, cancel := context.WithTimeout(ctx, time.Minute)
			_, err = listener.Conn().WaitForNotification(waiting)
			cancel()
		}
	}
	return cmp.Or(ctx.Err(), err)
}

// send does an action, or releases it if it cannot or the sender stops. An error stops the sender.
func send(ctx context.Context, db *pgxpool.Pool, action jobs.Claimed) (stop error) {
	outcome, start := jobs.Settlement{Outcome: jobs.OutcomeReleased}, jobs.Reservation{} // released after a cooldown, too: it is due again
	request, err := requestOf(action)
	if err = cmp.Or(err, ctx.Err()); err == nil {
		if start, err = transact(ctx, db, jobs.Start, action.ID); err == nil && start.Code == "" {
			outcome, stop = call(request)
		}
	}
	settle := func(ctx context.Context, tx pgx.Tx, s jobs.Settlement) (jobs.ActionState, error) {
		return jobs.Settle(ctx, tx, action.ID, s)
	}
	for ; ; <-time.After(time.Second) { // until there is an answer
		state, failed := transact(ctx, db, settle, outcome)
		slog.Info("settle", "action", action.ID, "kind", action.Kind, "account", action.Account, "state", state,
			"code", cmp.Or(outcome.ErrorCode, string(start.Code)), "error", errors.Join(err, failed))
		if failed == nil || errors.Is(failed, jobs.ErrConflict) || errors.Is(failed, jobs.ErrInvalid) || errors.Is(failed, jobs.ErrNotFound) {
			return stop
		}
	}
}

// transact is not broken off by a signal, but after 15 seconds if the database does not answer.
func transact[With, R any](ctx context.Context, db *pgxpool.Pool, do func(context.Context, pgx.Tx, With) (R, error), with With) (result R, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) { result, err = do(ctx, tx, with); return err })
	return result, err
}

// requestOf returns the request of an action, or an error if this sender cannot do its kind.
func requestOf(action jobs.Claimed) (*http.Request, error) {
	to, route, body := path.Base(strings.Split(action.ProspectURL, "?")[0]), "chats", map[string]any{"account_id": action.Account}
	switch action.Kind {
	case "view":
		return http.NewRequest(http.MethodGet, api+"users/"+url.PathEscape(to)+"?account_id="+url.QueryEscape(action.Account), nil) //nolint:noctx
	case "invite":
		route, body["provider_id"] = "users/invite", to
	case "message", "inmail":
		body["attendees_ids"], body["text"], body["inmail"] = []string{to}, "Hello!", action.Kind == "inmail"
	default:
		return nil, errors.New("this sender cannot do the kind")
	}
	content, _ := json.Marshal(body)
	return http.NewRequest(http.MethodPost, api+route, strings.NewReader(string(content))) //nolint:noctx
}

// outcomes of codes, which count more than the status: a limit comes as 422, 429 or 500. A 401 with
// another code was certainly not delivered, and does not say that the account is lost.
var outcomes = map[string]jobs.ActionOutcome{
	"already_invited_recently": jobs.OutcomeAlready, "already_connected": jobs.OutcomeAlready, "account_restricted": jobs.OutcomeRestricted,
	"limit_exceeded": jobs.OutcomeLimited, "cannot_resend_yet": jobs.OutcomeLimited, "insufficient_credits": jobs.OutcomeLimited,
	"disconnected_account": jobs.OutcomeAccountLost, "expired_credentials": jobs.OutcomeAccountLost, "invalid_credentials": jobs.OutcomeAccountLost,
	"checkpoint_error": jobs.OutcomeAccountLost, "insufficient_permissions": jobs.OutcomeThrottled, "401": jobs.OutcomeThrottled,
	"429": jobs.OutcomeThrottled, "2xx": jobs.OutcomeSent, "4xx": jobs.OutcomeRefused,
}

// call makes a request. The error is about our own API key, which is that of all accounts.
func call(request *http.Request) (result jobs.Settlement, stop error) {
	if request.Body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request) //nolint:gosec // The host is that of PROVIDER_URL.
	if errors.Is(err, syscall.ECONNREFUSED) {
		return jobs.Settlement{Outcome: jobs.OutcomeThrottled, ErrorCode: "not_reachable"}, nil
	} else if err != nil { // the request may have arrived
		return jobs.Settlement{Outcome: jobs.OutcomeUnknown, ErrorCode: "no_answer"}, nil
	}
	defer response.Body.Close()
	var answer map[string]any
	_ = json.NewDecoder(http.MaxBytesReader(nil, response.Body, 1<<20)).Decode(&answer)
	text := func(name string) string { text, _ := answer[name].(string); return text }
	code, status := strings.TrimPrefix(text("type"), "errors/"), response.Status[:3]
	if code == "missing_credentials" || code == "insufficient_permissions" || code == "" && status == "401" {
		stop = fmt.Errorf("the provider rejects our API key: %s %s", status, code)
	}
	result.Outcome = cmp.Or(outcomes[code], outcomes[status], outcomes[status[:1]+"xx"], jobs.OutcomeUnknown)
	result.ErrorCode, result.ProviderRef = code, text("invitation_id")+text("message_id") // sent without an ID counts as unknown
	if wait, err := time.ParseDuration(response.Header.Get("Retry-After") + "s"); err == nil && result.Outcome == jobs.OutcomeThrottled {
		result.Until = time.Now().Add(min(wait, 24*time.Hour))
	}
	return result, stop
}
