package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

// An action is a manual pause or resume of an account, a campaign or a prospect.
type action struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Account    string `help:"All prospects of this account, named by ${account_id}, or by its name." placeholder:"ID" xor:"target"`
	Campaign   string `help:"This campaign of the workspace in --workspace, named by ${campaign_id}." placeholder:"KEY" xor:"target"`
	Prospect   string `help:"This prospect, named by ${prospect_id}. A Sales Navigator URL and the last part of its profile URL are also accepted. Applies to all of its campaigns, or only to those of --workspace." placeholder:"URL" xor:"target"`
	AllMatches bool   `help:"With --prospect, act on every prospect that matches, including those that match only by a name. With --json, one object is printed per prospect."`
	Workspace  string `help:"Workspace of the campaign or prospect, named by ${workspace_id}." placeholder:"KEY"`
	Provider   string `help:"Provider of the account, if several providers use its ID." placeholder:"NAME"`
	JSON       bool   `help:"Print JSON."`
}

// Validate requires exactly one target.
func (d *action) Validate() error {
	switch {
	case d.Account == "" && d.Campaign == "" && d.Prospect == "":
		return errors.New("no target given: pass --account, --campaign or --prospect")
	case d.Campaign != "" && d.Workspace == "":
		return errors.New("--campaign requires --workspace, because several workspaces may have the same campaign key")
	case d.Account != "" && d.Workspace != "":
		return errors.New("--account and --workspace cannot be combined: leave out --workspace")
	}
	return nil
}

// An acted is the JSON output of an action.
type acted struct {
	Changed int64 `json:"changed"` // prospects; for a campaign 1, or 0 if it did not change
	// ActionIDs are the entries of the audit log, for thaw undo: one per spelling of a prospect's URL.
	ActionIDs []int64 `json:"action_ids"`
}

func (a *acted) add(action operator.Action) {
	a.Changed += action.Changed
	if action.ID != 0 && action.Changed > 0 {
		a.ActionIDs = append(a.ActionIDs, action.ID)
	}
}

// apply pauses or resumes the target. The parameter what is "paused" or "resumed", as in the
// database.
func (d *action) apply(ctx context.Context, e *env, what string, evenByUser bool) error {
	return withOperator(ctx, e, d.database, func(o *operator.Operator) error {
		result := acted{ActionIDs: []int64{}}
		var err error
		switch {
		case d.Account != "":
			err = d.account(ctx, e, o, what, evenByUser, &result)
		case d.Campaign != "":
			err = d.campaign(ctx, o, what, &result)
		default:
			err = d.prospect(ctx, e, o, what, &result)
		}
		if err != nil {
			return err
		}
		if d.JSON {
			return writeJSON(e.stdout, result)
		}
		printLine(e.stdout, d.describe(what, result.Changed))
		for _, id := range result.ActionIDs {
			printf(e.stdout, "To undo: thaw undo %d --reason …\n", id)
		}
		return nil
	})
}

func (d *action) account(ctx context.Context, e *env, o *operator.Operator, what string, evenByUser bool, result *acted) error {
	shown := newProgress(e.stderr, what, "prospects", -1)
	defer shown.finish()
	account := operator.Account{ID: d.Account, Provider: d.Provider}
	var done operator.Action
	var err error
	if what == "paused" {
		done, err = o.PauseAccount(ctx, account, d.Reason, shown.set)
	} else {
		done, err = o.ReleaseAccount(ctx, account, d.Reason, evenByUser, shown.set)
	}
	result.add(done)
	return err
}

func (d *action) campaign(ctx context.Context, o *operator.Operator, what string, result *acted) error {
	act := o.StartCampaign
	if what == "paused" {
		act = o.PauseCampaign
	}
	done, err := act(ctx, d.Workspace, d.Campaign, d.Reason)
	result.add(done)
	return err
}

func (d *action) prospect(ctx context.Context, e *env, o *operator.Operator, what string, result *acted) error {
	act := o.ReleaseProspect
	if what == "paused" {
		act = o.PauseProspect
	}
	done, err := act(ctx, operator.Prospect{URL: d.Prospect, Workspace: d.Workspace}, d.Reason)
	for _, enrolled := range done {
		result.add(enrolled.Action)
		if enrolled.URL != d.Prospect {
			printf(e.stderr, "enrolled as %s: %d %s\n", enrolled.URL, enrolled.Changed, what)
		}
	}
	return err
}

func (d *action) describe(what string, changed int64) string {
	switch {
	case d.Campaign != "" && changed == 0:
		return fmt.Sprintf("no change: campaign %s is already %s", d.Campaign, map[string]string{"paused": "paused by a person", "resumed": "running"}[what])
	case d.Campaign != "" && what == "paused":
		return fmt.Sprintf("campaign %s is paused: its prospects do not change, and none of them is resumed", d.Campaign)
	case d.Campaign != "":
		return fmt.Sprintf("campaign %s is running: the next sweeps resume its paused prospects, within their caps", d.Campaign)
	case what == "paused" && changed == 1:
		return "1 prospect paused until a person resumes it"
	case what == "paused":
		return many(changed, "prospect") + " paused until a person resumes them"
	case changed == 0 && d.Account == "":
		return "no change: no person and no restriction paused this prospect"
	case changed == 0:
		return "no change: no prospect was paused by a restriction. Prospects that a person paused stay paused: use thaw undo on that action, or --even-by-user for all of them"
	case changed == 1:
		return "1 prospect requeued: the next sweeps resume it, within their caps, once the account is connected"
	default:
		return many(changed, "prospect") + " requeued: the next sweeps resume them, within their caps, once the account is connected"
	}
}

// actor names the operating-system user, for the audit log.
func actor() string { return "cli:" + login() }

// withOperator runs a command that takes actions.
func withOperator(ctx context.Context, e *env, d database, do func(*operator.Operator) error) error {
	return withStore(ctx, e, d, func(db *store.Store) error { return do(operate(db)) })
}

// operate returns the operator who acts through the command line.
func operate(db *store.Store) *operator.Operator {
	return operator.New(db, readmodel.Everything(), actor())
}
