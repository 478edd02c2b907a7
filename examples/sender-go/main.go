// Command sender-go is a sender that claims due actions from Thaw, calls the provider, and reports
// what came of each call. It decides nothing: caps, windows and gaps are Thaw's.
package main

import (
	"bytes"
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
	for _, err = listener.Exec(ctx, "LISTEN thaw_actions"); err == nil; {
		claimed, options := []jobs.Claimed(nil), jobs.ClaimOptions{Limit: 20, Actor: "sender-go"}
		err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) { claimed, err = jobs.Claim(ctx, tx, options); return err })
		calls, calling := errgroup.WithContext(ctx)
		for _, action := range claimed {
			calls.Go(func() error { return send(calling, db, action) })
		}
		if err = errors.Join(err, calls.Wait()); err == nil && len(claimed) == 0 {
			waiting, cancel := context.WithTimeout(ctx, time.Minute)
			if _, err = listener.Conn().WaitForNotification(waiting); errors.Is(err, context.DeadlineExceeded) {
				err = nil
			}
			cancel()
		}
	}
	return err
}

// send starts an action, which is committed before the call, and settles it, even if the sender is
// stopping. It releases what it cannot do. It returns an error if the sender must stop.
func send(ctx context.Context, db *pgxpool.Pool, action jobs.Claimed) (stop error) {
	log := slog.With("action", action.ID, "kind", action.Kind, "account", action.Account, "to", action.ProspectURL)
	request, err := requestOf(action)
	err, ctx = cmp.Or(err, ctx.Err()), context.WithoutCancel(ctx)
	outcome := jobs.Settlement{Outcome: jobs.OutcomeReleased}
	if err != nil {
		log.Warn("not sent", "error", err)
	} else {
		var start jobs.Reservation
		err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) { start, err = jobs.Start(ctx, tx, action.ID); return err })
		if err != nil || start.Code != "" { // the reservation expires, or is unknown if the start was committed
			log.Info("not sent", "code", start.Code, "error", err)
			return nil
		}
		outcome, stop = call(request)
	}
	for last := time.Now().Add(time.Minute); ; <-time.After(time.Second) { // the same report again is harmless
		var state jobs.ActionState
		err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) { state, err = jobs.Settle(ctx, tx, action.ID, outcome); return err })
		if err == nil || errors.Is(err, jobs.ErrConflict) || time.Now().After(last) { // not settled: unknown when its lease ends
			log.Info("settled", "state", state, "code", outcome.ErrorCode, "error", err)
			return stop
		}
	}
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
	request, err := http.NewRequest(http.MethodPost, api+route, bytes.NewReader(content)) //nolint:noctx
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, err
}

// outcomes of codes, which count more than the status: a limit comes as 422, 429 or 500. A 401 with
// another code was certainly not delivered, and does not say that the account is lost.
var outcomes = map[string]jobs.ActionOutcome{
	"already_invited_recently": jobs.OutcomeAlready, "already_connected": jobs.OutcomeAlready, "account_restricted": jobs.OutcomeRestricted,
	"limit_exceeded": jobs.OutcomeLimited, "cannot_resend_yet": jobs.OutcomeLimited, "insufficient_credits": jobs.OutcomeLimited,
	"disconnected_account": jobs.OutcomeAccountLost, "expired_credentials": jobs.OutcomeAccountLost,
	"invalid_credentials": jobs.OutcomeAccountLost, "checkpoint_error": jobs.OutcomeAccountLost,
	"insufficient_permissions": jobs.OutcomeThrottled, "401": jobs.OutcomeThrottled, "429": jobs.OutcomeThrottled, "2xx": jobs.OutcomeSent, "4xx": jobs.OutcomeRefused,
}

// call makes a request. The error is about our own API key, which is that of all accounts.
func call(request *http.Request) (result jobs.Settlement, stop error) {
	response, err := client.Do(request)
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
	return jobs.Settlement{ // sent without an ID counts as unknown
		Outcome:   cmp.Or(outcomes[code], outcomes[status], outcomes[status[:1]+"xx"], jobs.OutcomeUnknown),
		ErrorCode: code, ProviderRef: text("invitation_id") + text("message_id"),
	}, stop
}
