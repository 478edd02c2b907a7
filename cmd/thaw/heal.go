package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/when"
)

type healCmd struct {
	Start  healStartCmd  `cmd:"" default:"withargs" help:"Start a heal. The word start can be left out."`
	List   healListCmd   `cmd:"" help:"List heals, newest first."`
	Stop   healStopCmd   `cmd:"" help:"Stop a running heal after its current batch."`
	Resume healResumeCmd `cmd:"" help:"Continue a stopped heal where it stopped."`
}

func (healCmd) Help() string { return healStartCmd{}.Help() }

type healStartCmd struct {
	database  `embed:""`
	Workspace string        `help:"Resume the paused prospects of this workspace, named by ${workspace_id}." placeholder:"KEY" xor:"target"`
	Account   string        `help:"Resume the paused prospects of this account, named by ${account_id}." placeholder:"ID" xor:"target"`
	Provider  string        `help:"Provider of the account, if several providers use its ID." placeholder:"NAME"`
	Prospect  []string      `help:"Resume this prospect, named by ${prospect_id}, in all of its campaigns. Repeatable." placeholder:"URL" sep:"none" xor:"target"`
	File      string        `help:"Resume the prospects in this file: one URL per line, or CSV with a column prospect_url or url; - reads standard input." placeholder:"FILE" xor:"target"`
	All       bool          `help:"Resume the paused prospects of the whole fleet, for example after an incident. Requires --rate. Workspaces whose auto-resume is off are not included." xor:"target"`
	Cap       *int32        `help:"Maximum number of enrollments to resume. Default: ${heal_cap}; with --all, the number of enrollments that wait." placeholder:"N"`
	Rate      perMinute     `help:"Resume at most this many enrollments per minute, for example 1000/min. Default: as many as the workers can." placeholder:"N/min"`
	EvenIfOff bool          `help:"Also resume prospects of workspaces whose automatic resuming is switched off."`
	Reason    string        `help:"Reason, for the audit log." placeholder:"TEXT"`
	DryRun    bool          `help:"Show what the heal would do without changing anything."`
	Wait      bool          `help:"Wait until the heal is done, and show progress. If no worker process is alive, this process does the work."`
	Timeout   time.Duration `help:"How long to wait with --wait." default:"1h"`
	JSON      bool          `help:"Print JSON."`
}

func (healStartCmd) Help() string {
	return "A heal is a one-time resume. It follows every rule except the caps per tick, which --cap replaces. If the cap is smaller than the backlog, it is shared equally among the accounts; an account with fewer prospects than its share gets only as many as it has. Start another heal until no enrollments remain.\n\nExample:\n  thaw heal start --workspace acme --cap 20000 --wait\n  thaw heal --all --rate 1000/min --reason \"the incident of March 3 is over\""
}

func (c *healStartCmd) Validate() error {
	if c.Workspace == "" && c.Account == "" && len(c.Prospect) == 0 && c.File == "" && !c.All {
		return errors.New("no target given: pass --workspace, --account, --prospect, --file or --all")
	}
	if c.Cap != nil && *c.Cap < 1 {
		return fmt.Errorf("--cap=%d: must be at least 1", *c.Cap)
	}
	return nil
}

// perMinute is a rate: 1000 or 1000/min. 0: none.
type perMinute int32

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *perMinute) UnmarshalText(text []byte) error {
	number, err := strconv.ParseInt(strings.TrimSuffix(string(text), "/min"), 10, 32)
	if err != nil || number < 1 || number > 1_000_000 {
		return fmt.Errorf("%q is not a rate: use a number per minute from 1 to 1000000, for example 1000/min", text)
	}
	*p = perMinute(number)
	return nil
}

// A healing is the JSON output of a heal.
type healing struct {
	HealID      *int64  `json:"heal_id"`
	Cap         int32   `json:"cap"`
	Resumed     int32   `json:"resumed"`
	Moved       int32   `json:"moved"`
	Remaining   int64   `json:"remaining"`
	Skipped     int32   `json:"skipped"` // of Remaining, how many other transactions had locked
	Seconds     float64 `json:"seconds"`
	WouldResume *int64  `json:"would_resume,omitempty"`
	// Blocked is how many others wait but may not resume now; in a dry run.
	Blocked *int64 `json:"blocked,omitempty"`
	// WouldMove is how many pending prospects would move away from accounts that are gone; in a dry
	// run.
	WouldMove *int64 `json:"would_move,omitempty"`
}

func (c *healStartCmd) Run(ctx context.Context, e *env) error {
	if err := c.resolve(ctx, e); err != nil {
		return err
	}
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		o := operate(db)
		heal, err := c.heal(e)
		if err != nil {
			return err
		}
		if c.DryRun {
			return c.dryRun(ctx, e, o, heal)
		}
		id, err := o.StartHeal(ctx, heal)
		if err != nil {
			return err
		}
		if !c.Wait {
			found, err := o.HealScope(ctx, id)
			if err != nil {
				return fmt.Errorf("reading heal %d: %w", id, err)
			}
			if c.JSON {
				return writeJSON(e.stdout, healing{HealID: &id, Cap: found.Cap, Remaining: found.Resumable})
			}
			printf(e.stdout, "heal %d queued: %d enrollments are ready to resume, at most %d will be resumed%s\n", id, found.Resumable, found.Cap, atRate(found))
			return nil
		}
		var done dbsqlc.HealRow
		err = waiting(ctx, e, c.database, db, func(ctx context.Context) error {
			done, err = c.follow(ctx, e, db, id)
			return err
		})
		if err != nil {
			return err
		}
		result := healing{
			HealID: &id, Cap: done.Cap, Resumed: done.Resumed, Moved: done.Moved, Remaining: int64(*done.Remaining), Skipped: done.Skipped,
			Seconds: done.FinishedAt.Sub(done.RequestedAt).Seconds(),
		}
		if c.JSON {
			return writeJSON(e.stdout, result)
		}
		printf(e.stdout, "heal %d: %s resumed, %s moved to a sibling account, %s remaining%s, in %.1f s\n", id, many(result.Resumed, "enrollment"), number(result.Moved), number(result.Remaining), lockedByOthers(result.Skipped), result.Seconds)
		return nil
	})
}

// lockedByOthers describes the remaining enrollments that other transactions had locked.
func lockedByOthers(skipped int32) string {
	if skipped == 0 {
		return ""
	}
	return " (" + number(skipped) + " locked by other transactions)"
}

// follow shows the progress of a heal until it is done.
func (c *healStartCmd) follow(ctx context.Context, e *env, db *store.Store, id int64) (heal dbsqlc.HealRow, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	shown := newProgress(e.stderr, fmt.Sprintf("heal %d", id), "enrollments", -1)
	defer shown.finish()
	err = poll(ctx, func() (bool, error) {
		var err error
		if heal, err = db.Read().Heal(ctx, id); err != nil {
			return false, err
		}
		if heal.Found != nil {
			shown.expect(int64(min(*heal.Found, heal.Cap)))
		}
		shown.set(int64(heal.Resumed))
		if heal.Status == "stopped" {
			return false, stoppedHeal(heal)
		}
		return heal.FinishedAt != nil, nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("heal %d was not done within %s: %s resumed so far; the heal continues without this command", id, when.Duration(c.Timeout), many(heal.Resumed, "enrollment"))
	}
	return heal, err
}

// dryRun prints what the heal would do without changing anything.
func (c *healStartCmd) dryRun(ctx context.Context, e *env, o *operator.Operator, heal operator.Heal) error {
	preview, err := o.PreviewHeal(ctx, heal)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(e.stdout, healing{Cap: preview.Cap, Remaining: preview.Resumable, WouldResume: &preview.WouldResume, Blocked: &preview.Blocked, WouldMove: &preview.Movable})
	}
	printf(e.stdout, "dry run: would resume %s of %s through %s%s; nothing changed\n", number(preview.WouldResume), many(preview.Resumable, "enrollment"), many(preview.Accounts, "account"), atRate(preview))
	if preview.Remaining > 0 {
		takes := "in the next tick"
		if preview.Ticks > 1 {
			takes = fmt.Sprintf("in about %s ticks (%s)", number(preview.Ticks), when.Duration(time.Duration(preview.Ticks)*preview.Tick))
		}
		printf(e.stdout, "%s would remain paused; scheduled sweeps resume them %s\n", many(preview.Remaining, "enrollment"), takes)
	}
	if preview.Blocked > 0 {
		printf(e.stdout, "%s more wait but cannot resume now: their account is locked, on hold or not connected, their campaign is stopped, or auto-resume is off\n", number(preview.Blocked))
	}
	if preview.Movable > 0 {
		printf(e.stdout, "%s would move from an account that is gone to a connected account of the same person\n", many(preview.Movable, "pending enrollment"))
	}
	return nil
}

// atRate describes the rate of a heal and how long it takes.
func atRate(p operator.HealPreview) string {
	if p.Rate == 0 {
		return ""
	}
	return fmt.Sprintf(", %s per minute, in about %s", number(p.Rate), when.Duration(p.Lasts().Round(time.Second)))
}

// stoppedHeal says why a heal stopped and how to continue it.
func stoppedHeal(heal dbsqlc.HealRow) error {
	reason := heal.StoppedReason
	if reason == "" {
		reason = "its job was cancelled or discarded"
	}
	return fmt.Errorf("heal %d stopped after %s: %s\nRun \"thaw heal resume %d --reason …\" to continue it", heal.ID, many(heal.Resumed, "enrollment"), reason, heal.ID)
}

// heal returns the heal that the flags describe.
func (c *healStartCmd) heal(e *env) (operator.Heal, error) {
	heal := operator.Heal{
		Fleet: c.All, Workspace: c.Workspace, Account: c.Account, Provider: c.Provider, Prospects: c.Prospect, Cap: c.Cap, EvenIfOff: c.EvenIfOff,
		Reason: c.Reason,
	}
	if c.Rate > 0 {
		rate := int32(c.Rate)
		heal.Rate = &rate
	}
	if c.File != "" {
		var err error
		if heal.Prospects, err = readProspects(c.File, e.stdin); err != nil {
			return heal, err
		}
	}
	return heal, nil
}

// healAtMost is the maximum number of prospects in a file, because all of them are held in memory.
const healAtMost = 1_000_000

// readProspects reads a file of prospects in the formats that explain accepts. A line that is not a
// URL is an error, so that a heal never covers only a part of the file.
func readProspects(name string, stdin io.Reader) ([]string, error) {
	r := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		r = file
	}
	var urls []string
	for line, err := range prospectLines(r) {
		switch {
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", name, err)
		case line.err != nil:
			return nil, fmt.Errorf("%s, line %d: %w; nothing was healed", name, line.number, line.err)
		case len(urls) == healAtMost:
			return nil, fmt.Errorf("%s has more than %d prospects: split the file", name, healAtMost)
		}
		urls = append(urls, line.url)
	}
	if len(urls) == 0 {
		return nil, fmt.Errorf("%s has no prospects: %s", name, prospectFile)
	}
	return urls, nil
}

// login returns the name of the operating-system user, for the audit log.
func login() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
