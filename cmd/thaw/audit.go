package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type auditCmd struct {
	database  `embed:""`
	listFlags `embed:""`
	Action    string        `help:"Only entries of this kind, for example paused, held or settings_changed." placeholder:"KIND" enum:",${actions}" default:""`
	Actor     string        `help:"Only entries by this actor, for example cli:jane or page:admin." placeholder:"NAME"`
	Workspace string        `help:"Only entries about this workspace, its accounts and its campaigns. It is named by ${workspace_id}." placeholder:"KEY"`
	Within    time.Duration `help:"Only entries of this period until now, for example 12h, 3d or 1w." placeholder:"DURATION"`
}

func (auditCmd) Help() string {
	return "The newest entries come first. The actor is the name that the calling program gave. The database role, which --json shows, is recorded by Postgres and cannot be chosen. " +
		"The last column has the command that undoes the action; \"thaw undo ID --dry-run\" says what it would restore.\n\n" +
		"Example:\n  thaw audit --workspace acme --within 3d\n  thaw audit --action safety_entered --json"
}

func (c *auditCmd) Validate() error {
	if c.Within < 0 {
		return fmt.Errorf("--within=%s: must be greater than zero", c.Within)
	}
	return c.listFlags.Validate()
}

// actionKinds lists the kinds of entries for the flag --action.
func actionKinds() string { return strings.Join(enum.Names(enum.ActionKinds), ",") }

// An auditLine is an entry in the JSON output.
type auditLine struct {
	readmodel.AuditEntry
	Undo string `json:"undo"` // the command that undoes it; empty if none does
}

func (c *auditCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		scope, err := workspaceScope(ctx, db, c.Workspace)
		if err != nil {
			return err
		}
		filter := readmodel.AuditFilter{Actor: c.Actor, What: c.Action, Within: c.Within}
		page, err := readmodel.Audit(ctx, db, scope, filter, readmodel.Paging{Limit: c.Limit})
		if err != nil {
			return err
		}
		if page.NextCursor != nil {
			defer c.sayUncounted(e, "entries")
		}
		if c.JSON {
			lines := make([]auditLine, len(page.Items))
			for i, entry := range page.Items {
				lines[i] = auditLine{entry, undoOf(entry)}
			}
			return writeJSON(e.stdout, lines)
		}
		t := newTable(numbers("ID"), fixed("AT (UTC)"), fixed("ACTION"), text("TARGET"), numbers("PROSPECTS"), text("BY"), text("REASON"), fixed("UNDO"))
		for _, entry := range page.Items {
			prospects := ""
			if entry.Changed != nil {
				prospects = number(*entry.Changed)
			}
			t.add(strconv.FormatInt(entry.ID, 10), minute(&entry.At, ""), entry.What, subjectOf(entry), prospects, entry.Actor, entry.Reason, undoOf(entry))
		}
		t.write(e.stdout)
		return nil
	})
}

// undoOf returns the command that undoes an entry, or "".
func undoOf(entry readmodel.AuditEntry) string {
	if !entry.CanUndo {
		return ""
	}
	return fmt.Sprintf("thaw undo %d", entry.ID)
}

// subjectOf names what an entry is about, as the page of the audit log does.
func subjectOf(entry readmodel.AuditEntry) string {
	switch {
	case entry.Undoes != nil:
		return fmt.Sprintf("action %d", *entry.Undoes)
	case entry.Account != "":
		return "account " + entry.Account
	case entry.ProspectURL != "":
		return entry.ProspectURL
	case entry.Campaign != "":
		return "campaign " + entry.Campaign + " of " + entry.Workspace
	case entry.Detail != "":
		return entry.Detail
	case entry.Workspace != "":
		return "workspace " + entry.Workspace
	case entry.HealID != nil:
		return fmt.Sprintf("heal %d", *entry.HealID)
	default:
		return "the fleet"
	}
}
