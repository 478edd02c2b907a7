package adopt

import (
	"context"
	_ "embed" // the statements
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The statements on the state of the adoption.
var (
	//go:embed sql/state.sql
	stateSQL string
	//go:embed sql/workspaces.sql
	workspacesSQL string
	//go:embed sql/errors.sql
	errorsSQL string
	//go:embed sql/parked.sql
	parkedSQL string
	//go:embed sql/zoneless.sql
	zonelessSQL string
)

// ErrNotAdopted is returned by everything that needs an applied mapping.
var ErrNotAdopted = errors.New("no mapping has been applied to this database: run \"thaw adopt apply\" first")

// A State is the adoption as a whole. Times are null before the first.
type State struct {
	StartedAt *time.Time `json:"started_at"`
	Phase     string     `json:"phase"` // off, installing, backfilling, running
	Mapping   string     `json:"-"`
	CheckedAt *time.Time `json:"checked_at"`
	Rows      int64      `json:"rows_checked"`
	Drift     int64      `json:"drift_rows"`
	Detail    string     `json:"drift_detail,omitempty"`
	// Parked, Deferred and Failed are rows and statements whose changes are not in the copy.
	Parked         int64      `json:"parked_rows"`
	Deferred       int64      `json:"deferred_rows"`
	Failed         int64      `json:"failed_statements"`
	Changes        int64      `json:"changes_waiting"`
	OldestChangeAt *time.Time `json:"oldest_change_at"`
	IsOverLimit    bool       `json:"is_over_limit"`
	// Problems are what no longer fits the mapping, by the last look at the tables, their triggers and
	// the rights. CheckDueAt is since when the copy of some rows may be wrong because of one, until a
	// check finds no difference; HeldAccounts are the accounts that nothing is resumed through.
	Problems     []string   `json:"problems"`
	CheckDueAt   *time.Time `json:"check_due_at"`
	HeldAccounts int64      `json:"held_accounts"`
	// Consumer is the last error of a consumer: thaw adopt run.
	Consumer ConsumerError `json:"consumer_error"`
	// ShadowByDefault is whether new workspaces start in shadow mode.
	ShadowByDefault bool `json:"shadow_by_default"`
}

// A ConsumerError is the last error of a consumer. All is null if there was none.
type ConsumerError struct {
	Name  *string    `json:"consumer"`
	Error *string    `json:"error"`
	At    *time.Time `json:"at"`
	// EndedAt is when a batch succeeded again. Null: none has.
	EndedAt *time.Time `json:"ended_at"`
}

// ReadState reads the state of the adoption.
func ReadState(ctx context.Context, db Reader) (State, error) {
	var s State
	err := db.QueryRow(ctx, stateSQL).Scan(&s.StartedAt, &s.Phase, &s.Mapping, &s.CheckedAt, &s.Rows, &s.Drift, &s.Detail,
		&s.Parked, &s.Deferred, &s.Failed, &s.Changes, &s.OldestChangeAt, &s.IsOverLimit, &s.ShadowByDefault,
		&s.Problems, &s.CheckDueAt, &s.HeldAccounts, &s.Consumer.Name, &s.Consumer.Error, &s.Consumer.At, &s.Consumer.EndedAt)
	return s, err
}

// Applied returns the mapping that was applied last, or [ErrNotAdopted].
func Applied(ctx context.Context, db Reader) (*Mapping, error) {
	state, err := ReadState(ctx, db)
	switch {
	case err != nil:
		return nil, err
	case state.StartedAt == nil || state.Mapping == "":
		return nil, ErrNotAdopted
	}
	m, err := Parse(state.Mapping)
	if err != nil {
		return nil, fmt.Errorf("the mapping that was applied: %w", err)
	}
	return m, nil
}

// A WorkspaceState is the adoption of one workspace.
type WorkspaceState struct {
	Key            string `json:"workspace"`
	ExternalID     string `json:"external_id"`
	IsShadow       bool   `json:"is_shadow"`
	Accounts       int64  `json:"accounts"`
	ParkedAccounts int64  `json:"parked_accounts"`
}

// WorkspaceStates reads at most n workspaces after a key.
func WorkspaceStates(ctx context.Context, db Queryer, after string, n int) ([]WorkspaceState, error) {
	all := []WorkspaceState{}
	var one WorkspaceState
	err := each(ctx, db, workspacesSQL, []any{after, n}, []any{&one.Key, &one.ExternalID, &one.IsShadow, &one.Accounts, &one.ParkedAccounts}, func() { all = append(all, one) })
	return all, err
}

// A Failure is a change of the platform that is not in the copy yet.
type Failure struct {
	Kind       string    `json:"kind"`
	ID         string    `json:"external_id,omitempty"` // empty: the rows of a whole statement
	Code       string    `json:"code"`
	Problem    string    `json:"problem"`
	IsDeferred bool      `json:"is_deferred"`
	At         time.Time `json:"at"`
}

// WithoutZone returns how many accounts have actions to send but send nothing, because no time zone
// is known for them. It counts up to 10,000.
func WithoutZone(ctx context.Context, db Queryer) (n int64, err error) {
	err = each(ctx, db, zonelessSQL, nil, []any{&n}, func() {})
	return n, err
}

// Failures reads the newest n failures.
func Failures(ctx context.Context, db Queryer, n int) ([]Failure, error) {
	all := []Failure{}
	var one Failure
	err := each(ctx, db, errorsSQL, []any{n}, []any{&one.Kind, &one.ID, &one.Code, &one.Problem, &one.IsDeferred, &one.At}, func() { all = append(all, one) })
	return all, err
}

// Parked are rows of the platform whose change could not be applied for one cause. They are not
// resumed.
type Parked struct {
	Kind    string `json:"kind"`
	Code    string `json:"code"`
	Rows    int64  `json:"rows"`
	Example string `json:"example"` // the external ID of one
	Problem string `json:"problem"` // of one
	Fix     string `json:"fix"`
}

func (p Parked) String() string {
	rows, verb := p.Kind+"s", "are"
	if p.Rows == 1 {
		rows, verb = p.Kind, "is"
	}
	return fmt.Sprintf("%d %s %s not copied, for example %s: %s. %s.", p.Rows, rows, verb, p.Example, p.Problem, p.Fix)
}

// fixes say what to do about a row that is parked, by code.
var fixes = map[string]string{
	"unknown_word":   `Add the word to the mapping, then run "thaw adopt apply"`,
	"unknown_parent": `Run "thaw adopt check --fix". If it stays, insert the row that it refers to`,
	"unknown_row":    `Run "thaw adopt check --fix"`,
	"ambiguous":      "Give each row an ID of its own: Thaw cannot tell which of them changed",
}

// maxCauses is how many causes of parked rows are listed.
const maxCauses = 30

// ParkedRows reads which rows are parked and why, most frequent cause first.
func ParkedRows(ctx context.Context, db Queryer) ([]Parked, error) {
	all := []Parked{}
	var one Parked
	err := each(ctx, db, parkedSQL, []any{maxCauses}, []any{&one.Kind, &one.Code, &one.Rows, &one.Example, &one.Problem}, func() {
		one.Fix = fixes[one.Code]
		if one.Fix == "" {
			one.Fix = `Correct the value in the platform's table, then run "thaw adopt check --fix"`
		}
		all = append(all, one)
	})
	return all, err
}

// Start records that Thaw copies the platform's tables with this mapping. A backfill of another
// mapping that was interrupted starts over. What the words meant in that mapping is recorded first,
// for the next backfill, so that an interruption does not lose it.
func (m *Mapping) Start(ctx context.Context, db Database) error {
	state, err := ReadState(ctx, db)
	if err != nil {
		return err
	}
	if (state.Phase == "backfilling" || state.Phase == "running") && state.Mapping != m.Source {
		before, err := Applied(ctx, db)
		if err != nil {
			return err
		}
		pending, err := readProgress(ctx, db)
		if err != nil {
			return err
		}
		progress, err := json.Marshal(m.remapped(before, pending))
		if err != nil {
			return err
		}
		if err := exec(ctx, db, "SELECT thaw.set_adopt_phase('backfilling', $1)", string(progress)); err != nil {
			return err
		}
	}
	return exec(ctx, db, "SELECT thaw.start_adoption($1)", m.Source)
}

// Running records that the backfill is complete.
func Running(ctx context.Context, db Database) error {
	return exec(ctx, db, "SELECT thaw.set_adopt_phase('running', NULL)")
}

// Stop records that Thaw no longer copies the platform's tables.
func Stop(ctx context.Context, db Database) error {
	return exec(ctx, db, "SELECT thaw.stop_adoption()")
}

// Retry applies changes that were kept, also those that wait for a person.
func Retry(ctx context.Context, db Database) error {
	return exec(ctx, db, "SELECT thaw.retry_adoption(10000, true)")
}

// Note records what a comparison found that began at a time. It reports whether the drift is over
// the limit, so that safety mode was entered.
func (c Comparison) Note(ctx context.Context, db Database, began time.Time) (isOver bool, err error) {
	err = db.QueryRow(ctx, "SELECT coalesce(thaw.note_check($1, $2, $3, $4), false)", c.Rows, c.Drift-c.Fixed, c.Detail(), began).Scan(&isOver)
	return isOver, err
}

// Now returns the time of the database's clock.
func Now(ctx context.Context, db Database) (now time.Time, err error) {
	err = db.QueryRow(ctx, "SELECT thaw.now()").Scan(&now)
	return now, err
}

// SetShadow takes a workspace into shadow mode or out of it, by its key; with "" all of them, and
// new ones too. It returns how many changed.
func SetShadow(ctx context.Context, db Database, workspace string, isShadow bool, reason, actor string) (changed int64, err error) {
	sql := "SELECT thaw.go_live(nullif($1, ''), $2, $3)"
	if isShadow {
		sql = "SELECT thaw.go_shadow(nullif($1, ''), $2, $3)"
	}
	err = db.QueryRow(ctx, sql, workspace, reason, actor).Scan(&changed)
	return changed, err
}

// exec runs a statement that returns nothing of interest.
func exec(ctx context.Context, db Queryer, sql string, args ...any) error {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}
