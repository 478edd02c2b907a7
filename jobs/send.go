package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
)

// A Code says why an action may not be done now. Codes may be added.
type Code string

// The codes, in the order in which the gates are looked at: the first closed gate is the answer.
const (
	CodeNoAccount           Code = "no_account"            // the enrollment has no account yet
	CodeNotActive           Code = "not_active"            // the enrollment is not active
	CodeAccountNotConnected Code = "account_not_connected" // or its account is not connected
	CodeAccountLocked       Code = "account_locked"        // or locked by the provider
	CodeAccountParked       Code = "account_parked"        // or not copied from the platform without an error
	CodeAccountOnHold       Code = "account_on_hold"       // until OpensAt
	CodeSafetyMode          Code = "safety_mode"           // nothing is sent in the whole fleet
	CodeAccountFlapping     Code = "account_flapping"      // until OpensAt
	CodeCampaignNotRunning  Code = "campaign_not_running"
	CodeNoSuchStep          Code = "no_such_step" // the next step is of another kind, or there is none
	CodeAlreadyReserved     Code = "already_reserved"
	CodeAlreadyStarted      Code = "already_started"
	CodeAlreadySent         Code = "already_sent"
	CodeAlreadyUnknown      Code = "already_unknown"    // a person has to settle the earlier action
	CodeNotDue              Code = "not_due"            // until OpensAt
	CodeLimitsMissing       Code = "limits_missing"     // no limits are set for this kind
	CodeKindOnHold          Code = "kind_on_hold"       // until OpensAt; other kinds go on
	CodeWindowHasNoZone     Code = "window_has_no_zone" // the time zone of the account is unknown
	CodeWindowClosed        Code = "window_closed"      // until OpensAt
	CodeCooldown            Code = "cooldown"           // the gap since the last action, until OpensAt
	CodeDailyCap            Code = "daily_cap"          // until OpensAt
	CodeWeeklyCap           Code = "weekly_cap"         // until OpensAt
	CodeCampaignCap         Code = "campaign_cap"       // until OpensAt
	CodePendingInvites      Code = "pending_invites"    // too many invites are open
	CodeAlreadyInvited      Code = "already_invited"    // the person has invited the prospect, maybe in another campaign
	CodeAlreadyConnected    Code = "already_connected"  // and the prospect has accepted
	CodeInviteWithdrawn     Code = "invite_withdrawn"   // until OpensAt
	CodeLeaseExpired        Code = "lease_expired"      // from Start: the reservation has ended
	CodeReleased            Code = "released"           // from Start: the reservation was given up
)

// An ActionOutcome is what came of a started action.
type ActionOutcome string

// The outcomes. Of those that were certainly not delivered, the quota is restored.
const (
	// OutcomeSent was delivered, with the ID that the provider gave it. Without an ID of a kind that
	// has one, the outcome counts as unknown.
	OutcomeSent ActionOutcome = "sent"
	// OutcomeAlready was not needed: the prospect is invited or connected already.
	OutcomeAlready ActionOutcome = "already"
	// OutcomeRefused was rejected because of the request or the recipient. See [Settlement.IfRefused].
	OutcomeRefused ActionOutcome = "refused"
	// OutcomeLimited met a limit of the provider, whatever HTTP status it came with. The kind is on
	// hold for the account until Settlement.Until; by default until the next day, for
	// cannot_resend_yet until Monday, for insufficient_credits until the first of the month.
	OutcomeLimited ActionOutcome = "limited"
	// OutcomeThrottled met the limiter of the provider's API, or the provider rejected the API key of
	// the sender. It is due again at Settlement.Until; by default in five minutes.
	OutcomeThrottled ActionOutcome = "throttled"
	// OutcomeAccountLost and OutcomeRestricted are applied as a signal: the account stops at once. A
	// 401 about the API key (missing_credentials) is neither: see OutcomeThrottled.
	OutcomeAccountLost ActionOutcome = "account_lost"
	OutcomeRestricted  ActionOutcome = "restricted"
	// OutcomeUnknown may have been delivered: a timeout, or a 5xx after the request was written. It
	// is never repeated automatically.
	OutcomeUnknown ActionOutcome = "unknown"
	// OutcomeReleased gives up a reservation that was not started.
	OutcomeReleased ActionOutcome = "released"
	// OutcomeVerifiedSent and OutcomeVerifiedAbsent settle an unknown action by the provider's own
	// list. They are for [Verify]; a sender cannot report them.
	OutcomeVerifiedSent   ActionOutcome = "verified_sent"
	OutcomeVerifiedAbsent ActionOutcome = "verified_absent"
)

// An ActionState is the state of an action in the ledger (thaw.actions).
type ActionState string

// The states.
const (
	ActionReserved ActionState = "reserved"
	ActionStarted  ActionState = "started"
	ActionSent     ActionState = "sent"
	ActionAlready  ActionState = "already"
	ActionRefused  ActionState = "refused"
	ActionReleased ActionState = "released"
	ActionExpired  ActionState = "expired"
	ActionUnknown  ActionState = "unknown"
)

// Errors of the functions about actions. The error also wraps the [pgconn.PgError], whose hint says
// what to do. After any error the transaction is aborted: roll it back.
var (
	// ErrInvalid means that a parameter is not allowed: SQLSTATE 22023.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound means that there is no such enrollment, action or workspace: P0002.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the state does not allow it: the action was settled with another
	// outcome, or the transaction began more than a minute ago: 55000.
	ErrConflict = errors.New("conflict")
)

// A Reservation is the result of [Reserve] and [Start].
type Reservation struct {
	// ID is the reservation. 0: there is none, and Code says why.
	ID int64
	// Code is the closed gate. Empty: the action may go on.
	Code Code
	// OpensAt is when to ask again. Nil: not at a known time.
	OpensAt *time.Time
	// Kind and Step are what is done: an invite at step 0.
	Kind string
	Step int
	// LeaseUntil is when the reservation ends if it is not started, or when a started action that is
	// not settled counts as unknown. Nil if there is none.
	LeaseUntil *time.Time
}

// ReserveOptions are optional.
type ReserveOptions struct {
	// Kind is the kind of the action. Default: that of the next step.
	Kind string
	// Lease is how long the reservation lasts, 10 s to 24 h. Default: settings.action_lease, 10 min.
	Lease time.Duration
	// Actor names the sender in the ledger, up to 256 characters. Default: the database role.
	Actor string
}

// Reserve reserves the next action of an enrollment (thaw.enrollments.id), if all gates are open. A
// closed gate is not an error: the reservation has its code, and nothing changes. An action that
// was reserved before has [CodeAlreadyReserved].
//
// The account is locked until the transaction ends, so use a short one of its own.
func Reserve(ctx context.Context, tx pgx.Tx, enrollmentID int64, o ReserveOptions) (Reservation, error) {
	r, err := reservation(tx.QueryRow(ctx, `
		SELECT coalesce(r.id, 0), coalesce(r.code, ''), r.opens_at, coalesce(r.kind, ''), coalesce(r.step, 0), r.lease_until
		FROM thaw.reserve($1::bigint, nullif($2, ''), nullif($3::interval, '0'), coalesce(nullif($4, ''), current_user)) AS r`,
		enrollmentID, o.Kind, o.Lease, o.Actor))
	if err != nil {
		return r, fmt.Errorf("reserving an action of enrollment %d: %w", enrollmentID, err)
	}
	return r, nil
}

// A Claimed is a reservation that [Claim] returned, with what a sender needs. External IDs are
// those of the platform, empty if it passed none.
type Claimed struct {
	ID         int64
	LeaseUntil time.Time
	Kind       string
	Step       int

	Workspace, WorkspaceExternalID string // the key, and the platform's ID
	Provider                       string
	Account, AccountExternalID     string // the provider account ID, and the platform's ID
	Campaign, CampaignExternalID   string
	EnrollmentID                   int64
	EnrollmentExternalID           string
	ProspectURL                    string
}

// ClaimOptions are optional.
type ClaimOptions struct {
	// Limit is how many actions to claim, 1 to 1,000. Default: 100.
	Limit int
	// Lease is how long the reservations last, 10 s to 24 h. Default: settings.action_lease, 10 min.
	Lease time.Duration
	// Workspace restricts the claim to one workspace: its key or the platform's ID. Default: all.
	Workspace string
	// Actor names the sender in the ledger, up to 256 characters. Default: the database role.
	Actor string
}

// Claim reserves due actions under all gates: at most one per account, fair across workspaces,
// accounts and campaigns. Accounts that another transaction has locked are left to the next call.
// An empty result means that nothing can be done now. Commit, then call [Start] for each.
func Claim(ctx context.Context, tx pgx.Tx, o ClaimOptions) ([]Claimed, error) {
	if o.Limit == 0 {
		o.Limit = 100
	}
	rows, err := tx.Query(ctx, `
		SELECT c.reservation, c.lease_until, c.kind, c.step, c.workspace_key, coalesce(c.workspace_external_id, ''), c.provider, c.account,
			coalesce(c.account_external_id, ''), c.campaign, coalesce(c.campaign_external_id, ''), c.enrollment,
			coalesce(c.enrollment_external_id, ''), c.prospect_url
		FROM thaw.claim_actions($1::integer, nullif($2::interval, '0'), nullif($3, ''), coalesce(nullif($4, ''), current_user)) AS c`,
		o.Limit, o.Lease, o.Workspace, o.Actor)
	if err != nil {
		return nil, fmt.Errorf("claiming actions: %w", known(err))
	}
	claimed, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Claimed])
	if err != nil {
		return nil, fmt.Errorf("claiming actions: %w", known(err))
	}
	return claimed, nil
}

// Start is the last look in the moment before the call to the provider. Commit before the call:
// only a committed start keeps a crash from sending twice.
//
// With an empty Code, go, and settle before LeaseUntil. After [CodeCooldown] with an ID the
// reservation is kept: call Start again at OpensAt. After any other code do not call the provider:
// the reservation has ended, or the action was started before. Start is not idempotent on purpose:
// if its commit is uncertain and a second call returns [CodeAlreadyStarted], settle the action as
// unknown. If no other process has the reservation, the provider was not called: then settle it as
// throttled, and it is tried again.
func Start(ctx context.Context, tx pgx.Tx, reservationID int64) (Reservation, error) {
	r, err := reservation(tx.QueryRow(ctx, `
		SELECT coalesce(r.id, 0), coalesce(r.code, ''), r.opens_at, coalesce(r.kind, ''), coalesce(r.step, 0), r.lease_until
		FROM thaw.start($1::bigint) AS r`, reservationID))
	if err != nil {
		return r, fmt.Errorf("starting action %d: %w", reservationID, err)
	}
	return r, nil
}

// What to do with the enrollment of a refused action.
const (
	FailIfRefused = "fail" // the enrollment fails
	SkipIfRefused = "skip" // it goes on with the next step
	KeepIfRefused = "keep" // it tries the step again at NextAt, by default in a day
)

// A Settlement is what a sender reports. Only Outcome is required.
type Settlement struct {
	Outcome ActionOutcome
	// ProviderRef is the ID that the provider gave to the delivery, up to 256 characters.
	ProviderRef string
	// ErrorCode is the provider's code of an error, up to 256 characters.
	ErrorCode string
	// Until is when the limit of limited or throttled ends, at most 400 days ahead.
	Until time.Time
	// NextKind and NextAt are for campaigns without steps (thaw.campaign_steps): the next action.
	NextKind string
	NextAt   time.Time
	// IfRefused is one of the constants above. Default: [FailIfRefused].
	IfRefused string
	// Actor names the sender in the audit log, up to 256 characters. Default: the database role.
	Actor string
}

// Settle records what came of a started action and moves the prospect on. It returns the state of
// the action, which is [ActionUnknown] for a delivery without a ProviderRef. Settling again with
// the same outcome changes nothing, so it is safe to repeat; another outcome is an [ErrConflict].
func Settle(ctx context.Context, tx pgx.Tx, reservationID int64, s Settlement) (ActionState, error) {
	if s.IfRefused == "" {
		s.IfRefused = FailIfRefused
	}
	var state ActionState
	err := tx.QueryRow(ctx, `
		SELECT thaw.settle($1::bigint, $2::text, nullif($3, ''), nullif($4, ''), $5::timestamptz, nullif($6, ''), $7::timestamptz, $8::text,
			coalesce(nullif($9, ''), current_user))`,
		reservationID, string(s.Outcome), s.ProviderRef, s.ErrorCode, zeronull.Timestamptz(s.Until), s.NextKind, zeronull.Timestamptz(s.NextAt), s.IfRefused, s.Actor).Scan(&state)
	if err != nil {
		return "", fmt.Errorf("settling action %d as %q: %w", reservationID, s.Outcome, known(err))
	}
	return state, nil
}

// A Verification is what the provider's own list shows of an unknown action.
type Verification struct {
	// Outcome is [OutcomeVerifiedSent], or [OutcomeVerifiedAbsent], which makes the step possible
	// again.
	Outcome ActionOutcome
	// Reason is for the audit log, up to 1,000 characters. Required.
	Reason string
	// ProviderRef is the ID of the delivery, if the list has it.
	ProviderRef string
	// NextKind and NextAt are for campaigns without steps (thaw.campaign_steps): the next action.
	NextKind string
	NextAt   time.Time
	// Actor names the person or the program in the audit log, up to 256 characters. Default: the
	// database role.
	Actor string
}

// Verify settles an unknown action. It is for programs that read the provider's own list. Their
// role needs the right to call thaw.verify_action, which that of a sender does not have. An action
// that is not unknown is an [ErrConflict].
func Verify(ctx context.Context, tx pgx.Tx, reservationID int64, v Verification) (ActionState, error) {
	var state ActionState
	err := tx.QueryRow(ctx, `
		SELECT thaw.verify_action($1::bigint, $2::text, $3::text, coalesce(nullif($4, ''), current_user), nullif($5, ''), nullif($6, ''), $7::timestamptz)`,
		reservationID, string(v.Outcome), v.Reason, v.Actor, v.ProviderRef, v.NextKind, zeronull.Timestamptz(v.NextAt)).Scan(&state)
	if err != nil {
		return "", fmt.Errorf("settling action %d as %q: %w", reservationID, v.Outcome, known(err))
	}
	return state, nil
}

// How an invite ends at the provider.
const (
	InviteAccepted  = "accepted"
	InviteWithdrawn = "withdrawn"
)

// CloseInvite records that a sent invite was accepted or withdrawn. Until then it counts toward the
// ceiling of pending invites. A withdrawn invite may be repeated after three weeks, an accepted one
// never. It returns false if this was recorded before. An accepted invite that is reported as
// withdrawn is an [ErrConflict].
func CloseInvite(ctx context.Context, tx pgx.Tx, reservationID int64, as string) (isChanged bool, err error) {
	err = tx.QueryRow(ctx, "SELECT thaw.close_invite($1::bigint, $2::text)", reservationID, as).Scan(&isChanged)
	if err != nil {
		return false, fmt.Errorf("closing invite %d: %w", reservationID, known(err))
	}
	return isChanged, nil
}

func reservation(row pgx.Row) (r Reservation, err error) {
	err = row.Scan(&r.ID, &r.Code, &r.OpensAt, &r.Kind, &r.Step, &r.LeaseUntil)
	return r, known(err)
}

// known adds the error of this package that stands for an error of the database.
func known(err error) error {
	var raised *pgconn.PgError
	if !errors.As(err, &raised) {
		return err
	}
	switch raised.Code {
	case "22023":
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	case "P0002":
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case "55000":
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return err
}
