package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/providersim"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/jobs"
)

// firstWeekInvites is the daily cap of an account in its first week of sending.
const firstWeekInvites = 5

// firstSends: a sender claims the next actions of the account that reconnected, up to the cap of
// the day, against a provider on loopback. It tries to invite a prospect twice.
func (s *story) firstSends(ctx context.Context) error {
	provider := providersim.New(providersim.Config{Logger: s.logger})
	defer provider.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening as the provider: %w", err)
	}
	server := &http.Server{Handler: provider, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer func() { _ = server.Close() }()

	if err := s.letSend(ctx); err != nil {
		return err
	}
	due := time.Now()
	invites, err := s.number(ctx, `
		WITH due AS (
			UPDATE thaw.enrollments AS e SET next_kind = 'invite', next_action_at = thaw.now()
			FROM thaw.accounts AS a WHERE a.id = e.account_id AND a.provider_account_id = $1 AND e.status = 'active' RETURNING e.id)
		SELECT count(*) FROM due`, dana)
	if err != nil {
		return fmt.Errorf("making the invites due: %w", err)
	}
	s.say("The next action of the %d resumed prospects is an invite, due now. A sender claims what the gates allow:", invites)

	sent := 0
	err = s.look(ctx, func() (bool, error) {
		claimed, err := s.claim(ctx)
		for _, action := range claimed {
			if err := s.send(ctx, "http://"+listener.Addr().String(), action); err != nil {
				return false, err
			}
			if sent++; sent == 1 {
				s.say("POST /api/v1/users/invite  %s  -> 201, %s after it was due", path.Base(action.ProspectURL), since(due))
				if err := s.secondInvite(ctx, action); err != nil {
					return false, err
				}
			}
		}
		if err == nil && sent < firstWeekInvites && time.Since(due) > patience {
			err = fmt.Errorf("expected %d invites sent after %s, got %d", firstWeekInvites, patience, sent)
		}
		return sent >= firstWeekInvites, err
	})
	if err != nil {
		return err
	}
	return s.fullCap(ctx, provider.Log(0))
}

// letSend sets what a platform sets before the first action: the time zone and the sending window.
func (s *story) letSend(ctx context.Context) error {
	if _, err := s.db.Pool().Exec(ctx, "UPDATE thaw.accounts SET timezone = 'Europe/Berlin' WHERE provider_account_id = $1", dana); err != nil {
		return fmt.Errorf("setting the time zone: %w", err)
	}
	person := operator.New(s.db, readmodel.Everything(), "cli:demo")
	const reason = "the demo runs at any time"
	none := time.Duration(0)
	err := person.SetWindows(ctx, operator.Windows{
		Account: dana, Windows: []operator.Window{{Weekdays: []int{1, 2, 3, 4, 5, 6, 7}, Opens: "00:00", Closes: "24:00"}},
	}, reason)
	if err == nil {
		_, err = person.SetCeiling(ctx, operator.Ceiling{Kind: "invite", GapFrom: &none}, reason)
	}
	if err == nil {
		_, err = person.SetLimit(ctx, operator.Limit{Account: dana, Kind: "invite", GapFrom: &none, GapTo: &none}, reason)
	}
	if err == nil {
		_, err = s.db.Trip().Configure(ctx, dbsqlc.ConfigureParams{ActionGapFrom: &none, ActionGapTo: &none, ChangedBy: "cli:demo"})
	}
	if err != nil {
		return fmt.Errorf("setting the limits: %w", err)
	}
	s.say("In this demo the sending window is always open, and there are no gaps between actions.")
	return nil
}

func (s *story) claim(ctx context.Context) (claimed []jobs.Claimed, err error) {
	err = pgx.BeginFunc(ctx, s.db.Pool(), func(tx pgx.Tx) error {
		claimed, err = jobs.Claim(ctx, tx, jobs.ClaimOptions{Actor: "demo"})
		return err
	})
	return claimed, err
}

// send is a whole sender: the start is committed before the call, and the settlement after it.
func (s *story) send(ctx context.Context, provider string, action jobs.Claimed) error {
	err := pgx.BeginFunc(ctx, s.db.Pool(), func(tx pgx.Tx) error {
		start, err := jobs.Start(ctx, tx, action.ID)
		if err == nil && start.Code != "" {
			err = fmt.Errorf("expected action %d to start, got %s", action.ID, start.Code)
		}
		return err
	})
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"account_id": action.Account, "provider_id": path.Base(action.ProspectURL)})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, provider+"/api/v1/users/invite", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Invitation string `json:"invitation_id"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Invitation == "" {
		return fmt.Errorf("expected an invitation, got %s (%w)", response.Status, err)
	}
	return pgx.BeginFunc(ctx, s.db.Pool(), func(tx pgx.Tx) error {
		state, err := jobs.Settle(ctx, tx, action.ID, jobs.Settlement{Outcome: jobs.OutcomeSent, ProviderRef: answer.Invitation, Actor: "demo"})
		if err == nil && state != jobs.ActionSent {
			err = fmt.Errorf("expected action %d to be sent, got %s", action.ID, state)
		}
		return err
	})
}

// refused tries to reserve an invite, and requires that a gate is closed.
func (s *story) refused(ctx context.Context, enrollment int64, want jobs.Code) error {
	return pgx.BeginFunc(ctx, s.db.Pool(), func(tx pgx.Tx) error {
		r, err := jobs.Reserve(ctx, tx, enrollment, jobs.ReserveOptions{Kind: "invite", Actor: "demo"})
		if err == nil && r.Code != want {
			err = fmt.Errorf("expected the gate %s, got reservation %d, %q", want, r.ID, r.Code)
		}
		return err
	})
}

// secondInvite: the prospect is at its next step, so only the invite that is open refuses another.
func (s *story) secondInvite(ctx context.Context, action jobs.Claimed) error {
	if err := s.refused(ctx, action.EnrollmentID, jobs.CodeAlreadyInvited); err != nil {
		return err
	}
	s.say("thaw.reserve(%d, 'invite')  -> %s: the same person gets no second invite, in any campaign.", action.EnrollmentID, jobs.CodeAlreadyInvited)
	return nil
}

// fullCap: the next prospect waits for the next day.
func (s *story) fullCap(ctx context.Context, log []providersim.Entry) error {
	var enrollment int64
	var prospect string
	err := s.db.Pool().QueryRow(ctx, `
		SELECT e.id, e.prospect_url FROM thaw.enrollments AS e
		JOIN thaw.accounts AS a ON a.id = e.account_id
		WHERE a.provider_account_id = $1 AND e.status = 'active' AND e.next_kind = 'invite'
		ORDER BY e.id LIMIT 1`, dana).Scan(&enrollment, &prospect)
	if err != nil {
		return fmt.Errorf("looking for a prospect that waits: %w", err)
	}
	if err := s.refused(ctx, enrollment, jobs.CodeDailyCap); err != nil {
		return err
	}
	var recipients []string
	for _, entry := range log {
		recipients = append(recipients, entry.To)
	}
	slices.Sort(recipients)
	if len(log) != firstWeekInvites || len(slices.Compact(recipients)) != firstWeekInvites {
		return fmt.Errorf("expected %d different invites in the log of the provider, got %v", firstWeekInvites, recipients)
	}
	s.say("The provider received %d invites to %[1]d prospects, the cap of the first week. Then:", firstWeekInvites)
	s.say("thaw explain %s", prospect)
	explanations, err := readmodel.Explain(ctx, s.db, prospect)
	if err != nil {
		return err
	}
	if explanations[0].Next == nil {
		return fmt.Errorf("expected a next action of %s, got none", prospect)
	}
	s.wrap("   ", explanations[0].Next.Sentence)
	return nil
}
