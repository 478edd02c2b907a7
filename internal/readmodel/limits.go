package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// AccountLimits are what limits the resumes through an account in the current tick, and all that
// blocks them.
type AccountLimits struct {
	Now        time.Time // by the clock of the database
	TickAt     time.Time
	TickLength time.Duration
	Jitter     time.Duration // the next actions of resumed prospects are spread over it

	// The quotas of the tick, and how much of each is used. Sweep and signals share the quota of the
	// account.
	Account, Sweep, Signal Quota

	Timezone       string     // of the account's owner; empty if unknown
	DisconnectedAt *time.Time // when the account last lost its connection
	ReconnectedAt  *time.Time // when its login succeeded, if the provider has not confirmed it
	FlappingUntil  *time.Time // until when a flapping account must stay connected; nil if it is not

	IsShadow         bool   // whether the workspace is in shadow mode
	ParkedReason     string // why the account is parked; empty if it is not
	AutoResumeOff    bool
	AutoResumeReason string
	SafetySince      *time.Time // nil if safety mode is off
	SafetyReason     string
	SafetyManualExit bool

	// Active is how many prospects of the account are active, counted up to maxCounted; with more,
	// HasMoreActive is true.
	Active        int64
	HasMoreActive bool
}

// Remaining is how many prospects the tick may still resume.
func (q Quota) Remaining() int { return max(0, q.Cap-q.Used) }

// Limits returns the limits of an account that exists.
func Limits(ctx context.Context, db *store.Store, accountID int64) (AccountLimits, error) {
	var r dbsqlc.AccountLimitsRow
	err := db.Snapshot(ctx, func(q *dbsqlc.Queries) (err error) {
		r, err = q.AccountLimits(ctx, dbsqlc.AccountLimitsParams{AccountID: accountID, AtMost: maxCounted + 1})
		return err
	})
	if err != nil {
		return AccountLimits{}, fmt.Errorf("limits of account %d: %w", accountID, err)
	}
	l := AccountLimits{
		Now: r.Now.UTC(), TickAt: r.TickAt.UTC(), TickLength: r.TickLength, Jitter: r.Jitter,
		Account: Quota{Used: int(r.AccountUsed), Cap: int(r.AccountCap)}, Sweep: Quota{Used: int(r.SweepUsed), Cap: int(r.FleetCap)}, Signal: Quota{Used: int(r.SignalUsed), Cap: int(r.SignalCap)},
		Timezone: r.Timezone, DisconnectedAt: utc(r.DisconnectedAt), ReconnectedAt: utc(r.ReconnectedAt),
		IsShadow: r.Shadow, ParkedReason: r.ParkedReason,
		AutoResumeOff: !r.AutoResume, AutoResumeReason: r.AutoResumeReason,
		SafetySince: utc(r.SafetySince), SafetyReason: r.SafetyReason, SafetyManualExit: r.SafetyManualExit,
		Active: min(r.Active, maxCounted), HasMoreActive: r.Active > maxCounted,
	}
	if r.IsFlapping {
		l.FlappingUntil = utc(r.ResumeAfter)
	}
	return l, nil
}
