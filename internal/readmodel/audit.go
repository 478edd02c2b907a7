package readmodel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/store"
)

// An AuditEntry is an entry of the audit log: what a person, the monitor of safety mode or the
// provider did, to what, and why.
type AuditEntry struct {
	ID    int64     `json:"id"`
	At    time.Time `json:"at"`
	What  string    `json:"what"` // thaw.manual_actions.what
	Actor string    `json:"actor"`
	// SessionRole is the database role that wrote the entry. Unlike Actor, the caller cannot choose
	// it.
	SessionRole string `json:"session_role"`
	Reason      string `json:"reason"` // empty if none was given
	// Detail says what exactly, if no other field does: a file, an endpoint, a token.
	Detail string `json:"detail"`
	// The subject. All empty: the fleet.
	Workspace   string     `json:"workspace"`
	AccountID   *int64     `json:"account_id"`
	Account     string     `json:"account"` // the provider account ID
	AccountName string     `json:"account_name"`
	Campaign    string     `json:"campaign"`
	ProspectURL string     `json:"prospect_url"`
	HealID      *int64     `json:"heal_id"`
	Undoes      *int64     `json:"undoes"`      // of an undo: the entry that it undid
	Until       *time.Time `json:"until"`       // of a hold
	Changed     *int32     `json:"enrollments"` // how many prospects were changed
	// CanUndo is true if the action is of a kind that can be undone, and was not undone. An undo may
	// still be refused because of what has changed since.
	CanUndo bool `json:"-"`
}

// AuditFilter selects the entries that match all fields that are set.
type AuditFilter struct {
	Actor  string
	What   string
	Within time.Duration // at most that long ago
}

// inAudit is a position in the audit log.
type inAudit struct {
	At time.Time `json:"at"`
	ID int64     `json:"id"`
}

// everSince is longer than any log.
const everSince = 100 * 365 * 24 * time.Hour

// Audit returns a page of the audit log, newest first. Within the scope of one workspace, it has
// the actions on the workspace, its accounts and its campaigns.
func Audit(ctx context.Context, db *store.Store, s Scope, f AuditFilter, p Paging) (Page[AuditEntry], error) {
	page, err := audit(ctx, db.Read(), s, f, p)
	if err != nil {
		return Page[AuditEntry]{}, fmt.Errorf("reading the audit log: %w", err)
	}
	return page, nil
}

func audit(ctx context.Context, q *dbsqlc.Queries, s Scope, f AuditFilter, p Paging) (Page[AuditEntry], error) {
	const list = "audit log"
	from, err := after(p, list, inAudit{At: beforeAnyTick.Tick, ID: math.MaxInt64})
	if err != nil {
		return Page[AuditEntry]{}, err
	}
	if f.Within == 0 {
		f.Within = everSince
	}
	workspace := int64(0)
	if s.IsOneWorkspace() {
		workspace = s.first
	}
	rows, err := q.AuditPage(ctx, dbsqlc.AuditPageParams{
		ChosenBy: f.chosenBy(s), Actor: f.Actor, What: f.What, WorkspaceID: workspace, Within: f.Within,
		BeforeAt: from.At, BeforeID: from.ID, Size: p.size(),
	})
	if err != nil {
		return Page[AuditEntry]{}, err
	}
	return paged(p, list, rows, auditEntry, func(r dbsqlc.AuditPageRow) inAudit { return inAudit{r.At, r.ID} })
}

// chosenBy returns the filter whose index is used: an actor usually has fewer entries than a
// workspace, and a workspace fewer than a kind.
func (f AuditFilter) chosenBy(s Scope) string {
	switch {
	case f.Actor != "":
		return "actor"
	case s.IsOneWorkspace() && f.What != "":
		return "workspace and what"
	case s.IsOneWorkspace():
		return "workspace"
	case f.What != "":
		return "what"
	default:
		return "time"
	}
}

func auditEntry(r dbsqlc.AuditPageRow) AuditEntry {
	return AuditEntry{
		ID: r.ID, At: r.At.UTC(), What: r.What, Actor: r.Actor, SessionRole: r.SessionRole, Reason: r.Reason, Detail: r.Detail, Workspace: r.Workspace,
		AccountID: r.AccountID, Account: r.Account, AccountName: r.AccountName, Campaign: r.Campaign, ProspectURL: r.ProspectUrl,
		HealID: r.HealID, Undoes: r.Undoes, Until: utc(r.Until), Changed: r.Enrollments, CanUndo: r.CanUndo,
	}
}

// An ActionDetail is an entry of the audit log, and whether it was undone.
type ActionDetail struct {
	AuditEntry
	UndoneBy *int64 `json:"undone_by"` // the entry of the undo; nil if it was not undone
}

// ActionByID returns an entry of the audit log, or [ErrNotFound].
func ActionByID(ctx context.Context, db *store.Store, s Scope, id int64) (ActionDetail, error) {
	r, err := db.Read().Action(ctx, dbsqlc.ActionParams{ActionID: id, FirstWorkspace: s.first, LastWorkspace: s.last})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNotFound
		fallthrough
	case err != nil:
		return ActionDetail{}, fmt.Errorf("action %d: %w", id, err)
	}
	return ActionDetail{
		AuditEntry: auditEntry(dbsqlc.AuditPageRow{
			ID: r.ID, At: r.At, What: r.What, Actor: r.Actor, SessionRole: r.SessionRole, Reason: r.Reason, Detail: r.Detail,
			Workspace: r.Workspace, AccountID: r.AccountID, Account: r.Account, AccountName: r.AccountName, Campaign: r.Campaign,
			ProspectUrl: r.ProspectUrl, HealID: r.HealID, Undoes: r.Undoes, Until: r.Until, Enrollments: r.Enrollments,
		}),
		UndoneBy: store.OrNil(r.UndoneBy),
	}, nil
}
