package adopt

import (
	"context"
	_ "embed" // the statement
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/thawline/thaw/internal/enum"
)

//go:embed sql/return_changes.sql
var returnSQL string

const (
	// changesPerBatch is how many rows one transaction of a consumer writes. It holds their locks, so
	// it is small.
	changesPerBatch = 200
	// pollEvery is how often a consumer looks for changes without a notification.
	pollEvery = 2 * time.Second
	// retryAfter is the wait after an error, for example because the database restarts.
	retryAfter = time.Second
	// consumerLock is how long a statement of a consumer waits for a lock. It never waits for the
	// rows that it writes: those that are locked are left for a later batch. But a foreign key or a
	// trigger of the platform may need a lock too, and meanwhile the batch holds its own.
	consumerLock = 100 * time.Millisecond
	// maxTimeouts is after how many rows with a lock timeout the rest of a kind is left for a later
	// batch, so that one batch holds its locks for at most a second or so.
	maxTimeouts = 5
)

// Written counts what a consumer did.
type Written struct {
	Taken   int64 `json:"taken"`   // changes, without those of locked rows
	Written int64 `json:"written"` // rows of the platform that changed
	Refused int64 `json:"refused"` // rows that the platform's constraints or triggers refused
	Locked  int64 `json:"locked"`  // rows that the platform has locked: their changes are still in the queue
}

// A Consumer writes what Thaw changed into the platform's tables, as the platform's own worker can
// do with thaw.take_changes. Several consumers can run: no two get the same row.
//
// Each batch is one transaction: take changes, lock the platform's rows in the order of their ids,
// confirm the changes, which returns Thaw's present state, and write it. That state includes
// everything that the platform has committed before the locks were granted, so a prospect that has
// replied meanwhile stays so. A batch does not wait for a row that the platform has locked: its
// change goes to the end of the queue, and the others go on. A row that the platform's constraints
// refuse is recorded in thaw.adopt_errors, and does not stop the others.
//
// Before each batch, the consumer reads which mapping was applied last. If that is another one, or
// the last batch failed, it compares the mapping with the tables again. So it follows a renamed
// column as soon as the new mapping is applied.
type Consumer struct {
	prepared  *Prepared
	name      string
	logger    *slog.Logger
	writers   map[Kind]writer
	hasFailed bool // the last batch
	isNoted   bool // whether a result was noted
}

// NewConsumer returns a consumer with a name for logs.
func (p *Prepared) NewConsumer(name string, logger *slog.Logger) *Consumer {
	c := &Consumer{name: name, logger: logger}
	c.use(p)
	return c
}

// use makes the statements of a mapping.
func (c *Consumer) use(p *Prepared) {
	c.prepared, c.writers = p, map[Kind]writer{}
	for _, kind := range []Kind{Accounts, Campaigns, Enrollments} {
		c.writers[kind] = p.writer(p.Mapping.Entity(kind))
	}
}

// follow loads the mapping that was applied last, if it is another one or the last batch failed.
func (c *Consumer) follow(ctx context.Context, db Database) error {
	var source string
	if err := db.QueryRow(ctx, "SELECT coalesce(s.mapping, '') FROM thaw.adopt_state AS s").Scan(&source); err != nil {
		return err
	}
	isNew := source != c.prepared.Mapping.Source
	if !isNew && !c.hasFailed {
		return nil
	}
	m, err := Applied(ctx, db)
	if err != nil {
		return err
	}
	p, err := m.Prepare(ctx, db, c.prepared.riverSchema)
	if err != nil {
		return fmt.Errorf("the mapping that was applied does not fit the tables: change it and run \"thaw adopt apply\": %w", err)
	}
	c.use(p)
	if isNew {
		c.logger.InfoContext(ctx, "loaded the mapping that was applied")
	}
	return nil
}

// A writer has the statements that write one kind.
type writer struct {
	lock   string // $1: ids; returns those that it could lock
	exist  string // $1: ids; returns those that the platform has
	update string // $1: rows as JSON
	steps  string // $1: ids of paused enrollments; returns their steps as rows for thaw.take_enrollments
}

// writer makes the statements of an entity.
func (p *Prepared) writer(e *Entity) writer {
	table := p.Catalog.Table(e.Table)
	id := table.Column(e.ID)
	// as casts a text to the type of a column. Texts need no cast, and a cast would cut them.
	as := func(expression, column string) string {
		if c := table.Column(column); c.Category != "S" {
			return expression + "::" + c.Type
		}
		return expression
	}
	type assignment struct{ column, value string }
	set := []assignment{{e.Status.Column, fmt.Sprintf("coalesce(%s, t.%s)", as("g.word", e.Status.Column), name(e.Status.Column))}}
	if e.Reason != nil && e.Reason.Column != e.Status.Column {
		value := as("g.reason_word", e.Reason.Column)
		if table.Column(e.Reason.Column).NotNull { // of a pause whose reason has no word
			value = fmt.Sprintf("coalesce(%s, t.%s)", value, name(e.Reason.Column))
		}
		// The platform's own cause of a person's pause stays as it is.
		set = append(set, assignment{e.Reason.Column, fmt.Sprintf("CASE WHEN g.keeps_reason THEN t.%s ELSE %s END", name(e.Reason.Column), value)})
	}
	steps := ""
	if e.Kind == Enrollments {
		if column := e.Values["account"].Column; column != "" {
			set = append(set, assignment{column, fmt.Sprintf("coalesce(%s, t.%s)", as("g.account", column), name(column))})
		}
		if column := e.Values["next_action_at"].Column; column != "" {
			next := "g.next_action_at"
			if table.Column(column).BaseType == "timestamp" {
				next += " AT TIME ZONE 'UTC'"
			}
			// The copy of the due time of a running prospect is old: a resume never makes it earlier.
			set = append(set, assignment{column, fmt.Sprintf("CASE WHEN g.is_resumed THEN greatest(t.%s, %s) ELSE t.%[1]s END", name(column), next)})
		}
		if column := e.Values["paused_at"].Column; column != "" {
			at := "g.paused_at"
			if table.Column(column).BaseType == "timestamp" {
				at += " AT TIME ZONE 'UTC'"
			}
			if table.Column(column).NotNull { // after a resume
				at = fmt.Sprintf("coalesce(%s, t.%s)", at, name(column))
			}
			set = append(set, assignment{column, fmt.Sprintf("CASE WHEN g.keeps_reason THEN t.%s ELSE %s END", name(column), at)})
		}
		g := &generator{mapping: p.Mapping, catalog: p.Catalog}
		pairs := []string{"'id', t." + name(e.ID) + "::text"}
		for _, f := range fields[e.Kind] {
			if _, isMapped := e.Values[f.name]; isMapped && (f.running || f.name == "campaign" || f.name == "workspace") {
				pairs = append(pairs, g.pair(e, f, "t"))
			}
		}
		steps = fmt.Sprintf("SELECT coalesce(jsonb_agg(jsonb_build_object(%[1]s)), '[]') FROM %[2]s AS t WHERE t.%[3]s = ANY ($1::text[]::%[4]s[])",
			strings.Join(pairs, ", "), qualified(e.Table), name(e.ID), id.Type)
	}
	var columns, differs []string
	for _, a := range set {
		columns = append(columns, quote(a.column)+" = "+a.value)
		differs = append(differs, fmt.Sprintf("t.%s IS DISTINCT FROM %s", name(a.column), a.value))
	}
	// Only rows that are not terminal on the platform, and whose word is in the map.
	var open []string
	for _, word := range e.Status.Map {
		switch word.Ours {
		case string(enum.EnrollmentCompleted), string(enum.EnrollmentReplied), string(enum.EnrollmentFailed), string(enum.EnrollmentRemoved):
			if e.Kind == Enrollments || e.Kind == Campaigns {
				continue
			}
		}
		open = append(open, quoteText(word.Theirs))
	}
	return writer{
		lock:  fmt.Sprintf("SELECT n.%[1]s::text FROM %[2]s AS n WHERE n.%[1]s = ANY ($1::text[]::%[3]s[]) ORDER BY n.%[1]s FOR NO KEY UPDATE SKIP LOCKED", name(e.ID), qualified(e.Table), id.Type),
		exist: fmt.Sprintf("SELECT n.%[1]s::text FROM %[2]s AS n WHERE n.%[1]s = ANY ($1::text[]::%[3]s[])", name(e.ID), qualified(e.Table), id.Type),
		update: fmt.Sprintf(`
			UPDATE %s AS t SET %s
			FROM jsonb_to_recordset($1::jsonb) AS g (id text, word text, reason_word text, keeps_reason boolean, account text,
				next_action_at timestamptz, paused_at timestamptz, is_resumed boolean)
			WHERE t.%s = g.id::%s AND t.%s::text IN (%s) AND (%s)`,
			qualified(e.Table), strings.Join(columns, ", "), name(e.ID), id.Type, name(e.Status.Column), strings.Join(open, ", "),
			strings.Join(differs, " OR ")),
		steps: steps,
	}
}

// Run writes changes until ctx ends. Errors of the database are logged and retried. It ends with
// [ErrNotAdopted] when the adoption is removed.
func (c *Consumer) Run(ctx context.Context, db Database, listen func(ctx context.Context, notified func()) error) error {
	bell := make(chan struct{}, 1)
	if listen != nil {
		go func() {
			for ctx.Err() == nil {
				if err := listen(ctx, func() {
					select {
					case bell <- struct{}{}:
					default:
					}
				}); err != nil && ctx.Err() == nil {
					c.logger.WarnContext(ctx, "listening for changes failed; polling goes on", "error", err)
					wait(ctx, retryAfter, nil)
				}
			}
		}()
	}
	for ctx.Err() == nil {
		done, err := c.Batch(ctx, db)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, ErrNotAdopted):
			return err
		case err != nil:
			c.logger.ErrorContext(ctx, "writing changes into the platform's tables failed; retrying", "error", err)
			wait(ctx, retryAfter, nil)
		case done.Taken > 0:
			c.logger.InfoContext(ctx, "wrote changes into the platform's tables",
				"changes", done.Taken, "rows", done.Written, "refused", done.Refused, "locked", done.Locked)
		default:
			wait(ctx, pollEvery, bell)
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration, bell <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-bell:
	case <-timer.C:
	}
}

// Batch writes the changes that have waited longest, in one transaction.
func (c *Consumer) Batch(ctx context.Context, db Database) (Written, error) {
	done, err := c.batch(ctx, db)
	c.note(ctx, db, err)
	c.hasFailed = err != nil
	return done, err
}

// note records the error of a batch for thaw adopt status, or that batches succeed again. A process
// that was restarted does not know whether the last batch failed.
func (c *Consumer) note(ctx context.Context, db Database, failure error) {
	if ctx.Err() != nil || errors.Is(failure, ErrNotAdopted) || failure == nil && c.isNoted && !c.hasFailed {
		return
	}
	var text *string
	if failure != nil {
		line := strings.Join(strings.Fields(failure.Error()), " ")
		text = &line
	}
	if err := exec(ctx, db, "SELECT thaw.note_consumer($1, $2)", c.name, text); err != nil {
		c.logger.DebugContext(ctx, "could not note the result of a batch", "error", err)
		return
	}
	c.isNoted = true
}

// takenChange is a change that thaw.take_changes returned.
type takenChange struct {
	Kind       string    `json:"kind"`
	ID         string    `json:"id"`
	FromStatus string    `json:"from_status"`
	MovedFrom  *string   `json:"moved_from"`
	Cause      string    `json:"cause"`
	At         time.Time `json:"at"`
}

func (c *Consumer) batch(ctx context.Context, db Database) (Written, error) {
	var done Written
	if err := c.follow(ctx, db); err != nil {
		return done, err
	}
	err := inTx(ctx, db, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		done = Written{}
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL thaw.applying = 'on'; SET LOCAL lock_timeout = %d", consumerLock.Milliseconds()), pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		ids, changes := map[Kind][]string{}, map[string]takenChange{}
		var one takenChange
		var account, campaign, enrollment *string
		if err := each(ctx, tx, "SELECT t.kind, t.account, t.campaign, t.enrollment, t.from_status, t.moved_from, t.cause, t.at FROM thaw.take_changes($1, $2) AS t",
			[]any{c.name, changesPerBatch}, []any{&one.Kind, &account, &campaign, &enrollment, &one.FromStatus, &one.MovedFrom, &one.Cause, &one.At}, func() {
				done.Taken++
				switch one.Kind {
				case "account":
					one.ID = *account
					ids[Accounts] = append(ids[Accounts], one.ID)
				case "campaign":
					one.ID = *campaign
					ids[Campaigns] = append(ids[Campaigns], one.ID)
				case "enrollment":
					one.ID = *enrollment
					ids[Enrollments] = append(ids[Enrollments], one.ID)
				}
				changes[one.Kind+" "+one.ID] = one
			}); err != nil {
			return err
		}
		var locked []takenChange
		for _, kind := range []Kind{Accounts, Campaigns, Enrollments} {
			if len(ids[kind]) == 0 {
				continue
			}
			skipped, err := c.write(ctx, tx, kind, ids[kind], &done)
			if err != nil {
				return err
			}
			for _, id := range skipped {
				locked = append(locked, changes[kind.single()+" "+id])
			}
		}
		if len(locked) == 0 {
			return nil
		}
		done.Locked, done.Taken = int64(len(locked)), done.Taken-int64(len(locked))
		text, err := json.Marshal(locked)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, returnSQL, string(text))
		return err
	})
	return done, err
}

// A change is what a row of the platform is to have.
type change struct {
	ID           string     `json:"id"`
	Word         *string    `json:"word"`
	ReasonWord   *string    `json:"reason_word"`
	KeepsReason  bool       `json:"keeps_reason"`
	Account      *string    `json:"account"`
	NextActionAt *time.Time `json:"next_action_at"`
	PausedAt     *time.Time `json:"paused_at"`  // null: it is not paused
	IsResumed    bool       `json:"is_resumed"` // or moved: NextActionAt counts
}

// write writes rows of one kind. It returns the ids of those that the platform has locked.
func (c *Consumer) write(ctx context.Context, tx pgx.Tx, kind Kind, ids []string, done *Written) (locked []string, err error) {
	e, w := c.prepared.Mapping.Entity(kind), c.writers[kind]
	ready, locked, err := w.lockRows(ctx, tx, ids)
	if err != nil || len(ready) == 0 {
		return locked, err
	}
	var changes []change
	var pausedIDs []string
	var now confirmed
	if err := each(ctx, tx, "SELECT c.id, c.status, c.reason, c.own_reason, c.account, c.next_action_at, c.paused_at FROM thaw.confirm_changes($1, $2) AS c",
		[]any{kind.single(), ready}, []any{&now.id, &now.status, &now.reason, &now.ownReason, &now.account, &now.nextActionAt, &now.pausedAt}, func() {
			if one, ok := e.change(now); ok {
				changes = append(changes, one)
			}
			if now.status == paused {
				pausedIDs = append(pausedIDs, now.id)
			}
		}); err != nil {
		return nil, err
	}
	more, err := c.update(ctx, tx, kind, w, changes, done)
	locked = append(locked, more...)
	if err != nil || w.steps == "" || len(pausedIDs) == 0 {
		return locked, err
	}
	// Thaw did not copy the steps of a prospect while it ran.
	_, err = tx.Exec(ctx, "SELECT thaw.take_enrollments(("+w.steps+"))", pausedIDs)
	return locked, err
}

// lockRows locks the rows that are free. A row that the platform no longer has is neither ready nor
// locked.
func (w writer) lockRows(ctx context.Context, tx pgx.Tx, ids []string) (ready, locked []string, err error) {
	isReady := map[string]bool{}
	var id string
	if err := each(ctx, tx, w.lock, []any{ids}, []any{&id}, func() {
		ready = append(ready, id)
		isReady[id] = true
	}); err != nil {
		return nil, nil, err
	}
	var rest []string
	for _, id := range ids {
		if !isReady[id] {
			rest = append(rest, id)
		}
	}
	if len(rest) == 0 {
		return ready, nil, nil
	}
	err = each(ctx, tx, w.exist, []any{rest}, []any{&id}, func() { locked = append(locked, id) })
	return ready, locked, err
}

// update writes rows. If the platform refuses one, each is written on its own. It returns the ids
// of rows that need a lock which the platform has.
func (c *Consumer) update(ctx context.Context, tx pgx.Tx, kind Kind, w writer, changes []change, done *Written) (locked []string, err error) {
	if len(changes) == 0 {
		return nil, nil
	}
	failure, err := w.updateRows(ctx, tx, changes, done)
	if failure == nil || err != nil {
		return nil, err
	}
	for i, one := range changes {
		if len(locked) == maxTimeouts {
			for _, rest := range changes[i:] {
				locked = append(locked, rest.ID)
			}
			return locked, nil
		}
		if len(changes) > 1 {
			if failure, err = w.updateRows(ctx, tx, []change{one}, done); err != nil {
				return nil, err
			}
		}
		switch {
		case failure == nil:
		case isLocked(failure):
			locked = append(locked, one.ID)
		default:
			done.Refused++
			c.logger.WarnContext(ctx, "the platform's table refused a change", "kind", kind.single(), "id", one.ID, "error", failure)
			if _, err := tx.Exec(ctx, "SELECT thaw.note_adopt_failure($1, $2, $3)", kind.single(), failure.Code,
				fmt.Sprintf("%s %s could not be written into %s: %s", kind.single(), one.ID, c.prepared.Mapping.Entity(kind).Table, failure.Message)); err != nil {
				return nil, err
			}
		}
	}
	return locked, nil
}

// updateRows writes rows, all or none. The failure is that of a row or of a lock, not of the
// moment.
func (w writer) updateRows(ctx context.Context, tx pgx.Tx, changes []change, done *Written) (failure *pgconn.PgError, err error) {
	text, err := json.Marshal(changes)
	if err != nil {
		return nil, err
	}
	var rows int64
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, w.update, string(text))
		rows = tag.RowsAffected()
		return err
	})
	switch {
	case err == nil:
		done.Written += rows
		return nil, nil
	case errors.As(err, &failure) && (isRefusal(failure.Code) || isLocked(failure)):
		return failure, nil
	default:
		return nil, err
	}
}

// isLocked reports whether a statement would have waited too long for a lock.
func isLocked(err *pgconn.PgError) bool { return err.Code == pgerrcode.LockNotAvailable }

// isRefusal reports whether an error of this code is the row's fault and not that of the moment.
func isRefusal(code string) bool {
	return pgerrcode.IsDataException(code) || pgerrcode.IsIntegrityConstraintViolation(code) || pgerrcode.IsPLpgSQLError(code)
}

// confirmed is the present state of a row of Thaw's copy.
type confirmed struct {
	id, status                 string
	reason, ownReason, account *string
	nextActionAt, pausedAt     *time.Time
}

// change returns what the platform's row is to have. It is false if there is nothing to write.
func (e *Entity) change(now confirmed) (change, bool) {
	reason := ""
	if now.reason != nil {
		reason = *now.reason
	}
	c := change{ID: now.id, Account: now.account, NextActionAt: now.nextActionAt, PausedAt: now.pausedAt}
	if e.Kind != Accounts {
		// A move of a pending prospect spreads the overdue times too.
		c.IsResumed = now.status == string(enum.EnrollmentActive) || now.status == string(enum.EnrollmentPending)
	}
	if word, ok := e.StatusWord(now.status, reason); ok {
		c.Word = &word
	}
	if e.Reason != nil {
		c.ReasonWord = e.ReasonWord(reason)
		c.KeepsReason = reason == string(enum.ReasonPausedByUser) && now.ownReason != nil
	}
	return c, c.Word != nil || e.Kind == Enrollments
}
