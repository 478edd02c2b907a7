package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type explainCmd struct {
	database `embed:""`
	URL      string `arg:"" optional:"" name:"url" help:"URL of the prospect in any spelling, a Sales Navigator URL, the platform's own ID of the prospect in a campaign, or the last part of its profile URL, such as janedoe. The name of the person also works if the last part begins with that name."`
	File     string `help:"Explain the prospects in this file instead: one URL per line, or CSV with a column prospect_url or url; - reads standard input." placeholder:"FILE"`
	JSON     bool   `help:"Print JSON: an array with one element per enrollment. With --file, print JSON Lines with one line per prospect."`
}

func (explainCmd) Help() string {
	return "Exits with 1 if a prospect is not found or a line is not a URL. docs/api.md describes the JSON.\n\n" +
		"Example:\n  thaw explain https://www.linkedin.com/in/janedoe\n  thaw explain --file stuck.csv --json"
}

func (c *explainCmd) Validate() error {
	switch {
	case c.URL == "" && c.File == "":
		return errors.New("no prospect given: pass its URL, or --file with a list of URLs")
	case c.URL != "" && c.File != "":
		return errors.New("a URL and --file cannot be combined: pass one of them")
	case c.File == "":
		return explain.CheckURL(c.URL)
	default:
		return nil
	}
}

func (c *explainCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		if c.File != "" {
			return c.explainFile(ctx, e, db)
		}
		url, err := c.resolve(ctx, e, db)
		if err != nil {
			return err
		}
		explanations, err := readmodel.Explain(ctx, db, url)
		if err != nil {
			return err
		}
		if c.JSON {
			err = writeJSON(e.stdout, explanations)
		} else {
			printExplanations(e.stdout, explanations)
		}
		if err == nil && explanations[0].Code == explain.NotFound {
			return errSilent
		}
		return err
	})
}

// resolve returns the URL of the only prospect that the text can mean. A text that matches no
// prospect is returned unchanged, for an explanation that says so.
func (c *explainCmd) resolve(ctx context.Context, e *env, db *store.Store) (string, error) {
	people, found, err := findPeople(ctx, db, c.URL, "")
	switch {
	case err != nil:
		return "", err
	case len(people) > 1:
		return "", ambiguousProspect(c.URL, people, found.Next.Prospects != nil)
	case len(people) == 0 || people[0].Match == readmodel.MatchID:
		return c.URL, nil
	}
	printf(e.stderr, "%s is the only prospect that matches %q\n", people[0].URLs[0], c.URL)
	return people[0].URLs[0], nil
}

// explainedAtOnce is how many prospects of a file are held in memory and read from the database at
// a time.
const explainedAtOnce = 500

// A lineExplained is the JSON output for one line of a file.
type lineExplained struct {
	Line int `json:"line"`
	readmodel.Prospect
	Error string `json:"error,omitempty"` // why the line is invalid; it then has no explanations
}

// explainFile explains the prospects of a file while reading it.
func (c *explainCmd) explainFile(ctx context.Context, e *env, db *store.Store) error {
	in := e.stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	run := &fileExplained{
		explainer: readmodel.NewExplainer(db, readmodel.Everything()), env: e, json: c.JSON,
		shown: newProgress(progressFor(e), "explain", "prospects", -1),
	}
	defer run.shown.finish()
	batch := make([]prospectLine, 0, explainedAtOnce)
	for line, err := range prospectLines(in) {
		if err != nil {
			return fmt.Errorf("reading %s: %w", c.File, err)
		}
		if batch = append(batch, line); len(batch) == explainedAtOnce {
			if err := run.explain(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := run.explain(ctx, batch); err != nil {
		return err
	}
	return run.verdict(c.File)
}

// progressFor hides the progress bar if the explanations go to a terminal.
func progressFor(e *env) io.Writer {
	if isTerminal(e.stdout) {
		return io.Discard
	}
	return e.stderr
}

// A fileExplained explains a file in batches and counts the lines.
type fileExplained struct {
	explainer          *readmodel.Explainer
	env                *env
	json               bool
	shown              *progress
	done, unknown, bad int
}

// explain writes the explanations of a batch, in the order of the lines.
func (f *fileExplained) explain(ctx context.Context, lines []prospectLine) error {
	var urls []string
	for _, line := range lines {
		if line.err == nil {
			urls = append(urls, line.url)
		}
	}
	prospects, err := f.explainer.Explain(ctx, urls)
	if err != nil {
		return err
	}
	encoder := newJSONEncoder(f.env.stdout)
	for _, line := range lines {
		answer := lineExplained{Line: line.number, Prospect: readmodel.Prospect{URL: line.url, Explanations: []readmodel.Explanation{}}}
		if line.err != nil {
			f.bad++
			answer.Error = line.err.Error()
			printf(f.env.stderr, "line %d: %s\n", line.number, line.err)
		} else {
			answer.Prospect, prospects = prospects[0], prospects[1:]
			if !answer.IsKnown() {
				f.unknown++
			}
		}
		f.done++
		if f.json {
			if err := encoder.Encode(answer); err != nil {
				return err
			}
		} else if line.err == nil {
			if f.done-f.bad > 1 {
				printf(f.env.stdout, "\n")
			}
			printExplanations(f.env.stdout, answer.Explanations)
		}
	}
	f.shown.set(int64(f.done))
	return nil
}

// verdict returns an error if a prospect was not found or a line was invalid.
func (f *fileExplained) verdict(name string) error {
	if f.done == 0 {
		return fmt.Errorf("%s has no prospects: %s", name, prospectFile)
	}
	if f.unknown == 0 && f.bad == 0 {
		return nil
	}
	f.shown.finish()
	printf(f.env.stderr, "%s of %s not found, %s lines are not URLs\n", number(f.unknown), many(f.done, "prospect"), number(f.bad))
	return errSilent
}

func printExplanations(out io.Writer, explanations []readmodel.Explanation) {
	for i, x := range explanations {
		if i > 0 {
			printf(out, "\n")
		}
		if x.Code == explain.NotFound {
			printf(out, "%s\n  %s\n", x.ProspectURL, x.Sentence)
			for _, spelling := range x.Tried {
				printf(out, "  tried %s\n", spelling)
			}
			continue
		}
		account := "on account " + x.Account
		if x.AccountID == 0 {
			account = "without an account"
		}
		printf(out, "%s in campaign %s of %s, %s, step %d: %s\n", x.ProspectURL, x.Campaign, x.Workspace, account, x.Step, x.Status)
		printf(out, "  %s\n", x.Sentence)
		expected := stampOr(x.ExpectedAt, "unknown")
		if x.ExpectedAt != nil && x.Forecast != nil {
			expected = "about " + expected + ", according to the forecast of " + stamp(x.Forecast.At)
		}
		printf(out, "  code %s; who acts: %s; expected: %s\n", x.Code, x.WhoActs, expected)
		printNext(out, x.Next, x.Timezone)
		printExternalIDs(out, x.ExternalIDs)
		for i, o := range x.Obstacles {
			if i > 0 { // the sentence above is about the first
				printf(out, "  also %s; who acts: %s: %s\n", o.Code, o.WhoActs, o.Sentence)
			}
		}
		if x.LockedAt != nil {
			printf(out, "  account %s has been locked by the provider since %s (%s)\n", x.Account, stamp(*x.LockedAt), x.LockedReason)
		}
		for _, p := range x.Products {
			printf(out, "  product %s of account %s: %s", p.Product, x.Account, p.Status)
			if p.DownSince != nil {
				printf(out, " since %s", stamp(*p.DownSince))
			}
			printf(out, " (%s)\n", p.RawStatus)
		}
		for _, h := range x.History {
			printf(out, "  %s  %s by %s", stamp(h.At), h.Kind, h.Source)
			if h.Reason != "" {
				printf(out, " (%s)", h.Reason)
			}
			if h.FromAccount != h.ToAccount {
				printf(out, ", %s -> %s", h.FromAccount, h.ToAccount)
			}
			printf(out, "\n")
		}
	}
}

// printNext prints the next action of an active prospect, if it is known. zone is that of the
// account's owner.
func printNext(out io.Writer, next *readmodel.NextAction, zone string) {
	if next == nil {
		return
	}
	expected := "expected at an unknown time"
	switch {
	case next.ExpectedAt != nil:
		expected = "expected " + stampIn(*next.ExpectedAt, zone)
	case next.Code == "":
		expected = "expected now"
	}
	if next.Ahead > 0 {
		if expected += " at the earliest"; next.ExpectedOn != nil {
			expected = "expected " + next.ExpectedOn.String()
		}
		expected += " (" + explain.AheadInWords(next.Ahead, next.Kind) + " due before it)"
	}
	printf(out, "  next: %s, %s", next.Kind, expected)
	if next.IsHeld() {
		printf(out, ", held by %s", next.Brief)
	}
	printf(out, "\n")
	if next.Code == explain.GateAlreadyUnknown {
		printf(out, "  to settle it: thaw actions settle %d --as verified_sent (or verified_absent) --reason TEXT\n", next.ActionID)
	}
}

// printExternalIDs prints the IDs that the platform uses, if it passed any.
func printExternalIDs(out io.Writer, ids readmodel.ExternalIDs) {
	var known []string
	for _, id := range []struct{ of, id string }{
		{"enrollment", ids.ExternalID}, {"account", ids.AccountExternalID}, {"campaign", ids.CampaignExternalID}, {"workspace", ids.WorkspaceExternalID},
	} {
		if id.id != "" {
			known = append(known, id.of+" "+id.id)
		}
	}
	if len(known) > 0 {
		printf(out, "  in the platform: %s\n", strings.Join(known, ", "))
	}
}
