package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/store"
)

type adoptRemoveCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Yes        bool `help:"Do not ask." short:"y"`
}

func (adoptRemoveCmd) Help() string {
	return "Puts all workspaces into shadow mode, drops the triggers, one table at a time, then the schema thaw_adopt, and revokes the grants. Nothing of Thaw is left in the platform's schemas. Changes that the platform has not taken are dropped. Thaw's copy stays.\n\nExample:\n  thaw adopt remove --reason \"the trial is over\""
}

func (c *adoptRemoveCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		pool := db.Pool()
		state, err := adopt.ReadState(ctx, pool)
		if err != nil {
			return err
		}
		tables, err := adopt.Tables(ctx, pool)
		if err != nil {
			return err
		}
		if state.StartedAt == nil && len(tables) == 0 {
			printf(e.stdout, "Nothing to remove: Thaw copies no tables of the platform, and no table has a trigger of Thaw's.\n")
			return nil
		}
		if !c.Yes {
			if err := confirmRemoval(e, state); err != nil {
				return err
			}
		}
		if m, err := adopt.Applied(ctx, pool); err == nil {
			tables = append(tables, m.Tables()...)
		}
		if _, err := operate(db).Record(ctx, enum.ActionAdoptionRemoved, "all triggers", c.Reason); err != nil {
			return err
		}
		if _, err := adopt.SetShadow(ctx, pool, "", true, c.Reason, actor()); err != nil {
			return err
		}
		if err := adopt.Uninstall(ctx, pool); err != nil {
			return err
		}
		left, err := adopt.Revoke(ctx, pool, tables)
		if err != nil {
			return err
		}
		if err := adopt.Stop(ctx, pool); err != nil {
			return err
		}
		printf(e.stdout, "Removed the triggers and the schema thaw_adopt. Thaw's copy stays in the schema thaw, and no longer changes.\n")
		if len(left) > 0 {
			printf(e.stdout, "These grants are left, because this role may not revoke them. As the owner of the tables or a superuser, run:\n  %s;\n", strings.Join(left, ";\n  "))
		}
		return nil
	})
}

func confirmRemoval(e *env, state adopt.State) error {
	if !isTerminalInput(e.stdin) {
		return errors.New("not removed: confirm with --yes")
	}
	printf(e.stderr, "Drop the triggers on the platform's tables, and %s that the platform has not taken? [y/N] ", many(state.Changes, "change"))
	answer, err := bufio.NewReader(e.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer := strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("not removed: nothing changed")
	}
	return nil
}
