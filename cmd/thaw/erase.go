package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/lookup"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type eraseCmd struct {
	database  `embed:""`
	Prospect  string   `arg:"" help:"URL of the prospect in any spelling, an e-mail address, or the platform's own ID of the prospect in a campaign."`
	Workspace string   `help:"Workspace of the platform's ID, if several workspaces use it, named by ${workspace_id}. The person is erased in all workspaces." placeholder:"KEY"`
	Also      []string `help:"Another text that identifies the person, such as the name: it is erased wherever it is mentioned. Can be repeated." placeholder:"TEXT" sep:"none"`
	Reason    string   `help:"Reason, for the audit log. It must not name the person." placeholder:"TEXT"`
	Yes       bool     `help:"Erase without asking." short:"y"`
	DryRun    bool     `help:"Show what would be erased without changing anything."`
	JSON      bool     `help:"Print JSON."`
}

func (eraseCmd) Help() string {
	return "Deletes the person's enrollments in all campaigns and workspaces. Removes every mention of the person from the history, the audit log, messages, webhook bodies, jobs and notes, then searches all tables again and prints what is left. " +
		"The history keeps numbers, without a name. Reads all tables. Does not reach backups, logs and the platform's own tables. Asks twice on a terminal. In a script, it requires --yes. Exits with 1 if something is left.\n\n" +
		"Example:\n  thaw erase https://www.linkedin.com/in/janedoe --also \"Jane Doe\" --reason \"request 17\""
}

// Validate requires --reason, except for a dry run.
func (c *eraseCmd) Validate() error {
	if c.Reason == "" && !c.DryRun {
		return errors.New("missing flags: --reason=TEXT")
	}
	return explain.CheckURL(c.Prospect)
}

// An erased is the JSON output of an erasure.
type erased struct {
	Prospect  string                 `json:"prospect"`
	DryRun    bool                   `json:"dry_run"`
	Remaining int64                  `json:"remaining"` // rows that still mention the person
	Tables    []operator.ErasedTable `json:"tables"`
}

func (c *eraseCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		person, enrollments, err := c.person(ctx, db)
		if err != nil {
			return err
		}
		operate := operate(db)
		found, err := operate.PreviewErasure(ctx, person)
		if err != nil {
			return err
		}
		if c.DryRun && c.JSON {
			return writeJSON(e.stdout, erased{Prospect: person.URLs[0], DryRun: true, Remaining: remaining(found), Tables: append([]operator.ErasedTable{}, found...)})
		}
		if c.DryRun || !c.Yes {
			out := io.Writer(e.stdout)
			if !c.DryRun {
				out = e.stderr
			}
			printErasure(out, person, enrollments, found)
		}
		if c.DryRun {
			printf(e.stdout, "dry run: nothing changed\n")
			return nil
		}
		if !c.Yes {
			if err := c.confirm(e, person.URLs[0]); err != nil {
				return err
			}
		}
		done, err := operate.Erase(ctx, person, c.Reason)
		if err != nil {
			return err
		}
		if c.JSON {
			err = writeJSON(e.stdout, erased{Prospect: person.URLs[0], Remaining: remaining(done), Tables: append([]operator.ErasedTable{}, done...)})
		} else {
			printErased(e.stdout, done)
		}
		if err == nil && remaining(done) > 0 {
			return errSilent
		}
		return err
	})
}

// person returns the URLs of the person that the text identifies, and the enrollments. A person who
// is not enrolled may still be mentioned.
func (c *eraseCmd) person(ctx context.Context, db *store.Store) (operator.Erasure, []readmodel.FoundProspect, error) {
	people, found, err := findPeople(ctx, db, c.Prospect, c.Workspace)
	if err != nil {
		return operator.Erasure{}, nil, err
	}
	people = slices.DeleteFunc(people, func(p readmodel.Person) bool { return !p.Match.Identifies() })
	isAddress := strings.ContainsAny(c.Prospect, "/@")
	switch {
	case len(people) > 1:
		return operator.Erasure{}, nil, ambiguousProspect(c.Prospect, people, found.Next.Prospects != nil)
	case len(people) == 0 && !isAddress:
		return operator.Erasure{}, nil, notFound("prospect", c.Prospect, found, "; nothing changed")
	}
	person := operator.Erasure{Also: c.Also}
	var enrollments []readmodel.FoundProspect
	named := []string{c.Prospect}
	if len(people) == 1 {
		named, enrollments = people[0].URLs, people[0].Enrollments
	}
	for _, url := range named {
		for _, spelling := range append([]string{url}, lookup.URLs(url)...) {
			if strings.ContainsAny(spelling, "/@") && !slices.Contains(person.URLs, spelling) {
				person.URLs = append(person.URLs, spelling)
			}
		}
	}
	if len(person.URLs) == 0 { // enrolled under a text that is no URL
		person.URLs = named
	}
	return person, enrollments, nil
}

// confirm asks twice, because an erasure cannot be undone.
func (c *eraseCmd) confirm(e *env, url string) error {
	if !isTerminalInput(e.stdin) {
		return errors.New("an erasure cannot be undone, and there is no terminal on which to confirm it: nothing changed\nTo confirm, add --yes")
	}
	in := bufio.NewReader(io.LimitReader(e.stdin, 8192))
	printf(e.stderr, "Erase this person? This cannot be undone. [y/N] ")
	answer, err := in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer := strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("not erased: nothing changed")
	}
	printf(e.stderr, "Type %s to erase it: ", url)
	answer, err = in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != url {
		return errors.New("not erased: what you typed is not the URL; nothing changed")
	}
	return nil
}

func remaining(tables []operator.ErasedTable) (n int64) {
	for _, table := range tables {
		n += table.Remaining
	}
	return n
}

func printErasure(w io.Writer, person operator.Erasure, enrollments []readmodel.FoundProspect, tables []operator.ErasedTable) {
	printf(w, "%s\n", person.URLs[0])
	for _, p := range enrollments {
		printf(w, "  in campaign %s of %s: %s\n", p.Campaign, p.Workspace, p.Status)
	}
	if len(tables) == 0 {
		printf(w, "no table mentions this person\n")
	}
	for _, table := range tables {
		printf(w, "%11s of %s\n", many(table.Remaining, "row"), table.Table)
	}
}

func printErased(w io.Writer, tables []operator.ErasedTable) {
	for _, table := range tables {
		if table.Erased > 0 {
			printf(w, "%11s of %s erased\n", many(table.Erased, "row"), table.Table)
		}
	}
	left := remaining(tables)
	if left == 0 {
		printf(w, "nothing in Thaw's tables mentions this person now\n")
		return
	}
	for _, table := range tables {
		if table.Remaining > 0 {
			printf(w, "%11s of %s still mention this person in a key or an ID, which is not changed\n", many(table.Remaining, "row"), table.Table)
		}
	}
	printf(w, "%s left: change or delete them in the platform\n", many(left, "row"))
}
