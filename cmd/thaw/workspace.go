package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/thawline/thaw/internal/operator"
)

type workspaceCmd struct {
	Remove workspaceRemoveCmd `cmd:"" help:"Remove a workspace with everything that belongs to it. Cannot be undone."`
}

type workspaceRemoveCmd struct {
	database  `embed:""`
	Workspace string `arg:"" help:"The workspace, named by ${workspace_id}."`
	Reason    string `help:"Reason, for the audit log." placeholder:"TEXT"`
	Yes       bool   `help:"Remove it without asking." short:"y"`
	DryRun    bool   `help:"Show what would be removed without changing anything."`
	JSON      bool   `help:"Print JSON."`
}

func (workspaceRemoveCmd) Help() string {
	return "Removes the workspace's enrollments, accounts, campaigns, history, signals, plans, heals, messages, tokens and manual actions, in many short transactions. From the first one on, auto-resume of the workspace is off. Stop the platform's writes to the workspace first. " +
		"If the command is interrupted, run it again: it continues. On a terminal, it asks for the key of the workspace. In a script, it requires --yes. The audit log keeps that the workspace was removed, by whom and why.\n\n" +
		"Example:\n  thaw workspace remove acme --reason \"the contract ended\""
}

// Validate requires --reason, except for a dry run.
func (c *workspaceRemoveCmd) Validate() error {
	if c.Reason == "" && !c.DryRun {
		return errors.New("missing flags: --reason=TEXT")
	}
	return nil
}

// A workspaceRemoved is the JSON output of a removal.
type workspaceRemoved struct {
	Workspace   string `json:"workspace"`
	DryRun      bool   `json:"dry_run"`
	Accounts    int64  `json:"accounts"`
	Campaigns   int64  `json:"campaigns"`
	Enrollments int64  `json:"enrollments"`
}

func (c *workspaceRemoveCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		size, err := o.PreviewRemoval(ctx, c.Workspace)
		if err != nil {
			return err
		}
		result := workspaceRemoved{size.Key, c.DryRun, size.Accounts, size.Campaigns, size.Enrollments}
		if c.DryRun && !c.JSON {
			printf(e.stdout, "dry run: would remove workspace %s with %s, %s and %s; nothing changed\n",
				size.Key, many(size.Accounts, "account"), many(size.Campaigns, "campaign"), many(size.Enrollments, "enrollment"))
			return nil
		}
		if !c.DryRun {
			if err := c.confirm(e, result); err != nil {
				return err
			}
			shown := newProgress(e.stderr, "remove", "rows", -1)
			_, err := o.RemoveWorkspace(ctx, size.Key, c.Reason, func(removed, total int64) {
				shown.expect(total)
				shown.set(removed)
			})
			shown.finish()
			if err != nil {
				return err
			}
		}
		if c.JSON {
			return writeJSON(e.stdout, result)
		}
		printf(e.stdout, "workspace %s removed: %s, %s and %s\n",
			size.Key, many(size.Accounts, "account"), many(size.Campaigns, "campaign"), many(size.Enrollments, "enrollment"))
		return nil
	})
}

// confirm asks for the key of the workspace, because a removal cannot be undone.
func (c *workspaceRemoveCmd) confirm(e *env, what workspaceRemoved) error {
	if c.Yes {
		return nil
	}
	if !isTerminalInput(e.stdin) {
		return errors.New("a removal cannot be undone, and there is no terminal on which to confirm it: nothing changed\nTo confirm, add --yes")
	}
	printf(e.stderr, "This removes workspace %s with %s, %s and %s. It cannot be undone.\nType the key of the workspace, %s, to continue: ",
		what.Workspace, many(what.Accounts, "account"), many(what.Campaigns, "campaign"), many(what.Enrollments, "enrollment"), what.Workspace)
	typed, err := bufio.NewReader(io.LimitReader(e.stdin, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(typed) != what.Workspace {
		return errors.New("not removed: what you typed is not the key; nothing changed")
	}
	return nil
}
