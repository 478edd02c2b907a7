package demo

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/thawline/thaw/internal/store"
)

const (
	// patience is how long a step waits for what it expects.
	patience = 30 * time.Second
	// lookEvery is how often it looks: the times that are told are right to a few milliseconds.
	lookEvery = 2 * time.Millisecond
)

// A story is told by its steps, on a process that runs meanwhile.
type story struct {
	narrator
	database  *database
	db        *store.Store
	url       string // of the process
	secret    string // of its webhook
	posted    bool   // a message, which is shown in full only once
	leftLying leftLying
	paused    string // a prospect that is still paused
	began     time.Time
}

// tell tells all of it.
func (s *story) tell(ctx context.Context) error {
	if err := s.opening(ctx); err != nil {
		return err
	}
	for _, step := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"The first tick finds what was left lying", s.firstTick},
		{"An account disconnects", s.disconnect},
		{"It reconnects", s.reconnect},
		{"A connect signal is lost", s.lostSignal},
		{"A person reconnects as a new account", s.newAccount},
		{"A long backlog drains, tick by tick, within its caps", s.backlog},
		{"A heal finishes the rest", s.heal},
		{"The books are checked", s.verify},
		{"Who is still paused, and why", s.whoIsStillPaused},
	} {
		s.chapter(step.title)
		if err := step.play(ctx); err != nil {
			return fmt.Errorf("step %d, %q: %w", s.step, step.title, err)
		}
	}
	s.headline("All of it came out as it should, in %.0f s.", time.Since(s.began).Seconds())
	return nil
}

// opening says by which numbers the fleet works.
func (s *story) opening(ctx context.Context) error {
	now, err := s.db.Settings(ctx)
	if err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	s.say("Serving on %s, with workers in the same process.", s.url)
	s.say("A tick is %.0f seconds here; usually it is a quarter of an hour. The caps are the usual ones:", now.Tick.Seconds())
	s.say("a tick resumes %d prospects an account and %d in all.", now.AccountCap, now.FleetCap)
	return nil
}

// leaveOpen says where to look when the story is over.
func (s *story) leaveOpen() {
	s.headline("It goes on serving until Ctrl-C. Look around:")
	s.say("pages      %s/", s.url)
	s.say("why        %s/prospects?%s", s.url, url.Values{"url": {s.paused}}.Encode())
	s.say("jobs       %s/jobs/", s.url)
	s.say("API        %s/api/v1/fleet  (%[1]s/api/v1/openapi.json)", s.url)
	s.say("metrics    %s/metrics", s.url)
	s.say("readiness  %s/readyz", s.url)
	s.say("database   %s", s.database.psql())
	s.say("           TABLE thaw.sweep_log;  TABLE thaw.backlog;  TABLE thaw.history LIMIT 20;")
}

// number returns what a query of one number finds.
func (s *story) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.db.Pool().QueryRow(ctx, query, args...).Scan(&n)
	return n, err
}

// expect looks once whether a query finds the number that it should.
func (s *story) expect(ctx context.Context, want int64, what, query string, args ...any) error {
	got, err := s.number(ctx, query, args...)
	if err == nil && got != want {
		err = fmt.Errorf("expected %d %s, saw %d", want, what, got)
	}
	return err
}

// await looks until a query finds the number that it should.
func (s *story) await(ctx context.Context, want int64, what, query string, args ...any) error {
	deadline := time.Now().Add(patience)
	return s.look(ctx, func() (bool, error) {
		got, err := s.number(ctx, query, args...)
		if err == nil && got != want && time.Now().After(deadline) {
			err = fmt.Errorf("expected %d %s, saw %d after %s", want, what, got, patience)
		}
		return got == want, err
	})
}

// look calls seen again and again until it says yes or fails, or ctx ends.
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
