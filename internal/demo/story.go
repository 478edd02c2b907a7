package demo

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/thawline/thaw/internal/store"
)

const (
	// patience is how long a step waits for its expected result.
	patience = 30 * time.Second
	// lookEvery is the poll interval. Printed times are accurate to a few milliseconds.
	lookEvery = 2 * time.Millisecond
)

// A story runs its steps against a running process.
type story struct {
	narrator
	database *database
	db       *store.Store
	logger   *slog.Logger
	url      string // of the process
	secret   string // of its webhook for Unipile v1
	// standardSecret is the secret of its webhook for Standard Webhooks.
	standardSecret string
	posted         []string // webhooks of which the body of a message was printed
	existing       existingBacklog
	paused         string // URL of a prospect that is still paused
	began          time.Time
}

// tell runs all steps.
func (s *story) tell(ctx context.Context) error {
	if err := s.opening(ctx); err != nil {
		return err
	}
	for _, step := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"The first tick picks up the existing backlog", s.firstTick},
		{"An account disconnects", s.disconnect},
		{"The account reconnects", s.reconnect},
		{"A mailbox is signed out", s.mailboxSignsOut},
		{"A connect signal is lost", s.lostSignal},
		{"A person reconnects as a new account", s.newAccount},
		{"A large backlog is resumed tick by tick, within the caps", s.backlog},
		{"A heal resumes the rest", s.heal},
		{"The first sends after the resume", s.firstSends},
		{"All invariants are verified", s.verify},
		{"Which prospects are still paused, and why", s.explainPaused},
	} {
		s.chapter(step.title)
		if err := step.play(ctx); err != nil {
			return fmt.Errorf("step %d, %q: %w", s.step, step.title, err)
		}
	}
	s.headline("All steps succeeded, in %.0f s.", time.Since(s.began).Seconds())
	return nil
}

// opening prints the address and the settings.
func (s *story) opening(ctx context.Context) error {
	now, err := s.db.Read().Settings(ctx)
	if err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	s.say("Serving on %s, with workers in the same process.", s.url)
	s.say("In this demo a tick takes %.0f seconds instead of 15 minutes. The caps are the defaults:", now.Tick.Seconds())
	s.say("%d prospects per account and %d fleet-wide per tick.", now.AccountCap, now.FleetCap)
	return nil
}

// leaveOpen prints what to look at after the story.
func (s *story) leaveOpen() {
	s.headline("The demo keeps serving until Ctrl-C. Take a look:")
	s.say("pages      %s/", s.url)
	s.say("explain    %s/prospects?%s", s.url, url.Values{"url": {s.paused}}.Encode())
	s.say("jobs       %s/jobs/", s.url)
	s.say("API        %s/api/v1/fleet  (%[1]s/api/v1/openapi.json)", s.url)
	s.say("metrics    %s/metrics", s.url)
	s.say("readiness  %s/readyz", s.url)
	s.say("database   %s", s.database.psql())
	s.say("           TABLE thaw.sweep_log;  TABLE thaw.backlog;  TABLE thaw.history LIMIT 20;")
}

// number returns the result of a query for one number.
func (s *story) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.db.Pool().QueryRow(ctx, query, args...).Scan(&n)
	return n, err
}

// expect requires that a query returns a number.
func (s *story) expect(ctx context.Context, want int64, what, query string, args ...any) error {
	got, err := s.number(ctx, query, args...)
	if err == nil && got != want {
		err = fmt.Errorf("expected %d %s, got %d", want, what, got)
	}
	return err
}

// await waits until a query returns a number.
func (s *story) await(ctx context.Context, want int64, what, query string, args ...any) error {
	deadline := time.Now().Add(patience)
	return s.look(ctx, func() (bool, error) {
		got, err := s.number(ctx, query, args...)
		if err == nil && got != want && time.Now().After(deadline) {
			err = fmt.Errorf("expected %d %s, got %d after %s", want, what, got, patience)
		}
		return got == want, err
	})
}

// look calls seen repeatedly until it returns true or fails, or ctx ends.
func (s *story) look(ctx context.Context, seen func() (bool, error)) error {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		if yes, err := seen(); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}
