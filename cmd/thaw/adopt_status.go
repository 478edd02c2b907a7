package main

import (
	"context"
	"io"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/store"
)

type adoptStatusCmd struct {
	database `embed:""`
	After    string `help:"Show workspaces after this key." placeholder:"KEY"`
	JSON     bool   `help:"Print JSON."`
}

func (adoptStatusCmd) Help() string {
	return "Shows the result of the last check, what the copy could not take from the platform's tables (parked and deferred rows, failed statements), and how many changes wait for the platform. Lists the workspaces with their mode, 100 at a time.\n\nExample:\n  thaw adopt status --json"
}

// Limits of the output of thaw adopt status.
const (
	shownWorkspaces = 100
	shownFailures   = 10
)

// adoptionStatus is the output of thaw adopt status --json. Times are RFC 3339.
type adoptionStatus struct {
	adopt.State
	Workspaces []adopt.WorkspaceState `json:"workspaces"`
	// After is the key for --after if there are more workspaces.
	After    string          `json:"after,omitempty"`
	Failures []adopt.Failure `json:"failures"` // the newest ones
	// WithoutZone is how many accounts send nothing because no time zone is known for them.
	WithoutZone int64 `json:"accounts_without_zone"`
}

func (c *adoptStatusCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		var s adoptionStatus
		var err error
		if s.State, err = adopt.ReadState(ctx, db.Pool()); err != nil {
			return err
		}
		if s.Workspaces, err = adopt.WorkspaceStates(ctx, db.Pool(), c.After, shownWorkspaces+1); err != nil {
			return err
		}
		if len(s.Workspaces) > shownWorkspaces {
			s.Workspaces = s.Workspaces[:shownWorkspaces]
			s.After = s.Workspaces[shownWorkspaces-1].Key
		}
		if s.Failures, err = adopt.Failures(ctx, db.Pool(), shownFailures); err != nil {
			return err
		}
		if s.WithoutZone, err = adopt.WithoutZone(ctx, db.Pool()); err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, s)
		}
		printAdoption(e.stdout, s)
		return nil
	})
}

func printAdoption(w io.Writer, s adoptionStatus) {
	if s.StartedAt == nil {
		printf(w, "Thaw copies no tables of the platform. To begin: thaw adopt init\n")
		return
	}
	printf(w, "Adopted since %s, phase %s.\n", stamp(*s.StartedAt), s.Phase)
	if s.CheckedAt == nil {
		printf(w, "Never compared.\n")
	} else {
		printf(w, "Last check %s: %s of %s with drift.\n", stamp(*s.CheckedAt), number(s.Drift), many(s.Rows, "row"))
	}
	for _, problem := range s.Problems {
		printf(w, "PROBLEM: %s\n", problem)
	}
	if s.CheckDueAt != nil {
		printf(w, "The copy of some rows may be wrong since %s: nothing is resumed through %s until thaw adopt check finds no problem and no drift.\n",
			stamp(*s.CheckDueAt), many(s.HeldAccounts, "account"))
	}
	printf(w, "Changes for the platform: %s waiting", number(s.Changes))
	if s.OldestChangeAt != nil {
		printf(w, ", the oldest since %s", stamp(*s.OldestChangeAt))
	}
	if s.Consumer.At != nil {
		printf(w, ".\nLast error of %s, %s: %s", *s.Consumer.Name, stamp(*s.Consumer.At), *s.Consumer.Error)
		if s.Consumer.EndedAt != nil {
			printf(w, ". It writes again since %s", stamp(*s.Consumer.EndedAt))
		}
	}
	printf(w, ".\nChanges of the platform that are not in the copy: %s parked, %s deferred, %s.\n",
		many(s.Parked, "row"), many(s.Deferred, "row"), many(s.Failed, "failed statement"))
	if s.WithoutZone > 0 {
		printf(w, "Nothing is sent through %s: no time zone is known. Set it in the column that accounts.timezone maps, or with thaw windows set.\n",
			many(s.WithoutZone, "account"))
	}
	for _, f := range s.Failures {
		printf(w, "  %s %s: %s (%s, %s)\n", f.Kind, f.ID, f.Problem, f.Code, stamp(f.At))
	}
	if len(s.Workspaces) == 0 {
		return
	}
	printf(w, "\n")
	list := newTable(text("workspace"), text("external id"), fixed("mode"), numbers("accounts"), numbers("held"))
	for _, workspace := range s.Workspaces {
		mode := "live"
		if workspace.IsShadow {
			mode = "shadow"
		}
		list.add(workspace.Key, workspace.ExternalID, mode, number(workspace.Accounts), number(workspace.ParkedAccounts))
	}
	list.write(w)
	if s.After != "" {
		printf(w, "More: thaw adopt status --after %s\n", s.After)
	}
}
