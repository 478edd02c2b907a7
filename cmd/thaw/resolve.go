package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

// listed is how many matches an error lists.
const listed = 10

// resolved is how many matches of a prospect or an account are read. --all-matches changes at most
// this many.
const resolved = 100

// findPeople returns the prospects that a pasted text may mean. If it identifies one, it returns
// only that one.
func findPeople(ctx context.Context, db *store.Store, text, workspace string) (people []readmodel.Person, found readmodel.Found, err error) {
	scope, err := readmodel.Everything().Workspace(ctx, db, workspace)
	if errors.Is(err, readmodel.ErrNotFound) {
		return nil, found, unknownWorkspace(workspace)
	} else if err != nil {
		return nil, found, err
	}
	found, err = readmodel.Search(ctx, db, scope, text, readmodel.SearchFilter{Kind: "prospects", Paging: readmodel.Paging{Limit: resolved}})
	if err != nil {
		return nil, found, err
	}
	people = readmodel.People(found.Prospects)
	if len(people) > 0 && people[0].Match.Identifies() && (len(people) == 1 || !people[1].Match.Identifies()) {
		people = people[:1]
	}
	return people, found, nil
}

// resolveProspects returns the prospects that a pasted text identifies, each by one of the URLs
// under which it is enrolled. A text that several prospects match, or one only by its name, is an
// error that lists them, unless all matches are wanted.
func resolveProspects(ctx context.Context, db *store.Store, text, workspace string, allMatches bool) ([]string, error) {
	people, found, err := findPeople(ctx, db, text, workspace)
	switch {
	case err != nil:
		return nil, err
	case len(people) == 0:
		return nil, notFound("prospect", text, found, "; nothing changed")
	case allMatches && found.Next.Prospects != nil:
		return nil, fmt.Errorf("more than %d enrollments match %q: nothing changed; use a longer text", resolved, text)
	case !allMatches && (len(people) > 1 || !people[0].Match.Identifies()):
		return nil, ambiguousProspect(text, people, found.Next.Prospects != nil)
	}
	urls := make([]string, len(people))
	for i, person := range people {
		urls[i] = person.URLs[0]
	}
	if len(people) == 1 && slices.ContainsFunc(people[0].Enrollments, func(p readmodel.FoundProspect) bool { return p.ExternalID == strings.TrimSpace(text) }) {
		return []string{strings.TrimSpace(text)}, nil // the enrollment with this ID of the platform, and no other
	}
	if len(people) == 1 && slices.ContainsFunc(explain.Spellings(text), func(s string) bool { return slices.Contains(people[0].URLs, s) }) {
		return []string{text}, nil // the operation finds all spellings itself
	}
	return urls, nil
}

// resolveAccount returns the account that a text identifies: by its ID, or by its name if no other
// account has it. It returns a text that no account matches unchanged, for the error of the
// operation.
func resolveAccount(ctx context.Context, e *env, db *store.Store, text string) (string, error) {
	found, err := readmodel.Search(ctx, db, readmodel.Everything(), text, readmodel.SearchFilter{Kind: "accounts", Paging: readmodel.Paging{Limit: resolved}})
	switch {
	case err != nil:
		return "", err
	case len(found.Accounts) == 0 || found.Accounts[0].Match == readmodel.MatchID:
		return text, nil // the ID of an account may exist at several providers: --provider selects one
	case found.Accounts[0].Match == readmodel.MatchName && (len(found.Accounts) == 1 || found.Accounts[1].Match != readmodel.MatchName):
		printf(e.stderr, "account %q is %s of %s\n", text, found.Accounts[0].Account, found.Accounts[0].Workspace)
		return found.Accounts[0].Account, nil
	}
	var lines []string
	lines = append(lines, fmt.Sprintf("no account has the ID %q; nothing changed. These accounts match. Pass the ID of one of them:", text))
	for _, account := range found.Accounts[:min(listed, len(found.Accounts))] {
		lines = append(lines, fmt.Sprintf("  %s  (%s, %s of %s)", account.Account, account.Name, account.Status, account.Workspace))
	}
	if len(found.Accounts) > listed {
		lines = append(lines, "  … (thaw find --kind accounts --limit 200 lists all of them)")
	}
	return "", errors.New(strings.Join(lines, "\n"))
}

// resolveAccount replaces the name of an account by its ID.
func (d database) resolveAccount(ctx context.Context, e *env, account *string) error {
	if *account == "" {
		return nil
	}
	return withStore(ctx, e, d, func(db *store.Store) (err error) {
		*account, err = resolveAccount(ctx, e, db, *account)
		return err
	})
}

// each runs the action on the account, the campaign, or each prospect that the flags identify.
func (d *action) each(ctx context.Context, e *env, act func() error) error {
	if d.AllMatches && d.Prospect == "" {
		return errors.New("--all-matches requires --prospect")
	}
	if err := d.resolveAccount(ctx, e, &d.Account); err != nil {
		return err
	}
	if d.Prospect == "" {
		return act()
	}
	var urls []string
	err := withStore(ctx, e, d.database, func(db *store.Store) (err error) {
		urls, err = resolveProspects(ctx, db, d.Prospect, d.Workspace, d.AllMatches)
		return err
	})
	for _, url := range urls {
		if err != nil {
			return err
		}
		d.Prospect = url
		err = act()
	}
	return err
}

// resolve replaces what the flags name by IDs and URLs.
func (c *healStartCmd) resolve(ctx context.Context, e *env) error {
	if err := c.resolveAccount(ctx, e, &c.Account); err != nil || len(c.Prospect) == 0 {
		return err
	}
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		for i, text := range c.Prospect {
			urls, err := resolveProspects(ctx, db, text, "", false)
			if err != nil {
				return err
			}
			c.Prospect[i] = urls[0]
		}
		return nil
	})
}

// notFound says what was tried.
func notFound(what, text string, found readmodel.Found, consequence string) error {
	if len(found.Tried) == 0 {
		return fmt.Errorf("no %s found: the text is empty%s", what, consequence)
	}
	return fmt.Errorf("no %s found for %q%s. Tried:\n  %s", what, text, consequence, strings.Join(found.Tried, "\n  "))
}

func ambiguousProspect(text string, people []readmodel.Person, hasMore bool) error {
	var lines []string
	if len(people) == 1 {
		lines = append(lines, fmt.Sprintf("%q is not the URL of a prospect; nothing changed. One prospect may be meant. Pass its URL, or add --all-matches:", text))
	} else {
		lines = append(lines, fmt.Sprintf("%s prospects match %q; nothing changed. Pass the URL of one of them, or add --all-matches:", atLeast(len(people), hasMore), text))
	}
	for _, person := range people[:min(listed, len(people))] {
		first := person.Enrollments[0]
		lines = append(lines, fmt.Sprintf("  %s  (campaign %s of %s, %s)", person.URLs[0], first.Campaign, first.Workspace, first.Status))
	}
	if len(people) > listed {
		lines = append(lines, "  … (thaw find --kind prospects --limit 200 lists all of them)")
	}
	return errors.New(strings.Join(lines, "\n"))
}

func atLeast(n int, hasMore bool) string {
	if hasMore {
		return "more than " + number(n)
	}
	return number(n)
}

// workspaceScope returns the scope of a workspace, or of everything if its key is empty.
func workspaceScope(ctx context.Context, db *store.Store, workspace string) (readmodel.Scope, error) {
	scope, err := readmodel.Everything().Workspace(ctx, db, workspace)
	if errors.Is(err, readmodel.ErrNotFound) {
		return scope, unknownWorkspace(workspace)
	}
	return scope, err
}

func unknownWorkspace(key string) error {
	return fmt.Errorf("workspace %q does not exist: run \"thaw auto-resume list\" to list the workspaces", key)
}
