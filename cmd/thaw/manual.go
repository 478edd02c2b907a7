package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// actionBatchSize is how many prospects one transaction pauses or gives back: whoever waits for the account waits for less than a
// tenth of a second.
const actionBatchSize = 1000

// A decision of a person is about one of three things.
type action struct {
	database  `embed:""`
	why       `embed:""`
	Account   string `help:"All prospects of this account, by the provider's name for it." placeholder:"ID" xor:"target"`
	Campaign  string `help:"This campaign, of the workspace that --workspace names." placeholder:"KEY" xor:"target"`
	Prospect  string `help:"This prospect, in any spelling of its URL, in all of its campaigns or only in those of --workspace." placeholder:"URL" xor:"target"`
	Workspace string `help:"The workspace of the campaign, or of the prospect." placeholder:"KEY"`
	Provider  string `help:"The provider that calls the account so." default:"linkedin"`
	JSON      bool   `help:"Print JSON."`
}

// Validate wants exactly one of the three.
func (d *action) Validate() error {
	switch {
	case d.Account == "" && d.Campaign == "" && d.Prospect == "":
		return errors.New("name what it is about: --account, --campaign or --prospect")
	case d.Campaign != "" && d.Workspace == "":
		return errors.New("--campaign needs --workspace: the same key may be in several")
	case d.Account != "" && d.Workspace != "":
		return errors.New("--account is enough: leave out --workspace")
	}
	return nil
}

// A decided is what came of it, for programs.
type decided struct {
	Changed int64 `json:"changed"` // prospects; of a campaign: 1, or 0 where it was so already
}

// decide pauses or resumes: what is "paused" or "resumed", as the database calls it.
func (d *action) decide(ctx context.Context, e *env, what string, evenByUser bool) error {
	return withStore(ctx, e, d.database, func(db *store.Store) error {
		var result decided
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
			return total, fmt.Errorf("%d prospects were %s so far; run it again for the rest: %w", total, what, err)
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
	// The person is meant, not one spelling of the URL: what other campaigns have under another spelling is decided too.
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
		urls = []string{d.Prospect} // the database says what is wrong
	}
	slices.Sort(urls)
	var total int64
	found := false
	for _, url := range urls {
		params.ProspectUrl = url
		changed, err := db.Trip().ActOnProspect(ctx, params)
		inOthers := len(urls) > 1 && isNotFound(err) // in a workspace that is not meant
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
		return 0, fmt.Errorf("workspace %q has no campaign with the prospect %s: thaw explain says where it is", d.Workspace, d.Prospect)
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
		return fmt.Sprintf("campaign %s was %s already", d.Campaign, map[string]string{"paused": "paused by a person", "resumed": "running"}[what])
	case d.Campaign != "" && what == "paused":
		return fmt.Sprintf("campaign %s is paused; its prospects stay as they are, and nobody of it is resumed", d.Campaign)
	case d.Campaign != "":
		return fmt.Sprintf("campaign %s runs again; who waits in it is resumed by the next ticks, within their caps", d.Campaign)
	case what == "paused":
		return fmt.Sprintf("%d prospects are paused until a person resumes them", changed)
	default:
		return fmt.Sprintf("%d prospects are given back: the next ticks resume them, within their caps, when the account is connected", changed)
	}
}

// operator names who decides, for the record.
func operator() string { return "cli:" + login() }
