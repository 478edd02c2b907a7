package adopt

import (
	"context"
	_ "embed" // the statements
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The statements on what is installed.
var (
	//go:embed sql/installed.sql
	installedSQL string
	//go:embed sql/functions.sql
	functionsSQL string
	//go:embed sql/grants.sql
	grantsSQL string
)

const (
	// lockTimeout is how long a statement waits for the lock on a table of the platform. Meanwhile
	// the platform's statements on this table wait too.
	lockTimeout = 2 * time.Second
	// lockAttempts is how often a lock is tried.
	lockAttempts = 20
	// lockPause is the wait after the first failed attempt. It grows with each.
	lockPause = 250 * time.Millisecond
)

// installed is what is in the database of a plan.
type installed struct {
	triggers  map[Name][]Trigger
	broken    map[Name]map[string]string // by table and trigger: what is wrong with it
	functions map[string]Function
}

func readInstalled(ctx context.Context, db Queryer) (installed, error) {
	in := installed{triggers: map[Name][]Trigger{}, broken: map[Name]map[string]string{}, functions: map[string]Function{}}
	var table Name
	var t Trigger
	var isEnabled, isAfter bool
	err := each(ctx, db, installedSQL, nil, []any{&table.Schema, &table.Table, &t.Name, &t.Function, &isEnabled, &isAfter, &t.Event, &t.Referencing}, func() {
		in.triggers[table] = append(in.triggers[table], t)
		problem := ""
		switch {
		case !isEnabled:
			problem = "is disabled"
		case !isAfter:
			problem = "is not an AFTER trigger of statements"
		}
		if problem != "" {
			if in.broken[table] == nil {
				in.broken[table] = map[string]string{}
			}
			in.broken[table][t.Name] = problem
		}
	})
	if err != nil {
		return in, err
	}
	var f Function
	var isSafe bool
	err = each(ctx, db, functionsSQL, nil, []any{&f.Name, &f.Body, &f.Owner, &isSafe}, func() {
		if !isSafe {
			f.Body = ""
		}
		in.functions[f.Name] = f
	})
	return in, err
}

// differences compares the triggers and functions that are in the database with those of the plan.
// None: they are complete.
func (p *Plan) differences(in installed) []SchemaProblem {
	const again = `Run "thaw adopt check --fix" to create the triggers again`
	var all []SchemaProblem
	add := func(function, format string, args ...any) {
		kind, event, _ := strings.Cut(function, "_")
		// Without the trigger for INSERT, Thaw misses new rows. What it knows about the others is right.
		all = append(all, SchemaProblem{Kind: Kind(kind), Holds: event != "insert", Message: fmt.Sprintf(format, args...), Fix: again})
	}
	for _, f := range p.Functions {
		switch found, ok := in.functions[f.Name]; {
		case !ok:
			add(f.Name, "the function thaw_adopt.%s is missing", f.Name)
		case strings.TrimSpace(found.Body) != strings.TrimSpace(f.Body):
			add(f.Name, "the function thaw_adopt.%s is not the one of the mapping and the tables", f.Name)
		case found.Owner != f.Owner:
			add(f.Name, "the function thaw_adopt.%s belongs to %s and not to %s", f.Name, found.Owner, f.Owner)
		}
	}
	for _, t := range p.Tables {
		for _, want := range t.Triggers {
			i := slices.IndexFunc(in.triggers[t.Name], func(found Trigger) bool { return found.Name == want.Name })
			switch {
			case i < 0:
				add(want.Function, "the trigger %s on %s is missing", want.Name, t.Name)
			case in.broken[t.Name][want.Name] != "":
				add(want.Function, "the trigger %s on %s %s", want.Name, t.Name, in.broken[t.Name][want.Name])
			case in.triggers[t.Name][i] != want:
				add(want.Function, "the trigger %s on %s is not the one of the mapping", want.Name, t.Name)
			}
		}
	}
	for _, extra := range p.extras(in) {
		add(extra.function, "the trigger %s on %s is not in the mapping", extra.name, extra.table)
	}
	return all
}

type installedTrigger struct {
	table          Name
	name, function string
}

// extras are triggers of Thaw's that the plan does not have, in the order of their tables.
func (p *Plan) extras(in installed) []installedTrigger {
	var all []installedTrigger
	for table, triggers := range in.triggers {
		i := slices.IndexFunc(p.Tables, func(t TableTriggers) bool { return t.Name == table })
		for _, trigger := range triggers {
			if i < 0 || !slices.ContainsFunc(p.Tables[i].Triggers, func(t Trigger) bool { return t.Name == trigger.Name }) {
				all = append(all, installedTrigger{table, trigger.Name, trigger.Function})
			}
		}
	}
	slices.SortFunc(all, func(a, b installedTrigger) int {
		return strings.Compare(a.table.String()+" "+a.name, b.table.String()+" "+b.name)
	})
	return all
}

// Install creates what is missing of the plan, each table in a transaction of its own, which waits
// at most two seconds for the table and is retried. If everything is there, for example because the
// platform's migrations have run the file, it changes nothing and needs no right.
func (p *Plan) Install(ctx context.Context, db Database) error {
	in, err := readInstalled(ctx, db)
	if err != nil || len(p.differences(in)) == 0 {
		return err
	}
	var statements strings.Builder
	statements.WriteString(p.Setup)
	for _, f := range p.Functions {
		statements.WriteString(f.SQL)
	}
	if err := runLocking(ctx, db, statements.String()); err != nil {
		return p.explain(err)
	}
	for _, t := range p.Tables {
		if err := runLocking(ctx, db, t.SQL); err != nil {
			return p.explain(fmt.Errorf("creating the triggers on %s: %w", t.Name, err))
		}
	}
	for _, extra := range p.extras(in) {
		if err := runLocking(ctx, db, "DROP TRIGGER "+quote(extra.name)+" ON "+qualified(extra.table)); err != nil {
			return p.explain(fmt.Errorf("dropping a trigger on %s: %w", extra.table, err))
		}
	}
	for name := range in.functions {
		if !slices.ContainsFunc(p.Functions, func(f Function) bool { return f.Name == name }) {
			if err := runLocking(ctx, db, "DROP FUNCTION thaw_adopt."+quote(name)+"()"); err != nil {
				return p.explain(err)
			}
		}
	}
	return nil
}

// explain says who can run the statements, if this role may not.
func (p *Plan) explain(err error) error {
	if isDenied(err) {
		return fmt.Errorf("%w\nRun the file of \"thaw adopt plan\" as %s. Then run this command again", err, p.Runner)
	}
	return err
}

// Tables returns the tables that have a trigger of Thaw's, in the order of their names.
func Tables(ctx context.Context, db Queryer) ([]Name, error) {
	in, err := readInstalled(ctx, db)
	if err != nil {
		return nil, err
	}
	tables := slices.Collect(maps.Keys(in.triggers))
	slices.SortFunc(tables, func(a, b Name) int { return strings.Compare(a.String(), b.String()) })
	return tables, nil
}

// Tables returns the tables that the mapping names.
func (m *Mapping) Tables() []Name {
	var all []Name
	for _, e := range m.Entities {
		all = append(all, e.Table)
		for _, v := range e.Values {
			if v.Join != nil {
				all = append(all, v.Join.Table)
			}
		}
	}
	return all
}

// Uninstall drops all triggers, one table at a time, then their functions. It needs no mapping.
func Uninstall(ctx context.Context, db Database) error {
	in, err := readInstalled(ctx, db)
	if err != nil {
		return err
	}
	// explain says what the owner can run, if this role may not.
	explain := func(err error) error {
		if isDenied(err) {
			return fmt.Errorf("%w\nRun \"DROP SCHEMA thaw_adopt CASCADE\" as the owner of that schema or a superuser: it drops the triggers too. Then run this command again", err)
		}
		return err
	}
	for _, trigger := range (&Plan{}).extras(in) {
		if err := runLocking(ctx, db, "DROP TRIGGER IF EXISTS "+quote(trigger.name)+" ON "+qualified(trigger.table)); err != nil {
			return explain(fmt.Errorf("dropping the trigger %s on %s: %w", trigger.name, trigger.table, err))
		}
	}
	if err := runLocking(ctx, db, "DROP SCHEMA IF EXISTS thaw_adopt CASCADE"); err != nil {
		return explain(fmt.Errorf("dropping the schema thaw_adopt: %w", err))
	}
	return nil
}

// Revoke takes back what the plan granted for tables, and returns the statements for what is still
// granted, because only another role can revoke it.
func Revoke(ctx context.Context, db Database, tables []Name) (left []string, err error) {
	schemas, names := make([]string, len(tables)), make([]string, len(tables))
	for i, table := range tables {
		schemas[i], names[i] = table.Schema, table.Table
	}
	granted := func() (all []string, err error) {
		var revoke string
		err = each(ctx, db, grantsSQL, []any{schemas, names}, []any{&revoke}, func() { all = append(all, revoke) })
		return all, err
	}
	revokes, err := granted()
	if err != nil {
		return nil, err
	}
	for _, revoke := range revokes {
		// Postgres refuses some that this role may not revoke, and only warns of others.
		if err := runLocking(ctx, db, revoke); err != nil && !isDenied(err) {
			return nil, err
		}
	}
	return granted()
}

// runLocking runs statements in one transaction that waits for each lock for at most lockTimeout,
// and retries it, so that the platform's statements never queue behind it for long.
func runLocking(ctx context.Context, db Database, sql string) error {
	for attempt := 1; ; attempt++ {
		err := inTx(ctx, db, pgx.TxOptions{}, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d;\n%s", lockTimeout.Milliseconds(), sql), pgx.QueryExecModeSimpleProtocol)
			return err
		})
		var fromPostgres *pgconn.PgError
		if err == nil || attempt == lockAttempts || !errors.As(err, &fromPostgres) ||
			(fromPostgres.Code != pgerrcode.LockNotAvailable && fromPostgres.Code != pgerrcode.DeadlockDetected) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * lockPause):
		}
	}
}

// inTx runs do in a transaction.
func inTx(ctx context.Context, db Database, options pgx.TxOptions, do func(pgx.Tx) error) error {
	tx, err := db.BeginTx(ctx, options)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // After a commit it does nothing.
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
