package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/store"
)

// actionBatchSize is how many prospects one transaction pauses or requeues. A batch locks the
// account for less than a tenth of a second.
const actionBatchSize = 1000

// An action is a manual pause or resume of an account, a campaign or a prospect.
type action struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Account    string `help:"All prospects of this account, by its provider account ID." placeholder:"ID" xor:"target"`
	Campaign   string `help:"This campaign of the workspace in --workspace." placeholder:"KEY" xor:"target"`
	Prospect   string `help:"This prospect, in any spelling of its URL. Applies to all of its campaigns, or only to those of --workspace." placeholder:"URL" xor:"target"`
	Workspace  string `help:"Workspace of the campaign or prospect." placeholder:"KEY"`
	Provider   string `help:"Provider of the account." default:"linkedin"`
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
}

// apply pauses or resumes the target. The parameter what is "paused" or "resumed", as in the
// database.
func (d *action) apply(ctx context.Context, e *env, what string, evenByUser bool) error {
	return withStore(ctx, e, d.database, func(db *store.Store) error {
		var result acted
		var err error
		switch {
		case d.Account != "":
			result.Changed, err = d.account(ctx, e, db, what, evenByUser)
		case d.Campaign != "":
			result.Changed, err = d.campaign(ctx, db, what)
		default:
			result.Changed, err = d.prospect(ctx, e, db, what)
		}
		if err != nil {
			return err
		}
		if d.JSON {
			return writeJSON(e.stdout, result)
		}
		printLine(e.stdout, d.describe(what, result.Changed))
		return nil
	})
}

func (d *action) account(ctx context.Context, e *env, db *store.Store, what string, evenByUser bool) (int64, error) {
	id, err := db.StartAction(ctx, dbsqlc.StartActionParams{
		What: what, Account: d.Account, Provider: d.Provider, Reason: d.Reason, Actor: operator(),
	})
	if err != nil {
		return 0, err
	}
	shown := newProgress(e.stderr, what, "prospects", -1)
	defer shown.finish()
	for total := int64(0); ; {
		changed, err := db.Trip().ApplyActionBatch(ctx, dbsqlc.ApplyActionBatchParams{ActionID: id, Size: actionBatchSize, EvenByUser: evenByUser})
		total += int64(changed)
		if err != nil {
			return total, fmt.Errorf("%d prospects %s so far; run the command again for the remaining ones: %w", total, what, err)
		}
		shown.set(total)
		if changed < actionBatchSize {
			return total, nil
		}
	}
}

func (d *action) campaign(ctx context.Context, db *store.Store, what string) (int64, error) {
	changed, err := db.Trip().ActOnCampaign(ctx, dbsqlc.ActOnCampaignParams{
		What: what, WorkspaceKey: d.Workspace, Campaign: d.Campaign, Reason: d.Reason, Actor: operator(),
	})
	if changed {
		return 1, err
	}
	return 0, err
}

func (d *action) prospect(ctx context.Context, e *env, db *store.Store, what string) (int64, error) {
	params := dbsqlc.ActOnProspectParams{What: what, ProspectUrl: d.Prospect, Reason: d.Reason, Actor: operator()}
	if d.Workspace != "" {
		params.WorkspaceKey = &d.Workspace
	}
	// The action applies to the person, so it includes campaigns that have another spelling of the
	// URL.
	rows, err := db.EnrollmentIDs(ctx, explain.Spellings(d.Prospect))
	if err != nil {
		return 0, err
	}
	urls := []string{}
	for _, row := range rows {
		if !slices.Contains(urls, row.ProspectUrl) {
			urls = append(urls, row.ProspectUrl)
		}
	}
	if len(urls) == 0 {
		urls = []string{d.Prospect} // let the database return the error
	}
	slices.Sort(urls)
	var total int64
	found := false
	for _, url := range urls {
		params.ProspectUrl = url
		changed, err := db.Trip().ActOnProspect(ctx, params)
		inOthers := len(urls) > 1 && isNotFound(err) // this spelling is in another workspace only
		if err != nil && !inOthers {
			return total, err
		}
		if err == nil {
			found = true
			total += int64(changed)
			if url != d.Prospect {
				printf(e.stderr, "enrolled as %s: %d %s\n", url, changed, what)
			}
		}
	}
	if !found {
		return 0, fmt.Errorf("workspace %q has no campaign with the prospect %s: run \"thaw explain\" to see its campaigns", d.Workspace, d.Prospect)
	}
	return total, nil
}

func isNotFound(err error) bool {
	const noDataFound = "P0002"
	fromPostgres, ok := errors.AsType[*pgconn.PgError](err)
	return ok && fromPostgres.Code == noDataFound
}

func (d *action) describe(what string, changed int64) string {
	switch {
	case d.Campaign != "" && changed == 0:
		return fmt.Sprintf("no change: campaign %s is already %s", d.Campaign, map[string]string{"paused": "paused by a person", "resumed": "running"}[what])
	case d.Campaign != "" && what == "paused":
		return fmt.Sprintf("campaign %s is paused: its prospects do not change, and none of them is resumed", d.Campaign)
	case d.Campaign != "":
		return fmt.Sprintf("campaign %s is running: the next ticks resume its paused prospects, within their caps", d.Campaign)
	case what == "paused":
		return fmt.Sprintf("%d prospects paused until a person resumes them", changed)
	default:
		return fmt.Sprintf("%d prospects requeued: the next ticks resume them, within their caps, once the account is connected", changed)
	}
}

// operator names the actor for the audit log.
func operator() string { return "cli:" + login() }
