package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type adoptApplyCmd struct {
	database    `embed:""`
	mappingFlag `embed:""`
	reasonFlag  `embed:""`
}

func (adoptApplyCmd) Help() string {
	return "Enters safety mode, creates the triggers, copies the rows that exist in batches, compares both sides, and exits safety mode. New workspaces start in shadow mode; the others keep their mode. If it is interrupted, run it again: it continues where it stopped. Run it again after a change to the mapping or to the tables.\n\nExample:\n  thaw adopt apply --reason \"first run on staging\""
}

// applying begins the reason of the safety mode during an apply.
const applying = "thaw adopt apply: "

func (c *adoptApplyCmd) Run(ctx context.Context, e *env) error {
	m, err := c.read(e)
	if err != nil {
		return err
	}
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		pool, o := db.Pool(), operate(db)
		prepared, err := prepareAdoption(ctx, pool, m, c.Mapping, c.RiverSchema)
		if err != nil {
			return err
		}
		if _, err := o.Record(ctx, enum.ActionAdopted, inputDetail(c.Mapping), c.Reason); err != nil {
			return err
		}
		if _, err := o.EnterSafety(ctx, applying+c.Reason, true); err != nil {
			return err
		}
		result, err := install(ctx, e, pool, prepared)
		if err != nil {
			return fmt.Errorf("%w\nSafety mode stays on until \"thaw adopt apply\" succeeds", err)
		}
		printComparison(e.stdout, result)
		if result.Drift > 0 {
			return fmt.Errorf("the copy differs in %s\nSafety mode stays on. Run \"thaw adopt check --fix\", then \"thaw safety exit\"", many(result.Drift, "row"))
		}
		if err := releaseAccounts(ctx, pool, prepared); err != nil {
			return err
		}
		// An earlier attempt, which was interrupted, may have entered safety mode.
		safety, err := readmodel.ReadSafety(ctx, db)
		switch {
		case err != nil:
			return err
		case safety.On && !strings.HasPrefix(deref(safety.Reason), applying):
			printf(e.stdout, "Done. Safety mode stays on, because it was entered for another reason: thaw safety status\n")
			return nil
		}
		if _, err := o.ExitSafety(ctx, "thaw adopt apply is done"); err != nil {
			return err
		}
		state, err := adopt.ReadState(ctx, pool)
		if err != nil {
			return err
		}
		if !state.ShadowByDefault {
			printf(e.stdout, "Done. New workspaces are live, because all were taken live: thaw adopt status\n")
			return nil
		}
		printf(e.stdout, "Done. New workspaces are in shadow mode: Thaw computes and shows everything, and changes nothing. Run \"thaw adopt run\" for the way back, then: thaw adopt live --workspace KEY\n")
		return nil
	})
}

// install creates the triggers, copies the rows and compares both sides.
func install(ctx context.Context, e *env, pool *pgxpool.Pool, prepared *adopt.Prepared) (adopt.Comparison, error) {
	if err := prepared.Mapping.Start(ctx, pool); err != nil {
		return adopt.Comparison{}, err
	}
	if err := prepared.Install(ctx, pool); err != nil {
		return adopt.Comparison{}, err
	}
	printf(e.stdout, "Installed %s on %s.\n", many(prepared.Plan.TriggerCount(), "trigger"), many(len(prepared.Plan.Tables), "table"))
	if err := backfill(ctx, e, pool, prepared); err != nil {
		return adopt.Comparison{}, err
	}
	return compareAll(ctx, e, pool, prepared, false)
}

// releaseAccounts looks at the schema after a comparison without a difference. If all is there, the
// accounts are no longer held.
func releaseAccounts(ctx context.Context, pool *pgxpool.Pool, prepared *adopt.Prepared) error {
	problems, err := prepared.SchemaProblems(ctx, pool)
	if err != nil {
		return err
	}
	_, err = adopt.Note(ctx, pool, problems, true)
	return err
}

func backfill(ctx context.Context, e *env, pool *pgxpool.Pool, prepared *adopt.Prepared) error {
	shown := newProgress(e.stderr, "copy", "rows", -1)
	done, total := int64(0), map[adopt.Kind]int64{}
	copied, err := prepared.Backfill(ctx, pool, func(kind adopt.Kind, rows int64) {
		done += rows - total[kind]
		total[kind] = rows
		shown.set(done)
	})
	shown.finish()
	if err != nil {
		return err
	}
	for _, kind := range adopt.Kinds {
		printf(e.stdout, "Copied %s", many(copied[kind].Rows, strings.TrimSuffix(string(kind), "s")))
		if failed := copied[kind].Failed; failed > 0 {
			printf(e.stdout, ", of which %s could not be applied (thaw adopt status says why)", number(failed))
		}
		printf(e.stdout, ".\n")
	}
	return adopt.Running(ctx, pool)
}

// compareAll compares both sides and records the result.
func compareAll(ctx context.Context, e *env, pool *pgxpool.Pool, prepared *adopt.Prepared, fix bool) (adopt.Comparison, error) {
	began, err := adopt.Now(ctx, pool)
	if err != nil {
		return adopt.Comparison{}, err
	}
	shown := newProgress(e.stderr, "compare", "rows", -1)
	done, total := int64(0), map[adopt.Kind]int64{}
	result, err := prepared.Compare(ctx, pool, fix, func(kind adopt.Kind, rows int64) {
		done += rows - total[kind]
		total[kind] = rows
		shown.set(done)
	})
	shown.finish()
	if err != nil {
		return result, err
	}
	isOver, err := result.Note(ctx, pool, began)
	if isOver {
		printf(e.stderr, "The drift is over the limit: safety mode is on until an operator exits it.\n")
	}
	return result, err
}

func printComparison(w io.Writer, c adopt.Comparison) {
	printf(w, "Compared %s: ", many(c.Rows, "row"))
	switch {
	case c.Drift == 0:
		printf(w, "no drift")
	case c.Fixed > 0 || c.Failed > 0:
		printf(w, "%s with drift, %s copied again, %s could not be applied", number(c.Drift), number(c.Fixed), number(c.Failed))
	default:
		printf(w, "%s with drift", number(c.Drift))
	}
	if c.Waiting > 0 {
		printf(w, ", %s with a change on its way or parked", number(c.Waiting))
	}
	printf(w, ".\n")
	for _, d := range c.Examples {
		printf(w, "  %s\n", d.String())
	}
	if c.Drift > int64(len(c.Examples)) && len(c.Examples) > 0 {
		printf(w, "  and more\n")
	}
}

type adoptCheckCmd struct {
	database `embed:""`
	Fix      bool   `help:"Create missing triggers, and copy the rows that differ. The rules of ownership decide which side wins."`
	Reason   string `help:"Reason for --fix, for the audit log." placeholder:"TEXT"`
	JSON     bool   `help:"Print JSON."`
}

func (adoptCheckCmd) Help() string {
	return "Compares the existing triggers and permissions with those that the mapping needs, then all mapped columns of all rows, in batches that lock nothing. Exits with 1 if something differs, is missing, or if rows are parked. If the tables no longer fit the mapping, nothing is resumed through the affected accounts until a check succeeds. For CI after a migration of the platform, and for cron.\n\nExample:\n  thaw adopt check --fix"
}

// checked is the output of thaw adopt check --json.
type checked struct {
	// Problems are what is wrong with the tables, the triggers and the rights.
	Problems []string `json:"problems"`
	// HeldAccounts is how many accounts are held because of them.
	HeldAccounts int64             `json:"held_accounts"`
	Comparison   *adopt.Comparison `json:"comparison"` // null if the mapping does not fit the tables
	// Parked are the rows of the platform whose change could not be applied.
	Parked []adopt.Parked `json:"parked"`
}

func (c *adoptCheckCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		if c.Fix {
			if _, err := operate(db).Record(ctx, enum.ActionAdoptionFixed, "all mapped rows", c.Reason); err != nil {
				return err
			}
		}
		report, err := c.check(ctx, e, db.Pool())
		if err != nil {
			return err
		}
		if c.JSON {
			err = writeJSON(e.stdout, report)
		} else {
			printChecked(e.stdout, report)
		}
		if err == nil && (len(report.Problems) > 0 || len(report.Parked) > 0 || report.Comparison.Drift > report.Comparison.Fixed) {
			return errSilent
		}
		return err
	})
}

func printChecked(w io.Writer, report checked) {
	for _, problem := range report.Problems {
		printf(w, "PROBLEM: %s\n", problem)
	}
	if report.HeldAccounts > 0 {
		printf(w, "Nothing is resumed through %s until a check finds no problem and no drift.\n", many(report.HeldAccounts, "account"))
	}
	if report.Comparison != nil {
		printComparison(w, *report.Comparison)
	}
	for _, parked := range report.Parked {
		printf(w, "PARKED: %s\n", parked)
	}
}

func (c *adoptCheckCmd) check(ctx context.Context, e *env, pool *pgxpool.Pool) (checked, error) {
	report := checked{Problems: []string{}}
	m, err := adopt.Applied(ctx, pool)
	if err != nil {
		return report, err
	}
	problems, prepared, err := m.SchemaProblems(ctx, pool, c.RiverSchema)
	if err != nil {
		return report, err
	}
	if prepared != nil && c.Fix {
		if err := prepared.Install(ctx, pool); err != nil {
			return report, err
		}
		if err := adopt.Retry(ctx, pool); err != nil {
			return report, err
		}
		if problems, err = prepared.SchemaProblems(ctx, pool); err != nil {
			return report, err
		}
	}
	isClean := false
	// Held before the comparison, which takes a while in a large database.
	if _, err := adopt.Note(ctx, pool, problems, isClean); err != nil {
		return report, err
	}
	canRead := !slices.ContainsFunc(problems, func(p adopt.SchemaProblem) bool { return p.IsUnreadable })
	if prepared != nil && canRead {
		result, err := compareAll(ctx, e, pool, prepared, c.Fix)
		if err != nil {
			return report, err
		}
		report.Comparison = &result
		isClean = result.Drift == result.Fixed
	}
	look, err := adopt.Note(ctx, pool, problems, isClean)
	if err != nil {
		return report, err
	}
	for _, problem := range look.Problems {
		report.Problems = append(report.Problems, problem.String())
	}
	report.HeldAccounts = look.Held
	report.Parked, err = adopt.ParkedRows(ctx, pool)
	return report, err
}

type adoptStatusCmd struct {
	database `embed:""`
	After    string `help:"Show workspaces after this key." placeholder:"KEY"`
	JSON     bool   `help:"Print JSON."`
}

func (adoptStatusCmd) Help() string {
	return "Shows the result of the last check, what the copy could not take from the platform's tables (parked and deferred rows, failed statements), and how many changes wait for the platform. Lists the workspaces with their mode, 100 at a time.\n\nExample:\n  thaw adopt status --json"
}

// Limits of the output of thaw adopt status.
const (
	shownWorkspaces = 100
	shownFailures   = 10
)

// adoptionStatus is the output of thaw adopt status --json. Times are RFC 3339.
type adoptionStatus struct {
	adopt.State
	Workspaces []adopt.WorkspaceState `json:"workspaces"`
	// After is the key for --after if there are more workspaces.
	After    string          `json:"after,omitempty"`
	Failures []adopt.Failure `json:"failures"` // the newest ones
}

func (c *adoptStatusCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		var s adoptionStatus
		var err error
		if s.State, err = adopt.ReadState(ctx, db.Pool()); err != nil {
			return err
		}
		if s.Workspaces, err = adopt.WorkspaceStates(ctx, db.Pool(), c.After, shownWorkspaces+1); err != nil {
			return err
		}
		if len(s.Workspaces) > shownWorkspaces {
			s.Workspaces = s.Workspaces[:shownWorkspaces]
			s.After = s.Workspaces[shownWorkspaces-1].Key
		}
		if s.Failures, err = adopt.Failures(ctx, db.Pool(), shownFailures); err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(e.stdout, s)
		}
		printAdoption(e.stdout, s)
		return nil
	})
}

func printAdoption(w io.Writer, s adoptionStatus) {
	if s.StartedAt == nil {
		printf(w, "Thaw copies no tables of the platform. To begin: thaw adopt init\n")
		return
	}
	printf(w, "Adopted since %s, phase %s.\n", stamp(*s.StartedAt), s.Phase)
	if s.CheckedAt == nil {
		printf(w, "Never compared.\n")
	} else {
		printf(w, "Last check %s: %s of %s with drift.\n", stamp(*s.CheckedAt), number(s.Drift), many(s.Rows, "row"))
	}
	for _, problem := range s.Problems {
		printf(w, "PROBLEM: %s\n", problem)
	}
	if s.CheckDueAt != nil {
		printf(w, "The copy of some rows may be wrong since %s: nothing is resumed through %s until thaw adopt check finds no problem and no drift.\n",
			stamp(*s.CheckDueAt), many(s.HeldAccounts, "account"))
	}
	printf(w, "Changes for the platform: %s waiting", number(s.Changes))
	if s.OldestChangeAt != nil {
		printf(w, ", the oldest since %s", stamp(*s.OldestChangeAt))
	}
	if s.Consumer.At != nil {
		printf(w, ".\nLast error of %s, %s: %s", *s.Consumer.Name, stamp(*s.Consumer.At), *s.Consumer.Error)
		if s.Consumer.EndedAt != nil {
			printf(w, ". It writes again since %s", stamp(*s.Consumer.EndedAt))
		}
	}
	printf(w, ".\nChanges of the platform that are not in the copy: %s parked, %s deferred, %s.\n",
		many(s.Parked, "row"), many(s.Deferred, "row"), many(s.Failed, "failed statement"))
	for _, f := range s.Failures {
		printf(w, "  %s %s: %s (%s, %s)\n", f.Kind, f.ID, f.Problem, f.Code, stamp(f.At))
	}
	if len(s.Workspaces) == 0 {
		return
	}
	printf(w, "\n")
	list := newTable(text("workspace"), text("external id"), fixed("mode"), numbers("accounts"), numbers("held"))
	for _, workspace := range s.Workspaces {
		mode := "live"
		if workspace.IsShadow {
			mode = "shadow"
		}
		list.add(workspace.Key, workspace.ExternalID, mode, number(workspace.Accounts), number(workspace.ParkedAccounts))
	}
	list.write(w)
	if s.After != "" {
		printf(w, "More: thaw adopt status --after %s\n", s.After)
	}
}

// shadowFlags name the workspaces of thaw adopt live and thaw adopt shadow.
type shadowFlags struct {
	database   `embed:""`
	reasonFlag `embed:""`
	Workspace  string `help:"This workspace, named by ${workspace_id}." placeholder:"KEY" xor:"workspaces" required:""`
	All        bool   `help:"All workspaces of the platform, and those that it adds later." xor:"workspaces" required:""`
}

func (c *shadowFlags) set(ctx context.Context, e *env, isShadow bool, what string) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		changed, err := adopt.SetShadow(ctx, db.Pool(), c.Workspace, isShadow, c.Reason, actor())
		if err != nil {
			return err
		}
		if changed == 0 {
			printf(e.stdout, "No change.\n")
			return nil
		}
		printf(e.stdout, "%s %s.\n", many(changed, "workspace"), what)
		return nil
	})
}

type adoptLiveCmd struct{ shadowFlags }

func (adoptLiveCmd) Help() string {
	return "From then on, Thaw pauses, resumes and moves prospects of these workspaces, and hands its changes to the platform, beginning with the status of every account. Writing them needs \"thaw adopt run\" or a worker of the platform. To go back: thaw adopt shadow.\n\nExample:\n  thaw adopt live --workspace acme --reason \"the shadow figures are right\""
}

func (c *adoptLiveCmd) Run(ctx context.Context, e *env) error {
	return c.set(ctx, e, false, "live: Thaw pauses and resumes its prospects, and hands the changes to the platform")
}

type adoptShadowCmd struct{ shadowFlags }

func (adoptShadowCmd) Help() string {
	return "From then on, Thaw shows what it would do in these workspaces, and changes nothing. The platform decides everything, and the copy follows it. What Thaw has paused stays paused.\n\nExample:\n  thaw adopt shadow --all --reason \"a migration of the platform\""
}

func (c *adoptShadowCmd) Run(ctx context.Context, e *env) error {
	return c.set(ctx, e, true, "in shadow mode: Thaw changes nothing there")
}

type adoptRunCmd struct {
	database `embed:""`
	Name     string `help:"Name of this consumer, for logs." default:"thaw adopt run"`
	Once     bool   `help:"Write the changes that wait, then exit."`
}

func (adoptRunCmd) Help() string {
	return "Runs until it is stopped. Each batch is one transaction that locks the platform's rows in the order of their ids, and leaves rows that the platform has locked to a later batch. A new mapping takes effect without a restart. Several processes can run. Not needed if a worker of the platform calls thaw.take_changes itself.\n\nExample:\n  thaw adopt run"
}

func (c *adoptRunCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		pool := db.Pool()
		m, err := adopt.Applied(ctx, pool)
		if err != nil {
			return err
		}
		prepared, err := prepareAdoption(ctx, pool, m, "the mapping that was applied", c.RiverSchema)
		if err != nil {
			return err
		}
		consumer := prepared.NewConsumer(c.Name, e.logger)
		if c.Once {
			return runOnce(ctx, e, pool, consumer)
		}
		e.logger.InfoContext(ctx, "writing Thaw's changes into the platform's tables", slog.String("consumer", c.Name))
		var listen func(context.Context, func()) error
		if !c.PollOnly {
			listen = func(ctx context.Context, notified func()) error { return listenForChanges(ctx, pool, notified) }
		}
		return consumer.Run(ctx, pool, listen)
	})
}

// runOnce waits at most this often, and this long, for rows that the platform has locked.
const (
	lockedAttempts = 25
	lockedPause    = 200 * time.Millisecond
)

func runOnce(ctx context.Context, e *env, pool *pgxpool.Pool, consumer *adopt.Consumer) error {
	var total adopt.Written
	for attempt := 1; ; {
		done, err := consumer.Batch(ctx, pool)
		if err != nil {
			return err
		}
		total.Taken, total.Written, total.Refused = total.Taken+done.Taken, total.Written+done.Written, total.Refused+done.Refused
		switch {
		case done.Taken > 0:
			continue
		case done.Locked > 0 && attempt < lockedAttempts:
			attempt++
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(lockedPause):
			}
			continue
		}
		printf(e.stdout, "%s taken, %s written, %s refused", many(total.Taken, "change"), many(total.Written, "row"), number(total.Refused))
		if done.Locked > 0 {
			printf(e.stdout, ", %s left: the platform has locked their rows", number(done.Locked))
		}
		printf(e.stdout, ".\n")
		return nil
	}
}

// listenForChanges calls notified for every notification, until ctx or the connection ends.
func listenForChanges(ctx context.Context, pool *pgxpool.Pool, notified func()) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// A connection that listens does not go back into the pool.
	listening := conn.Hijack()
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = listening.Close(closing) // nothing depends on it
	}()
	if _, err := listening.Exec(ctx, `LISTEN "thaw.changes"`); err != nil {
		return err
	}
	for {
		notified() // also for what was queued before
		if _, err := listening.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

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
