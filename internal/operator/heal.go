package operator

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/explain"
)

// DefaultHealCap is the cap of a heal that does not name one, in prospects. It is the default of
// thaw.heal too.
const DefaultHealCap = 5000

// A Heal is a one-time resume of a backlog under its own cap. Its target is a workspace, an account,
// or listed prospects. A workspace and an account together are the account, which must be in that
// workspace.
type Heal struct {
	Workspace string
	Account   string
	Provider  string
	// Prospects are URLs. Each must be known; spellings do not matter.
	Prospects []string
	// Cap is the maximum number of prospects. Nil: DefaultHealCap or, for a tenant, all that it may
	// still resume in this tick.
	Cap *int32
	// EvenIfOff also resumes prospects where auto-resume is off.
	EvenIfOff bool
}

// A HealPreview says what a heal would do now.
type HealPreview struct {
	Cap         int32
	Resumable   int64 // may resume now
	WouldResume int64
	Accounts    int64
}

// StartHeal starts a heal and returns its ID. Workers run it.
func (o *Operator) StartHeal(ctx context.Context, heal Heal) (int64, error) {
	start, err := o.heal(ctx, heal)
	if err != nil {
		return 0, err
	}
	return o.store.StartHeal(ctx, start)
}

// PreviewHeal returns what a heal would do, and changes nothing. It fails if the heal would fail.
func (o *Operator) PreviewHeal(ctx context.Context, heal Heal) (HealPreview, error) {
	start, err := o.heal(ctx, heal)
	if err != nil {
		return HealPreview{}, err
	}
	scope, err := o.store.TryHeal(ctx, start)
	return HealPreview{
		Cap: scope.Cap, Resumable: scope.Waiting, WouldResume: min(scope.Waiting, int64(scope.Cap)), Accounts: scope.Accounts,
	}, err
}

// heal finds the target of a heal and applies defaults and limits.
func (o *Operator) heal(ctx context.Context, heal Heal) (start dbsqlc.StartHealParams, err error) {
	start = dbsqlc.StartHealParams{EvenIfOff: heal.EvenIfOff, Actor: o.actor}
	switch {
	case heal.Cap != nil && *heal.Cap < 1:
		return start, invalid(fmt.Sprintf("Use a number from 1 to %d.", math.MaxInt32), "the cap of a heal is %d", *heal.Cap)
	case heal.Cap != nil:
		start.Cap = *heal.Cap
	case !o.isTenant():
		start.Cap = DefaultHealCap
	}
	if o.isTenant() {
		tenant := o.scope.WorkspaceID()
		start.TenantID = &tenant
		if heal.EvenIfOff {
			return start, o.forOperators("resume prospects where auto-resume is off")
		}
	}
	switch {
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
		err = invalid("Name a workspace or an account.", "the heal has no target")
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
		rows, err := o.store.EnrollmentIDs(ctx, urls)
		for _, row := range rows {
			ids = append(ids, row.ID)
			known[row.ProspectUrl] = true
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
