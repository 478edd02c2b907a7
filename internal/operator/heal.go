package operator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

// DefaultHealCap is the cap of a heal that does not name one, in prospects. It is the default of
// thaw.heal too.
const DefaultHealCap = 5000

// A Heal is a one-time resume of a backlog under its own cap. Its target is a workspace, an
// account, listed prospects, or the whole fleet. A workspace and an account together are the
// account, which must be in that workspace.
type Heal struct {
	// Fleet is a heal of the whole fleet. It needs a Rate.
	Fleet     bool
	Workspace string
	Account   string
	Provider  string
	// Prospects are URLs, or IDs of the platform. Each must be known; spellings do not matter.
	Prospects []string
	// Cap is the maximum number of prospects. Nil: DefaultHealCap; for a tenant, all that it may
	// still resume in this tick; for the fleet, all that wait.
	Cap *int32
	// Rate is how many prospects per minute may resume. Nil: as many as the workers can.
	Rate *int32
	// EvenIfOff also resumes prospects where auto-resume is off.
	EvenIfOff bool
	Reason    string // optional
}

// A HealPreview says what a heal would do now.
type HealPreview struct {
	Cap         int32
	Rate        int32 // 0: none
	Resumable   int64 // may resume now
	WouldResume int64
	Accounts    int64 // through which they resume
	// Remaining is how many of the resumable prospects the cap leaves to the sweeps, which need about
	// Ticks for them.
	Remaining int64
	Ticks     int64
	Tick      time.Duration
	// Blocked is how many prospects in the scope wait but may not resume now; of a list, also those
	// that do not wait.
	Blocked int64
	// Movable is how many prospects have not started and move away from an account that is gone,
	// counted up to 100,000. They are not part of the other numbers.
	Movable int64
}

// Lasts is how long the heal takes with its rate. 0: it has none.
func (p HealPreview) Lasts() time.Duration {
	if p.Rate == 0 {
		return 0
	}
	return time.Duration(p.WouldResume) * time.Minute / time.Duration(p.Rate)
}

// StartHeal starts a heal and returns its ID. Workers run it.
func (o *Operator) StartHeal(ctx context.Context, heal Heal) (int64, error) {
	start, err := o.heal(ctx, heal)
	if err != nil {
		return 0, err
	}
	return o.store.Trip().StartHeal(ctx, start)
}

// PreviewHeal returns what a heal would do, and changes nothing. It fails if the heal would fail.
func (o *Operator) PreviewHeal(ctx context.Context, heal Heal) (HealPreview, error) {
	start, err := o.heal(ctx, heal)
	if err != nil {
		return HealPreview{}, err
	}
	found, err := o.store.TryHeal(ctx, start)
	return previewOf(found), err
}

// HealScope returns what a heal that was started has yet to do.
func (o *Operator) HealScope(ctx context.Context, id int64) (HealPreview, error) {
	found, err := o.store.Trip().PreviewHeal(ctx, id)
	return previewOf(found), err
}

func previewOf(found dbsqlc.PreviewHealRow) HealPreview {
	would := min(found.Resumable, int64(found.Cap))
	return HealPreview{
		Cap: found.Cap, Rate: found.Rate, Resumable: found.Resumable, WouldResume: would, Accounts: found.Accounts,
		Remaining: found.Resumable - would, Ticks: found.Ticks, Tick: time.Duration(found.TickSeconds) * time.Second,
		Blocked: max(0, found.Waiting-found.Resumable), Movable: found.Movable,
	}
}

// StopHeal stops a running heal after its current batch. False: it was stopped already.
func (o *Operator) StopHeal(ctx context.Context, id int64, reason string) (bool, error) {
	if err := o.seesHeal(ctx, id); err != nil {
		return false, err
	}
	return o.store.Trip().StopHeal(ctx, dbsqlc.StopHealParams{HealID: id, Reason: reason, Actor: o.actor})
}

// ResumeHeal continues a stopped heal where it stopped. False: it is running already.
func (o *Operator) ResumeHeal(ctx context.Context, id int64, reason string) (bool, error) {
	if err := o.seesHeal(ctx, id); err != nil {
		return false, err
	}
	return o.store.Trip().ResumeHeal(ctx, dbsqlc.ResumeHealParams{HealID: id, Reason: reason, Actor: o.actor})
}

// seesHeal returns a problem if there is no such heal in the scope.
func (o *Operator) seesHeal(ctx context.Context, id int64) error {
	_, err := readmodel.HealByID(ctx, o.store, o.scope, id)
	if errors.Is(err, readmodel.ErrNotFound) {
		return notFound("Look at the list of heals.", "there is no heal %d", id)
	}
	return err
}

// heal finds the target of a heal and applies defaults and limits.
func (o *Operator) heal(ctx context.Context, heal Heal) (start dbsqlc.StartHealParams, err error) {
	start = dbsqlc.StartHealParams{
		EvenIfOff: heal.EvenIfOff, Actor: o.actor, Rate: heal.Rate, Reason: store.OrNil(strings.TrimSpace(heal.Reason)), IsFleet: heal.Fleet,
	}
	switch {
	case heal.Cap != nil && *heal.Cap < 1:
		return start, invalid(fmt.Sprintf("Use a number from 1 to %d.", math.MaxInt32), "the cap of a heal is %d", *heal.Cap)
	case heal.Cap != nil:
		start.Cap = *heal.Cap // otherwise 0: the default
	}
	if o.isTenant() {
		tenant := o.scope.WorkspaceID()
		start.TenantID = &tenant
		if heal.EvenIfOff {
			return start, o.forOperators("resume prospects where auto-resume is off")
		}
	}
	switch {
	case heal.Fleet && (heal.Workspace != "" || heal.Account != "" || len(heal.Prospects) > 0):
		err = invalid("Name only one of the two.", "the heal has two targets: the whole fleet, and a part of it")
	case heal.Fleet:
		err = o.forOperators("heal the whole fleet")
	case len(heal.Prospects) > 0:
		start.EnrollmentIds, err = o.enrollments(ctx, heal.Prospects)
	case heal.Account != "":
		var a dbsqlc.NamedAccountsRow
		if heal.Workspace != "" {
			if _, err := o.workspaceID(ctx, heal.Workspace); err != nil {
				return start, err
			}
		}
		a, err = o.account(ctx, Account{ID: heal.Account, Provider: heal.Provider, Workspace: heal.Workspace})
		start.AccountID = &a.ID
	case heal.Workspace != "":
		var id int64
		id, err = o.workspaceID(ctx, heal.Workspace)
		start.WorkspaceID = &id
	default:
		err = invalid("Name a workspace or an account, or heal the whole fleet with a rate.", "the heal has no target")
	}
	return start, err
}

// spellingsAtATime bounds the look-up of other spellings: each URL has about ten.
const spellingsAtATime = 1000

// enrollments returns the enrollments of prospects: those that are enrolled exactly so or, if there
// are none, under another spelling.
func (o *Operator) enrollments(ctx context.Context, urls []string) ([]int64, error) {
	if err := o.forOperators("heal listed prospects"); err != nil {
		return nil, err
	}
	var ids []int64
	known := make(map[string]bool)
	find := func(urls []string) error {
		rows, err := o.store.Read().EnrollmentIDs(ctx, urls)
		for _, row := range rows {
			ids = append(ids, row.ID)
			known[row.ProspectUrl] = true
			known[row.ExternalID] = true
		}
		return err
	}
	if err := find(urls); err != nil {
		return nil, fmt.Errorf("looking for prospects: %w", err)
	}
	unknown := slices.DeleteFunc(slices.Clone(urls), func(url string) bool { return known[url] })
	for part := range slices.Chunk(unknown, spellingsAtATime) {
		var spelled []string
		for _, url := range part {
			spelled = append(spelled, explain.Spellings(url)...)
		}
		if err := find(spelled); err != nil {
			return nil, fmt.Errorf("looking for other spellings of prospects: %w", err)
		}
	}
	unknown = slices.DeleteFunc(unknown, func(url string) bool {
		return slices.ContainsFunc(explain.Spellings(url), func(spelled string) bool { return known[spelled] })
	})
	if len(unknown) > 0 {
		return nil, notFound("Remove them, or use the URLs with which they were enrolled. Nothing was healed.",
			"%d of %d prospects not found, for example %s", len(unknown), len(urls), strings.Join(unknown[:min(3, len(unknown))], ", "))
	}
	return ids, nil
}
