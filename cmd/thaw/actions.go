package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type actionsCmd struct {
	List   actionsListCmd   `cmd:"" default:"withargs" help:"List the actions of senders, newest first. The word list can be left out."`
	Settle actionsSettleCmd `cmd:"" help:"Settle an action of which the outcome is unknown, after a look at the provider."`
}

func (actionsCmd) Help() string { return "Example:\n  thaw actions --unknown" }

type actionsListCmd struct {
	database  `embed:""`
	listFlags `embed:""`
	Unknown   bool   `help:"Only actions of which the outcome is unknown. Same as --state unknown."`
	State     string `help:"Only actions in this state: ${action_states}." placeholder:"STATE" enum:",${action_states}" default:""`
	Kind      string `help:"Only actions of this kind, for example invite." placeholder:"KIND"`
	Account   string `help:"Only actions of this account, named by ${account_id}, or by its name." placeholder:"ID"`
	Workspace string `help:"Only actions of this workspace, named by ${workspace_id}." placeholder:"KEY"`
	Cursor    string `help:"Continue the list after this position, from next_cursor of an earlier --json." placeholder:"TEXT"`
}

func (actionsListCmd) Help() string {
	return "The ledger of sending: each reservation with what came of it. With --json, an object with items and next_cursor is printed.\n\n" +
		"Example:\n  thaw actions list --account h_EKCy2lRLef5NzHp0iw4A --state sent"
}

func (c *actionsListCmd) Validate() error {
	if c.Unknown && c.State != "" {
		return errors.New("--unknown and --state cannot be combined: pass one of them")
	}
	return c.listFlags.Validate()
}

func (c *actionsListCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		scope, err := workspaceScope(ctx, db, c.Workspace)
		if err != nil {
			return err
		}
		filter := readmodel.SendingFilter{State: c.State, Kind: c.Kind}
		if c.Unknown {
			filter.State = "unknown"
		}
		if c.Account != "" {
			if filter.AccountID, err = accountID(ctx, e, db, scope, c.Account); err != nil {
				return err
			}
		}
		page, err := readmodel.SendingActions(ctx, db, scope, filter, readmodel.Paging{Limit: c.Limit, Cursor: c.Cursor})
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, page)
		}
		if page.NextCursor != nil {
			defer printf(e.stderr, "There are more actions: use a filter, --limit, or --cursor %s.\n", *page.NextCursor)
		}
		t := newTable(numbers("ID"), fixed("STATE"), fixed("KIND"), text("ACCOUNT"), text("CAMPAIGN"), text("PROSPECT"), fixed("RESERVED (UTC)"), text("REF OR ERROR"))
		for _, a := range page.Items {
			ref := deref(a.ProviderRef)
			if ref == "" {
				ref = deref(a.ErrorCode)
			}
			t.add(strconv.FormatInt(a.ID, 10), a.State, a.Kind, a.Account, a.Campaign, a.ProspectURL, minute(&a.ReservedAt, ""), ref)
		}
		t.write(e.stdout)
		return nil
	})
}

// accountID returns Thaw's ID of the only account that a text identifies.
func accountID(ctx context.Context, e *env, db *store.Store, scope readmodel.Scope, text string) (int64, error) {
	account, err := resolveAccount(ctx, e, db, text)
	if err != nil {
		return 0, err
	}
	ids, err := readmodel.AccountIDs(ctx, db, scope, account)
	switch {
	case err != nil:
		return 0, err
	case len(ids) == 0:
		return 0, fmt.Errorf("there is no account %q: use its provider account ID or the platform's own ID", text)
	case len(ids) > 1:
		return 0, fmt.Errorf("%d accounts have the ID %q: pass --workspace too", len(ids), text)
	}
	return ids[0], nil
}

type actionsSettleCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	ID         int64  `arg:"" help:"ID of the action, from thaw actions --unknown."`
	As         string `help:"What the provider shows: verified_sent if the action was delivered, verified_absent if it was not." placeholder:"OUTCOME" enum:"verified_sent,verified_absent" required:""`
}

func (actionsSettleCmd) Help() string {
	return "An action is unknown if the sender got no answer of the provider, or crashed. It counts toward the caps, and is never repeated automatically. " +
		"verified_absent restores the quota, and the step may be sent again.\n\n" +
		"Example:\n  thaw actions settle 71 --as verified_sent --reason \"the invite is in her list\""
}

func (c *actionsSettleCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		state, err := o.VerifyAction(ctx, c.ID, operator.Verification{Outcome: c.As, Reason: c.Reason})
		if err != nil {
			return err
		}
		printf(e.stdout, "action %d is %s\n", c.ID, state)
		return nil
	})
}
