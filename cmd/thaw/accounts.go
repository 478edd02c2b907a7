package main

import (
	"context"

	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/schema/dbsqlc"
)

type accountsCmd struct {
	Link accountsLinkCmd `cmd:"" help:"Link an account to the one that replaces it."`
}

func (accountsCmd) Help() string {
	return "Example:\n  thaw accounts link h_EKCy2lRLef5NzHp0iw4A acc_01h2 --reason \"moved to Unipile v2\""
}

type accountsLinkCmd struct {
	database `embed:""`
	why      `embed:""`
	Old      string `arg:"" help:"Provider account ID of the account that was replaced."`
	New      string `arg:"" help:"Provider account ID of the account that replaces it."`
	Provider string `help:"Provider of both accounts." default:"linkedin"`
}

func (accountsLinkCmd) Help() string {
	return "For two accounts of one person where no member_id says so. The prospects of each are resumed through the other while that is " +
		"connected. Both accounts must belong to one workspace. The link is recorded in the audit log.\n\n" +
		"Example:\n  thaw accounts link h_EKCy2lRLef5NzHp0iw4A acc_01h2 --reason \"moved to Unipile v2\""
}

func (c *accountsLinkCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		err := db.LinkAccounts(ctx, dbsqlc.LinkAccountsParams{
			Old: c.Old, New: c.New, Reason: c.Reason, Actor: operator(), Provider: c.Provider,
		})
		if err != nil {
			return err
		}
		printf(e.stdout, "account %s is linked to account %s: prospects of each are resumed through the one that is connected\n", c.Old, c.New)
		return nil
	})
}
