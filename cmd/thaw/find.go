package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/thawline/thaw/internal/lookup"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type findCmd struct {
	database  `embed:""`
	Text      []string `arg:"" help:"What to find: one or more URLs, a profile name, the name of a person, an account or a campaign, an ID, or an e-mail address."`
	Kind      string   `help:"Find only this kind: ${enum}." enum:"all,prospects,accounts,campaigns,workspaces" default:"all"`
	Workspace string   `help:"Find only in this workspace, named by ${workspace_id}." placeholder:"KEY"`
	Limit     int      `help:"Number of results per kind, at most 200." default:"10"`
	JSON      bool     `help:"Print JSON, in the format of GET /api/v1/search."`
}

func (findCmd) Help() string {
	return "Case, accents, apostrophes, quotes and spaces do not matter. Prospects have no name in the database: the name of a person finds a " +
		"prospect if the last part of its profile URL begins with that name. Exits with 1 if nothing is found, and then says what was tried.\n\n" +
		"Example:\n  thaw find jane doe\n  thaw find \"https://www.linkedin.com/sales/lead/ACwAAB12,NAME_SEARCH,x1\" --json"
}

func (c *findCmd) Validate() error {
	if c.Limit < 1 || c.Limit > readmodel.MaxLimit {
		return fmt.Errorf("--limit=%d: must be between 1 and %d", c.Limit, readmodel.MaxLimit)
	}
	return lookup.Check(strings.Join(c.Text, " "))
}

func (c *findCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		scope, err := workspaceScope(ctx, db, c.Workspace)
		if err != nil {
			return err
		}
		filter := readmodel.SearchFilter{Paging: readmodel.Paging{Limit: c.Limit}}
		if c.Kind != "all" {
			filter.Kind = c.Kind
		}
		wanted := strings.Join(c.Text, " ")
		found, err := readmodel.Search(ctx, db, scope, wanted, filter)
		if err != nil {
			return err
		}
		if c.JSON {
			err = writeJSON(e.stdout, found)
		} else if !found.IsEmpty() {
			printFound(e.stdout, found)
		}
		switch {
		case err != nil:
			return err
		case found.IsEmpty() && c.JSON:
			return errSilent
		case found.IsEmpty():
			return notFound("result", wanted, found, "")
		case found.Omitted > 0:
			printf(e.stderr, "%s of the text not looked up: a search looks up the first %d\n", many(found.Omitted, "URL"), lookup.MaxItems)
		}
		return nil
	})
}

// printFound prints a table per kind.
func printFound(out io.Writer, f readmodel.Found) {
	kinds := 0
	print := func(kind string, n int, next *string, t *table) {
		if n == 0 {
			return
		}
		if kinds++; kinds > 1 {
			printLine(out, "")
		}
		t.write(out)
		if next != nil {
			printf(out, "More %s match: use --limit 200, --kind %s, or a longer text.\n", kind, kind)
		}
	}
	t := newTable(text("PROSPECT"), text("CAMPAIGN"), text("WORKSPACE"), text("ACCOUNT"), fixed("STATUS"))
	for _, p := range f.Prospects {
		t.add(p.ProspectURL, p.Campaign, p.Workspace, p.Account, p.Status)
	}
	print("prospects", len(f.Prospects), f.Next.Prospects, t)
	t = newTable(text("ACCOUNT"), text("NAME"), text("WORKSPACE"), text("PROVIDER"), fixed("STATUS"))
	for _, a := range f.Accounts {
		t.add(a.Account, a.Name, a.Workspace, a.Provider, a.Status)
	}
	print("accounts", len(f.Accounts), f.Next.Accounts, t)
	t = newTable(text("CAMPAIGN"), text("NAME"), text("WORKSPACE"), fixed("STATUS"))
	for _, c := range f.Campaigns {
		t.add(c.Campaign, c.Name, c.Workspace, c.Status)
	}
	print("campaigns", len(f.Campaigns), f.Next.Campaigns, t)
	t = newTable(text("WORKSPACE"), text("NAME"))
	for _, w := range f.Workspaces {
		t.add(w.Workspace, w.Name)
	}
	print("workspaces", len(f.Workspaces), f.Next.Workspaces, t)
}
