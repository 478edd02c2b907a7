package main

import (
	"context"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
)

type accountsCmd struct {
	Link accountsLinkCmd `cmd:"" help:"Link an account to the account that replaces it."`
}

func (accountsCmd) Help() string {
	return "Example:\n  thaw accounts link h_EKCy2lRLef5NzHp0iw4A acc_01h2 --reason \"moved to Unipile v2\""
}

type accountsLinkCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Old        string `arg:"" help:"The replaced account, named by ${account_id}."`
	New        string `arg:"" help:"The new account, named by ${account_id}."`
	Provider   string `help:"Provider of both accounts. Needed if several providers use an ID." placeholder:"NAME"`
}

func (accountsLinkCmd) Help() string {
	return "Use this for two accounts of one person that do not share a member_id. While one of them is connected, Thaw resumes the prospects of the other " +
		"through it. Both accounts must belong to the same workspace. The link is recorded in the audit log.\n\n" +
		"Example:\n  thaw accounts link h_EKCy2lRLef5NzHp0iw4A acc_01h2 --reason \"moved to Unipile v2\""
}

func (c *accountsLinkCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		err := db.Trip().LinkAccounts(ctx, dbsqlc.LinkAccountsParams{
			Old: c.Old, New: c.New, Reason: c.Reason, Actor: actor(), Provider: c.Provider,
		})
		if err != nil {
			return err
		}
		printf(e.stdout, "account %s is linked to account %s: the prospects of both are resumed through the connected one\n", c.Old, c.New)
		return nil
	})
}
