package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/jobs"
)

// A reserveRequest is the body of POST /sending/actions/reserve. The enrollment is named by Thaw's
// ID, or by the platform's ID and its workspace.
type reserveRequest struct {
	EnrollmentID         *int64 `json:"enrollment_id"`
	EnrollmentExternalID string `json:"enrollment_external_id"`
	Workspace            string `json:"workspace"`
	Kind                 string `json:"kind"`
	LeaseSeconds         *int   `json:"lease_seconds"`
}

// A reservation is the result of a reservation or of a start. A refusal has a code and no ID.
type reservation struct {
	ID         *int64     `json:"id"`
	Code       *string    `json:"code"`
	OpensAt    *time.Time `json:"opens_at"`
	Kind       *string    `json:"kind"`
	Step       *int       `json:"step"`
	LeaseUntil *time.Time `json:"lease_until"`
}

func reservationOf(r jobs.Reservation) reservation {
	shown := reservation{ID: store.OrNil(r.ID), Code: store.OrNil(string(r.Code)), OpensAt: utc(r.OpensAt), Kind: store.OrNil(r.Kind), LeaseUntil: utc(r.LeaseUntil)}
	if r.Kind != "" {
		shown.Step = &r.Step
	}
	return shown
}

// reserve serves POST /sending/actions/reserve.
func (a *api) reserve(r *request) (reply, error) {
	var wanted reserveRequest
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	if (wanted.EnrollmentID == nil) == (wanted.EnrollmentExternalID == "") {
		return reply{}, invalid("Name the enrollment by enrollment_id, or by enrollment_external_id and workspace.")
	}
	lease, err := leaseOf(wanted.LeaseSeconds)
	if err != nil {
		return reply{}, err
	}
	scope, err := r.scope.Workspace(r.Context(), a.store, wanted.Workspace)
	if err != nil {
		return reply{}, err
	}
	if wanted.EnrollmentExternalID != "" && !scope.IsOneWorkspace() {
		return reply{}, invalid("The platform's ID of an enrollment needs its workspace. Send workspace too.")
	}
	first, last := scope.Range()
	id, err := a.store.Read().EnrollmentToReserve(r.Context(), dbsqlc.EnrollmentToReserveParams{
		FirstWorkspace: first, LastWorkspace: last, ID: wanted.EnrollmentID, ExternalID: store.OrNil(wanted.EnrollmentExternalID),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return reply{}, &problem{kind: notFound, detail: "There is no such enrollment. Use enrollment_id of an answer, or the platform's own ID of it."}
	} else if err != nil {
		return reply{}, fmt.Errorf("looking for an enrollment: %w", err)
	}
	return a.inTx(r, func(ctx context.Context, tx pgx.Tx) (any, error) {
		made, err := jobs.Reserve(ctx, tx, id, jobs.ReserveOptions{Kind: wanted.Kind, Lease: lease, Actor: r.name})
		return reservationOf(made), err
	})
}

// leaseOf returns a lease, or 0 for the default.
func leaseOf(seconds *int) (time.Duration, error) {
	if seconds == nil {
		return 0, nil
	}
	if *seconds < 10 || *seconds > 86400 {
		return 0, invalid("lease_seconds=%d: must be from 10 to 86400.", *seconds)
	}
	return time.Duration(*seconds) * time.Second, nil
}

// A claimedAction is an action in the result of POST /sending/actions/claim.
type claimedAction struct {
	ID                   int64     `json:"id"`
	LeaseUntil           time.Time `json:"lease_until"`
	Kind                 string    `json:"kind"`
	Step                 int       `json:"step"`
	Workspace            string    `json:"workspace"`
	WorkspaceExternalID  *string   `json:"workspace_external_id"`
	Provider             string    `json:"provider"`
	Account              string    `json:"account"`
	AccountExternalID    *string   `json:"account_external_id"`
	Campaign             string    `json:"campaign"`
	CampaignExternalID   *string   `json:"campaign_external_id"`
	EnrollmentID         int64     `json:"enrollment_id"`
	EnrollmentExternalID *string   `json:"enrollment_external_id"`
	ProspectURL          string    `json:"prospect_url"`
}

// claim serves POST /sending/actions/claim.
func (a *api) claim(r *request) (reply, error) {
	var wanted struct {
		Limit        *int   `json:"limit"`
		LeaseSeconds *int   `json:"lease_seconds"`
		Workspace    string `json:"workspace"`
	}
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	options := jobs.ClaimOptions{Limit: 100, Actor: r.name}
	if wanted.Limit != nil {
		if options.Limit = *wanted.Limit; options.Limit < 1 || options.Limit > 1000 {
			return reply{}, invalid("limit=%d: must be from 1 to 1000.", options.Limit)
		}
	}
	var err error
	if options.Lease, err = leaseOf(wanted.LeaseSeconds); err != nil {
		return reply{}, err
	}
	scope, err := r.scope.Workspace(r.Context(), a.store, wanted.Workspace)
	if err != nil {
		return reply{}, err
	}
	if scope.IsOneWorkspace() {
		if options.Workspace, err = a.store.Read().WorkspaceKey(r.Context(), scope.WorkspaceID()); err != nil {
			return reply{}, fmt.Errorf("reading the key of a workspace: %w", err)
		}
	}
	return a.inTx(r, func(ctx context.Context, tx pgx.Tx) (any, error) {
		due, err := jobs.Claim(ctx, tx, options)
		actions := make([]claimedAction, len(due))
		for i, c := range due {
			actions[i] = claimedAction{
				ID: c.ID, LeaseUntil: c.LeaseUntil.UTC(), Kind: c.Kind, Step: c.Step, Workspace: c.Workspace, WorkspaceExternalID: store.OrNil(c.WorkspaceExternalID),
				Provider: c.Provider, Account: c.Account, AccountExternalID: store.OrNil(c.AccountExternalID), Campaign: c.Campaign,
				CampaignExternalID: store.OrNil(c.CampaignExternalID), EnrollmentID: c.EnrollmentID, EnrollmentExternalID: store.OrNil(c.EnrollmentExternalID),
				ProspectURL: c.ProspectURL,
			}
		}
		return map[string]any{"actions": actions}, err
	})
}

// sendingHours serves GET /sending/hours. Hours are counted for the fleet, not per workspace.
func (a *api) sendingHours(r *request) (reply, error) {
	if err := r.forOperators("the actions of the fleet per hour"); err != nil {
		return reply{}, err
	}
	within, err := r.duration("within")
	if err != nil {
		return reply{}, err
	}
	if within > readmodel.MaxActionHours {
		return reply{}, invalid("Hours are kept for 31 days. Send within=31d, or less.")
	}
	hours, err := readmodel.HoursOfActions(r.Context(), a.store, cmp.Or(within, 24*time.Hour))
	return reply{body: hours}, err
}

// start serves POST /sending/actions/{id}/start.
func (a *api) start(r *request) (reply, error) {
	id, err := a.actionID(r)
	if err != nil {
		return reply{}, err
	}
	return a.inTx(r, func(ctx context.Context, tx pgx.Tx) (any, error) {
		started, err := jobs.Start(ctx, tx, id)
		return reservationOf(started), err
	})
}

// A settleRequest is the body of POST /sending/actions/{id}/settle.
type settleRequest struct {
	Outcome     string     `json:"outcome"`
	ProviderRef string     `json:"provider_ref"`
	ErrorCode   string     `json:"error_code"`
	Until       *time.Time `json:"until"`
	NextKind    string     `json:"next_kind"`
	NextAt      *time.Time `json:"next_at"`
	IfRefused   string     `json:"if_refused"`
	Reason      string     `json:"reason"` // of a person
}

// settle serves POST /sending/actions/{id}/settle.
func (a *api) settle(r *request) (reply, error) {
	id, err := a.actionID(r)
	if err != nil {
		return reply{}, err
	}
	var wanted settleRequest
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	switch outcome := jobs.ActionOutcome(wanted.Outcome); {
	case outcome == jobs.OutcomeVerifiedSent, outcome == jobs.OutcomeVerifiedAbsent:
		return a.verify(r, id, wanted)
	case wanted.Reason != "":
		return reply{}, invalid("Only %s and %s have a reason. Leave it out.", jobs.OutcomeVerifiedSent, jobs.OutcomeVerifiedAbsent)
	}
	came := jobs.Settlement{
		Outcome: jobs.ActionOutcome(wanted.Outcome), ProviderRef: wanted.ProviderRef, ErrorCode: wanted.ErrorCode, NextKind: wanted.NextKind,
		IfRefused: wanted.IfRefused, Actor: r.name,
	}
	if wanted.Until != nil {
		came.Until = *wanted.Until
	}
	if wanted.NextAt != nil {
		came.NextAt = *wanted.NextAt
	}
	return a.inTx(r, func(ctx context.Context, tx pgx.Tx) (any, error) {
		state, err := jobs.Settle(ctx, tx, id, came)
		return map[string]any{"id": id, "state": state}, err
	})
}

// verify settles an unknown action. Senders may not: a program that could would send again what was
// delivered already.
func (a *api) verify(r *request, id int64, wanted settleRequest) (reply, error) {
	if r.isSender {
		return reply{}, &problem{kind: forbidden, detail: fmt.Sprintf("A token that may only send cannot settle an action as %s: a person does that, "+
			"after a look at the provider. Use the page /sending/%d, run thaw actions settle %[2]d --as %[1]s --reason …, or send this request, with a reason, as an operator.",
			wanted.Outcome, id)}
	}
	if strings.TrimSpace(wanted.Reason) == "" {
		return reply{}, invalid("The outcome %s needs a reason: what does the provider show? Send reason, or use the page /sending/%d.", wanted.Outcome, id)
	}
	if wanted.ErrorCode != "" || wanted.Until != nil || wanted.IfRefused != "" {
		return reply{}, invalid("The outcome %s has no error_code, until or if_refused. Leave them out.", wanted.Outcome)
	}
	state, err := operator.New(a.store, r.scope, r.name).VerifyAction(r.Context(), id, operator.Verification{
		Outcome: wanted.Outcome, Reason: wanted.Reason, ProviderRef: wanted.ProviderRef, NextKind: wanted.NextKind, NextAt: wanted.NextAt,
	})
	return reply{body: map[string]any{"id": id, "state": state}}, err
}

// closeInvite serves POST /sending/actions/{id}/invite.
func (a *api) closeInvite(r *request) (reply, error) {
	id, err := a.actionID(r)
	if err != nil {
		return reply{}, err
	}
	var wanted struct {
		ClosedAs string `json:"closed_as"`
	}
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	return a.inTx(r, func(ctx context.Context, tx pgx.Tx) (any, error) {
		isChanged, err := jobs.CloseInvite(ctx, tx, id, wanted.ClosedAs)
		return map[string]any{"id": id, "is_changed": isChanged}, err
	})
}

// actionID returns the ID in the path, of an action that the caller may see.
func (a *api) actionID(r *request) (int64, error) {
	id, err := r.id()
	if err != nil {
		return 0, err
	}
	first, last := r.scope.Range()
	_, err = a.store.Read().ActionWorkspace(r.Context(), dbsqlc.ActionWorkspaceParams{ID: id, FirstWorkspace: first, LastWorkspace: last})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, &problem{kind: notFound, detail: "There is no such action. Use the id of a reservation."}
	} else if err != nil {
		return 0, fmt.Errorf("looking for action %d: %w", id, err)
	}
	return id, nil
}

// inTx replies with the result of do after its transaction is committed: a sender calls the
// provider after that.
func (a *api) inTx(r *request, do func(ctx context.Context, tx pgx.Tx) (any, error)) (reply, error) {
	var body any
	err := a.store.Tx(r.Context(), func(tx pgx.Tx, _ *dbsqlc.Queries) (err error) {
		body, err = do(r.Context(), tx)
		return err
	})
	return reply{body: body}, err
}

// sendingActions serves GET /sending/actions.
func (a *api) sendingActions(r *request) (reply, error) {
	state, err := oneOf(r, "state", enum.ActionStates)
	if err != nil {
		return reply{}, err
	}
	filter := readmodel.SendingFilter{State: string(state), Kind: r.query["kind"]}
	return list(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, p readmodel.Paging) (page readmodel.SendingPage, err error) {
		if account := r.query["account"]; account != "" {
			ids, err := readmodel.AccountIDs(ctx, db, s, account)
			switch {
			case err != nil:
				return page, err
			case len(ids) == 0:
				return page, &problem{kind: notFound, detail: "There is no such account. Use its provider account ID or the platform's own ID."}
			case len(ids) > 1:
				return page, invalid("%d accounts have the ID %q. Send workspace too.", len(ids), account)
			}
			filter.AccountID = ids[0]
		}
		return readmodel.SendingActions(ctx, db, s, filter, p)
	})
}

// sending serves GET /accounts/{id}/sending.
func (a *api) sending(r *request) (reply, error) {
	id, err := r.id()
	if err != nil {
		return reply{}, err
	}
	found, err := readmodel.Sending(r.Context(), a.store, r.scope, id)
	return reply{body: found}, err
}

// limits serves GET /sending/limits.
func (a *api) limits(r *request) (reply, error) { return list(a, r, readmodel.LimitsOfSending) }

// A changed is the result of a route that sets something.
type changed struct {
	IsChanged bool `json:"is_changed"` // false: it was so already
}

// setLimit serves POST /sending/limits.
func (a *api) setLimit(r *request) (reply, error) {
	var wanted struct {
		Workspace      string   `json:"workspace"`
		Account        string   `json:"account"`
		Provider       string   `json:"provider"`
		Campaign       string   `json:"campaign"`
		Kind           string   `json:"kind"`
		PerDay         *int32   `json:"per_day"`
		PerWeek        *int32   `json:"per_week"`
		GapFromSeconds *float64 `json:"gap_from_seconds"`
		GapToSeconds   *float64 `json:"gap_to_seconds"`
		Reason         string   `json:"reason"`
	}
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	limit := operator.Limit{
		Workspace: wanted.Workspace, Account: wanted.Account, Provider: wanted.Provider, Campaign: wanted.Campaign, Kind: wanted.Kind,
		PerDay: wanted.PerDay, PerWeek: wanted.PerWeek,
	}
	var err error
	if limit.GapFrom, err = gapOf("gap_from_seconds", wanted.GapFromSeconds); err != nil {
		return reply{}, err
	}
	if limit.GapTo, err = gapOf("gap_to_seconds", wanted.GapToSeconds); err != nil {
		return reply{}, err
	}
	isChanged, err := operator.New(a.store, r.scope, r.name).SetLimit(r.Context(), limit, wanted.Reason)
	return reply{body: changed{isChanged}}, err
}

// gapOf returns an optional gap.
func gapOf(name string, seconds *float64) (*time.Duration, error) {
	if seconds == nil {
		return nil, nil //nolint:nilnil // The field is optional.
	}
	if math.IsNaN(*seconds) || *seconds < 0 || *seconds > 86400 {
		return nil, invalid("%s=%g: must be from 0 to 86400.", name, *seconds)
	}
	gap := time.Duration(*seconds * float64(time.Second))
	return &gap, nil
}

// setCeiling serves POST /sending/ceilings.
func (a *api) setCeiling(r *request) (reply, error) {
	var wanted struct {
		Kind           string   `json:"kind"`
		PerDay         *int32   `json:"per_day"`
		PerWeek        *int32   `json:"per_week"`
		GapFromSeconds *float64 `json:"gap_from_seconds"`
		Reason         string   `json:"reason"`
	}
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	gap, err := gapOf("gap_from_seconds", wanted.GapFromSeconds)
	if err != nil {
		return reply{}, err
	}
	ceiling := operator.Ceiling{Kind: wanted.Kind, PerDay: wanted.PerDay, PerWeek: wanted.PerWeek, GapFrom: gap}
	isChanged, err := operator.New(a.store, r.scope, r.name).SetCeiling(r.Context(), ceiling, wanted.Reason)
	return reply{body: changed{isChanged}}, err
}

// windows serves GET /sending/windows.
func (a *api) windows(r *request) (reply, error) {
	return list(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, p readmodel.Paging) (readmodel.Page[readmodel.SendingWindow], error) {
		return readmodel.SendingWindows(ctx, db, s, 0, p)
	})
}

// setWindows serves POST /sending/windows.
func (a *api) setWindows(r *request) (reply, error) {
	var wanted struct {
		Workspace string             `json:"workspace"`
		Account   string             `json:"account"`
		Provider  string             `json:"provider"`
		Windows   *[]operator.Window `json:"windows"`
		Reason    string             `json:"reason"`
	}
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	if wanted.Windows == nil {
		return reply{}, invalid("windows is missing. Send [] to remove the windows.")
	}
	set := operator.Windows{Workspace: wanted.Workspace, Account: wanted.Account, Provider: wanted.Provider, Windows: *wanted.Windows}
	err := operator.New(a.store, r.scope, r.name).SetWindows(r.Context(), set, wanted.Reason)
	return reply{status: http.StatusOK, body: map[string]any{"windows": len(set.Windows)}}, err
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}
