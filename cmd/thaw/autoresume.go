package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type autoResumeCmd struct {
	On   autoResumeOnCmd   `cmd:"" help:"Switch automatic resuming of a workspace on."`
	Off  autoResumeOffCmd  `cmd:"" help:"Switch automatic resuming of a workspace off. After that, only a heal with --even-if-off resumes its prospects."`
	List autoResumeListCmd `cmd:"" help:"List all workspaces, with the switched-off ones first."`

	History autoResumeHistoryCmd `cmd:"" help:"Show the manual actions on a workspace, its accounts and its campaigns."`
}

func (autoResumeCmd) Help() string { return autoResumeOffCmd{}.Help() }

type autoResumeOnCmd struct {
	autoResumeSwitch `embed:""`
}

func (autoResumeOnCmd) Help() string {
	return "The next sweeps resume the prospects that became resumable in the meantime, within the usual caps.\n\nExample:\n  thaw auto-resume on acme --reason \"the audit is over\""
}

func (c *autoResumeOnCmd) Run(ctx context.Context, e *env) error { return c.set(ctx, e, true) }

type autoResumeOffCmd struct {
	autoResumeSwitch `embed:""`
}

func (autoResumeOffCmd) Help() string {
	return "Thaw does not notify the workspace. The reason is recorded in the audit log and shown by thaw explain.\n\nExample:\n  thaw auto-resume off acme --reason \"asked by Jane, until the audit is over\""
}

func (c *autoResumeOffCmd) Run(ctx context.Context, e *env) error { return c.set(ctx, e, false) }

type autoResumeSwitch struct {
	database  `embed:""`
	Workspace string  `arg:"" help:"The workspace, named by ${workspace_id}."`
	Reason    *string `help:"Reason, for the audit log." aliases:"why,note" placeholder:"TEXT"`
}

func (c *autoResumeSwitch) set(ctx context.Context, e *env, enabled bool) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		changed, err := o.SetAutoResume(ctx, c.Workspace, enabled, deref(c.Reason))
		switch {
		case err != nil:
			return err
		case !changed:
			printf(e.stdout, "No change: auto-resume of workspace %s is already %s. The earlier reason is in the history.\n", c.Workspace, onOff(enabled))
			return nil
		}
		printf(e.stdout, "auto-resume of workspace %s is %s\n", c.Workspace, onOff(enabled))
		return nil
	})
}

type autoResumeListCmd struct {
	database  `embed:""`
	listFlags `embed:""`
	State     string `help:"Only workspaces whose auto-resume is on, or off." placeholder:"on|off" enum:",on,off" default:""`
}

func (autoResumeListCmd) Help() string { return "Example:\n  thaw auto-resume list --state off" }

func (c *autoResumeListCmd) Validate() error { return c.listFlags.Validate() }

func (c *autoResumeListCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		params := dbsqlc.ListAutoResumeParams{Size: int32(c.Limit)}
		if c.State != "" {
			enabled := c.State == "on"
			params.Enabled = &enabled
		}
		rows, err := db.Read().ListAutoResume(ctx, params)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			defer c.sayMore(e, len(rows), rows[0].Total, "workspace")
		}
		if c.JSON {
			type line struct {
				Workspace  string     `json:"workspace"`
				AutoResume bool       `json:"auto_resume"`
				Reason     *string    `json:"reason"`
				ChangedAt  *time.Time `json:"changed_at"`
				ChangedBy  *string    `json:"changed_by"`
			}
			lines := make([]line, len(rows))
			for i, r := range rows {
				lines[i] = line{r.Key, r.AutoResume, r.AutoResumeReason, r.AutoResumeChangedAt, r.AutoResumeChangedBy}
			}
			return writeJSON(e.stdout, lines)
		}
		t := newTable(text("WORKSPACE"), fixed("AUTO-RESUME"), fixed("CHANGED (UTC)"), text("BY"), text("REASON"))
		for _, r := range rows {
			t.add(r.Key, onOff(r.AutoResume), minute(r.AutoResumeChangedAt, "never"), deref(r.AutoResumeChangedBy), deref(r.AutoResumeReason))
		}
		t.write(e.stdout)
		return nil
	})
}

type autoResumeHistoryCmd struct {
	database  `embed:""`
	listFlags `embed:""`
	Workspace string `arg:"" help:"The workspace, named by ${workspace_id}."`
}

func (autoResumeHistoryCmd) Help() string { return "Example:\n  thaw auto-resume history acme" }

func (c *autoResumeHistoryCmd) Validate() error { return c.listFlags.Validate() }

func (c *autoResumeHistoryCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		id, err := db.Read().WorkspaceID(ctx, c.Workspace)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("workspace %q does not exist: run \"thaw auto-resume list\" to list the workspaces", c.Workspace)
		} else if err != nil {
			return err
		}
		history, err := readmodel.WorkspaceHistory(ctx, db, id, c.Limit)
		if err != nil {
			return err
		}
		return printHistory(e, history, c.listFlags)
	})
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
