// Command sender-go is a sender that claims due actions from Thaw, calls the provider, and reports
// what came of each call. It decides nothing: caps, windows and gaps are Thaw's.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/jobs"
)

var provider, client = os.Getenv("PROVIDER_URL"), http.Client{Timeout: time.Minute}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if !errors.Is(err, context.Canceled) {
		slog.Error("claiming actions failed", "error", err)
		os.Exit(1)
	}
}

// run claims actions until there are none, and then waits until Thaw notifies it. It looks once a
// minute all the same.
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
		var claimed []jobs.Claimed
		err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
			claimed, err = jobs.Claim(ctx, tx, jobs.ClaimOptions{Limit: 20, Actor: "sender-go"})
			return err
		})
		var calls sync.WaitGroup
		for _, action := range claimed {
			calls.Go(func() {
				slog.Info(send(context.WithoutCancel(ctx), db, action), "action", action.ID, "kind", action.Kind, "account", action.Account, "to", action.ProspectURL) //nolint:gosec
			})
		}
		calls.Wait()
		if err != nil || len(claimed) > 0 {
			continue
		}
		waiting, cancel := context.WithTimeout(ctx, time.Minute)
		if _, err = listener.Conn().WaitForNotification(waiting); errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		cancel()
	}
	return err
}

// send starts an action, which is committed before the call, and settles it, even if the process is
// asked to stop meanwhile. It returns what came of it.
func send(ctx context.Context, db *pgxpool.Pool, action jobs.Claimed) (what string) {
	var start jobs.Reservation
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
		start, err = jobs.Start(ctx, tx, action.ID)
		return err
	})
	if err != nil || start.Code != "" {
		return fmt.Sprint("not sent: ", start.Code, err) // the reservation expires, or is unknown if the start was committed
	}
	outcome := call(action)
	for last := time.Now().Add(time.Minute); ; <-time.After(time.Second) { // the same report again is harmless
		err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			state, err := jobs.Settle(ctx, tx, action.ID, outcome)
			what = string(state) + " " + outcome.ErrorCode
			return err
		})
		if err == nil {
			return what
		} else if errors.Is(err, jobs.ErrConflict) || time.Now().After(last) {
			return err.Error() // without a report, the action counts as unknown when its lease ends
		}
	}
}

func call(action jobs.Claimed) jobs.Settlement {
	to, route := path.Base(action.ProspectURL), "/api/v1/chats"
	body := map[string]any{"account_id": action.Account, "attendees_ids": []string{to}, "text": "Hello!", "inmail": action.Kind == "inmail"}
	if action.Kind == "invite" {
		route, body = "/api/v1/users/invite", map[string]any{"account_id": action.Account, "provider_id": to}
	}
	content, _ := json.Marshal(body)
	response, err := client.Post(provider+route, "application/json", bytes.NewReader(content)) //nolint:noctx
	if errors.Is(err, syscall.ECONNREFUSED) {
		return jobs.Settlement{Outcome: jobs.OutcomeThrottled, ErrorCode: "not_reachable"}
	} else if err != nil { // the request may have arrived
		return jobs.Settlement{Outcome: jobs.OutcomeUnknown, ErrorCode: "no_answer"}
	}
	defer response.Body.Close()
	return outcomeOf(response)
}

// outcomes of codes, which count more than the status: a limit comes as 422, 429 or 500.
var outcomes = map[string]jobs.ActionOutcome{
	"already_invited_recently": jobs.OutcomeAlready, "already_connected": jobs.OutcomeAlready, "account_restricted": jobs.OutcomeRestricted,
	"limit_exceeded": jobs.OutcomeLimited, "cannot_resend_yet": jobs.OutcomeLimited, "insufficient_credits": jobs.OutcomeLimited,
}

func outcomeOf(response *http.Response) jobs.Settlement {
	var answer struct {
		Type       string `json:"type"`
		Invitation string `json:"invitation_id"`
		Message    string `json:"message_id"`
	}
	_ = json.NewDecoder(http.MaxBytesReader(nil, response.Body, 1<<20)).Decode(&answer)
	code := strings.TrimPrefix(answer.Type, "errors/")
	result := jobs.Settlement{ErrorCode: code, Outcome: outcomes[code]}
	switch {
	case response.StatusCode < 300: // without an ID, Thaw counts it as unknown
		result.Outcome, result.ProviderRef = jobs.OutcomeSent, answer.Invitation+answer.Message
	case result.Outcome != "":
	case response.StatusCode == http.StatusUnauthorized:
		result.Outcome = jobs.OutcomeAccountLost
	case response.StatusCode == http.StatusTooManyRequests:
		result.Outcome = jobs.OutcomeThrottled
	case response.StatusCode < 500:
		result.Outcome = jobs.OutcomeRefused
	default:
		result.Outcome = jobs.OutcomeUnknown
	}
	return result
}
