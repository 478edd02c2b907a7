package operator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/store"
)

// batchSize is how many prospects one transaction of a pause or a release changes. It locks the
// account for less than a tenth of a second.
const batchSize = 1000

// An Action is a recorded action. ID is its entry in the audit log (thaw.manual_actions), by which
// it can be undone; 0 if nothing changed, because the target was already in this state. Changed is
// how many prospects it changed; of a campaign 1.
type Action struct {
	ID      int64
	Changed int64
}

// What an action does, as thaw.manual_actions.what stores it.
const (
	paused  = "paused"
	resumed = "resumed"
)

// Hold puts an account on hold: until then, nothing is sent and no prospect resumes through it. An
// existing hold can only be extended.
func (o *Operator) Hold(ctx context.Context, account Account, until time.Time, reason string) (time.Time, error) {
	if err := o.forOperators("put an account on hold"); err != nil {
		return time.Time{}, err
	}
	a, err := o.account(ctx, account)
	if err != nil {
		return time.Time{}, err
	}
	return o.store.Trip().Hold(ctx, dbsqlc.HoldParams{
		Account: a.Account, Provider: a.Provider, Until: until, Reason: reason, Actor: o.actor,
	})
}

// CorrectHold changes the end of a mistaken hold to an earlier or a later time. A nil end ends the
// hold now. It reports whether the account is still on hold.
func (o *Operator) CorrectHold(ctx context.Context, account Account, until *time.Time, reason string) (isHeld bool, err error) {
	if err := o.forOperators("correct a hold"); err != nil {
		return false, err
	}
	a, err := o.account(ctx, account)
	if err != nil {
		return false, err
	}
	return o.store.Trip().CorrectHold(ctx, dbsqlc.CorrectHoldParams{
		Account: a.Account, Provider: a.Provider, Until: until, Reason: reason, Actor: o.actor,
	})
}

// EnterSafety enters safety mode, which lasts until a calm period or, with manualExit, until a
// person exits it. False: it was on already.
func (o *Operator) EnterSafety(ctx context.Context, reason string, manualExit bool) (bool, error) {
	if err := o.forOperators("enter safety mode"); err != nil {
		return false, err
	}
	return o.store.Trip().SafetyEnter(ctx, dbsqlc.SafetyEnterParams{Reason: reason, Actor: o.actor, ManualExit: manualExit})
}

// ExitSafety exits safety mode. False: it was off already.
func (o *Operator) ExitSafety(ctx context.Context, reason string) (bool, error) {
	if err := o.forOperators("exit safety mode"); err != nil {
		return false, err
	}
	return o.store.Trip().SafetyExit(ctx, dbsqlc.SafetyExitParams{Reason: reason, Actor: o.actor})
}

// AdoptInstance makes the database an instance of its own with the given name, or renames it. True:
// it was a copy.
func (o *Operator) AdoptInstance(ctx context.Context, name, reason string) (bool, error) {
	if err := o.forOperators("adopt an instance"); err != nil {
		return false, err
	}
	return o.store.Trip().AdoptInstance(ctx, dbsqlc.AdoptInstanceParams{Name: name, Reason: reason, Actor: o.actor})
}

// SetAutoResume switches auto-resume of a workspace. The reason is optional. False: it was so
// already, and only a new reason was stored.
func (o *Operator) SetAutoResume(ctx context.Context, workspace string, enabled bool, reason string) (bool, error) {
	if err := o.forOperators("switch auto-resume"); err != nil {
		return false, err
	}
	return o.store.Trip().SetAutoResume(ctx, dbsqlc.SetAutoResumeParams{
		WorkspaceKey: workspace, Enabled: enabled, Reason: store.OrNil(reason), Actor: o.actor,
	})
}

// SetHealCap sets how many prospects per tick the heals of a tenant may resume. Nil: these heals
// keep the caps of the tick.
func (o *Operator) SetHealCap(ctx context.Context, workspace string, limit *int32, reason string) error {
	if err := o.forOperators("set the heal cap of a workspace"); err != nil {
		return err
	}
	return o.store.Trip().SetHealCap(ctx, dbsqlc.SetHealCapParams{WorkspaceKey: workspace, HealCap: limit, Reason: reason, Actor: o.actor})
}

// PauseAccount pauses the prospects of an account that are active, wait for an account, or were
// paused by a restriction, until a person releases them. progress, which may be nil, is called with
// the number so far.
func (o *Operator) PauseAccount(ctx context.Context, account Account, reason string, progress func(int64)) (Action, error) {
	return o.actOnAccount(ctx, paused, account, reason, false, progress)
}

// ReleaseAccount requeues the prospects of an account that a restriction paused. The next sweeps
// resume them within the caps. evenByUser: also those that a person paused.
func (o *Operator) ReleaseAccount(
	ctx context.Context, account Account, reason string, evenByUser bool, progress func(int64),
) (Action, error) {
	return o.actOnAccount(ctx, resumed, account, reason, evenByUser, progress)
}

// actOnAccount works in batches and continues after the caller has gone, so that an action is not
// left half done by a closed browser.
func (o *Operator) actOnAccount(
	ctx context.Context, what string, account Account, reason string, evenByUser bool, progress func(int64),
) (action Action, err error) {
	if err := o.forOperators("pause or release prospects"); err != nil {
		return action, err
	}
	a, err := o.account(ctx, account)
	if err != nil {
		return action, err
	}
	ctx = context.WithoutCancel(ctx)
	action.ID, err = o.store.Trip().StartAction(ctx, dbsqlc.StartActionParams{
		What: what, Account: a.Account, Provider: a.Provider, Reason: reason, Actor: o.actor,
	})
	for changed := int32(batchSize); err == nil && changed == batchSize; {
		changed, err = o.store.Trip().ApplyActionBatch(ctx, dbsqlc.ApplyActionBatchParams{ActionID: action.ID, Size: batchSize, EvenByUser: evenByUser})
		action.Changed += int64(changed)
		if progress != nil {
			progress(action.Changed)
		}
	}
	return action, interrupted(action.Changed, err)
}

// interrupted says how far an action got before it failed.
func interrupted(total int64, err error) error {
	if err == nil || total == 0 {
		return err
	}
	p := &Problem{Kind: Unavailable, Message: err.Error(), cause: err}
	if known := AsProblem(err); known != nil {
		p.Kind, p.Message = known.Kind, known.Message
	}
	p.Message = fmt.Sprintf("%s, after %d prospects were changed", p.Message, total)
	p.Fix = "Take the action again for the others."
	return p
}

// A Prospect names a prospect by its URL, in any spelling. It is meant in all of its campaigns, or
// only in those of Workspace, or in Campaign of Workspace. In place of a URL, an ID of the platform
// is accepted, which stands for one enrollment.
type Prospect struct {
	URL       string
	Workspace string
	Campaign  string
}

// An Enrolled is the result of an action for one spelling of a prospect's URL.
type Enrolled struct {
	URL string
	Action
}

// PauseProspect pauses a prospect until a person releases it.
func (o *Operator) PauseProspect(ctx context.Context, prospect Prospect, reason string) ([]Enrolled, error) {
	return o.actOnProspect(ctx, paused, prospect, reason)
}

// ReleaseProspect requeues a prospect that a restriction or a person paused.
func (o *Operator) ReleaseProspect(ctx context.Context, prospect Prospect, reason string) ([]Enrolled, error) {
	return o.actOnProspect(ctx, resumed, prospect, reason)
}

// actOnProspect acts on the person, so it includes campaigns that have another spelling of the URL.
func (o *Operator) actOnProspect(ctx context.Context, what string, prospect Prospect, reason string) ([]Enrolled, error) {
	if err := o.forOperators("pause or release a prospect"); err != nil {
		return nil, err
	}
	rows, err := o.store.Read().EnrollmentIDs(ctx, explain.Spellings(prospect.URL))
	if err != nil {
		return nil, fmt.Errorf("looking for prospect %q: %w", prospect.URL, err)
	}
	urls := []string{}
	for _, row := range rows {
		// An ID of the platform stands for one enrollment, not for the prospect in all campaigns.
		if row.ExternalID == prospect.URL && row.ProspectUrl != prospect.URL {
			row.ProspectUrl = row.ExternalID
		}
		urls = append(urls, row.ProspectUrl)
	}
	slices.Sort(urls)
	urls = slices.Compact(urls)
	if len(urls) == 0 {
		urls = []string{prospect.URL} // the database says that it does not exist
	}
	var done []Enrolled
	var last error
	for _, url := range urls {
		acted, err := o.store.Trip().ActOnProspect(ctx, dbsqlc.ActOnProspectParams{
			What: what, ProspectUrl: url, WorkspaceKey: store.OrNil(prospect.Workspace), Campaign: store.OrNil(prospect.Campaign), Reason: reason, Actor: o.actor,
		})
		switch problem := AsProblem(err); {
		case err == nil:
			done = append(done, Enrolled{URL: url, Action: Action{ID: acted.ActionID, Changed: int64(acted.Changed)}})
		case problem != nil && problem.Kind == NotFound:
			last = err // this spelling is in another workspace or campaign
		default:
			return done, err
		}
	}
	switch {
	case len(done) > 0:
		return done, nil
	case prospect.Workspace != "" && len(rows) > 0:
		return nil, notFound("Look up the prospect to see its campaigns.", "workspace %q has no campaign with the prospect %s", prospect.Workspace, prospect.URL)
	}
	return nil, last
}

// PauseCampaign pauses a campaign: nothing of it is sent or resumed, and its prospects do not
// change.
func (o *Operator) PauseCampaign(ctx context.Context, workspace, campaign, reason string) (Action, error) {
	return o.actOnCampaign(ctx, paused, workspace, campaign, reason)
}

// StartCampaign starts a paused campaign again.
func (o *Operator) StartCampaign(ctx context.Context, workspace, campaign, reason string) (Action, error) {
	return o.actOnCampaign(ctx, resumed, workspace, campaign, reason)
}

func (o *Operator) actOnCampaign(ctx context.Context, what, workspace, campaign, reason string) (Action, error) {
	if err := o.forOperators("pause or start a campaign"); err != nil {
		return Action{}, err
	}
	id, err := o.store.Trip().ActOnCampaign(ctx, dbsqlc.ActOnCampaignParams{
		What: what, WorkspaceKey: workspace, Campaign: campaign, Reason: reason, Actor: o.actor,
	})
	return Action{ID: id, Changed: min(id, 1)}, err
}
