package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// An Adoption is the state of Thaw's copy of the platform's own tables. Counts stop at 100,000.
type Adoption struct {
	Phase            string     `json:"phase"`             // installing, backfilling or running
	ShadowWorkspaces int64      `json:"shadow_workspaces"` // in which Thaw changes nothing
	CheckedAt        *time.Time `json:"checked_at"`        // of the last comparison; nil: there was none
	DriftRows        int64      `json:"drift_rows"`        // rows that differed in it
	Parked           int64      `json:"parked"`            // rows whose change could not be applied
	Deferred         int64      `json:"deferred"`          // rows whose change is tried again
	FailedStatements int64      `json:"failed_statements"` // statements that were not copied since then
	Changes          int64      `json:"changes"`           // of Thaw, that the platform has not taken
	SchemaProblems   []string   `json:"schema_problems"`   // what no longer fits the mapping; see adopt.SchemaProblem
	CheckDueAt       *time.Time `json:"check_due_at"`      // since when rows may be wrong because of one; nil: they are not
	HeldAccounts     int64      `json:"held_accounts"`     // that nothing is resumed through until a check succeeds

	isOverLimit bool
}

// readAdoption returns nil if the platform's tables are not adopted.
func readAdoption(ctx context.Context, q *dbsqlc.Queries) (*Adoption, error) {
	s, err := q.AdoptSummary(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the state of the adoption: %w", err)
	}
	return AdoptionOf(s), nil
}

// AdoptionOf returns nil if the platform's tables are not adopted.
func AdoptionOf(s dbsqlc.AdoptSummaryRow) *Adoption {
	if !s.IsAdopted {
		return nil
	}
	return &Adoption{
		Phase: s.Phase, ShadowWorkspaces: s.ShadowWorkspaces, CheckedAt: utc(s.CheckedAt), DriftRows: s.DriftRows, Parked: s.Parked,
		Deferred: s.Deferred, FailedStatements: s.FailedStatements, Changes: s.Changes, isOverLimit: s.IsOverLimit,
		SchemaProblems: s.Problems, CheckDueAt: utc(s.CheckDueAt), HeldAccounts: s.HeldAccounts,
	}
}

// Problems says what keeps the copy from being trusted, and what to do, a sentence or two each.
func (a *Adoption) Problems() []string {
	if a == nil {
		return nil
	}
	var problems []string
	if n := len(a.SchemaProblems); n > 0 {
		text := "The platform's tables no longer fit the mapping: " + a.SchemaProblems[0]
		if n > 1 {
			text += fmt.Sprintf(" There are %d more problems: thaw adopt status lists them.", n-1)
		}
		problems = append(problems, text)
	}
	if a.CheckDueAt != nil {
		problems = append(problems, fmt.Sprintf("Thaw's copy of the platform's tables may be wrong since %s: nothing is resumed through the affected accounts (%d) until thaw adopt check finds no problem and no drift.",
			a.CheckDueAt.Format("2006-01-02 15:04 UTC"), a.HeldAccounts))
	}
	if a.FailedStatements > 0 {
		problems = append(problems, fmt.Sprintf("Changes of the platform's tables were lost (failed statements: %d). Run thaw adopt check --fix.", a.FailedStatements))
	}
	if a.isOverLimit {
		problems = append(problems, fmt.Sprintf("Thaw's copy of the platform's tables differs in too many rows (%d). Run thaw adopt check --fix.", a.DriftRows))
	}
	if a.Parked > 0 {
		problems = append(problems, fmt.Sprintf("Rows of the platform's tables are parked because their changes could not be applied (rows: %d). thaw adopt status lists them.", a.Parked))
	}
	return problems
}
