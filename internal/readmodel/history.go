package readmodel

import (
	"context"
	"fmt"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// A HistoryEntry is an entry in the history of an account, of a workspace or of safety mode: a
// status change or a manual action.
type HistoryEntry struct {
	ID         int64      `json:"-"` // of a manual action: thaw.manual_actions.id
	At         time.Time  `json:"at"`
	What       string     `json:"what"`                  // "status" or thaw.manual_actions.what
	FromStatus string     `json:"from_status,omitempty"` // of a status change
	ToStatus   string     `json:"to_status,omitempty"`
	Actor      string     `json:"actor,omitempty"`  // the actor of a manual action
	Reason     string     `json:"reason,omitempty"` // for a status change, the provider's raw value
	Account    string     `json:"account,omitempty"`
	Campaign   string     `json:"campaign,omitempty"`
	Detail     string     `json:"detail,omitempty"`      // what exactly, such as the name of a token
	Until      *time.Time `json:"until,omitempty"`       // of a hold
	Changed    *int32     `json:"enrollments,omitempty"` // how many prospects were changed
	CanUndo    bool       `json:"-"`                     // see AuditEntry
}

// HistorySize is the number of entries that a page shows of a history.
const HistorySize = 50

// AccountHistory returns the latest entries of an account, newest first.
func AccountHistory(ctx context.Context, db *store.Store, s Scope, accountID int64) ([]HistoryEntry, error) {
	entries := []HistoryEntry{}
	err := ofAccount(ctx, db, s, accountID, func(q *dbsqlc.Queries) error {
		rows, err := q.AccountHistory(ctx, dbsqlc.AccountHistoryParams{AccountID: accountID, Size: HistorySize})
		for _, r := range rows {
			entries = append(entries, HistoryEntry{
				At: r.At.UTC(), What: r.What, FromStatus: r.FromStatus, ToStatus: r.ToStatus, Actor: r.Actor, Reason: r.Reason,
				Until: utc(r.Until), Changed: r.Enrollments,
			})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("history of account %d: %w", accountID, err)
	}
	return entries, nil
}

// A History has the latest entries, newest first.
type History struct {
	Entries []HistoryEntry
	HasMore bool // there are older ones
}

func newHistory(entries []HistoryEntry, size int) History {
	if len(entries) > size {
		return History{Entries: entries[:size], HasMore: true}
	}
	return History{Entries: entries}
}

// WorkspaceHistory returns the latest manual actions on a workspace and everything in it, at most
// size of them.
func WorkspaceHistory(ctx context.Context, db *store.Store, workspaceID int64, size int) (History, error) {
	rows, err := db.Read().WorkspaceActions(ctx, dbsqlc.WorkspaceActionsParams{WorkspaceID: workspaceID, Size: int32(size) + 1})
	if err != nil {
		return History{}, fmt.Errorf("history of workspace %d: %w", workspaceID, err)
	}
	entries := make([]HistoryEntry, len(rows))
	for i, r := range rows {
		entries[i] = HistoryEntry{
			ID: r.ID, CanUndo: r.CanUndo, At: r.At.UTC(), What: r.What, Actor: r.Actor, Reason: r.Reason, Account: r.Account, Campaign: r.Campaign,
			Detail: r.Detail, Until: utc(r.Until), Changed: r.Enrollments,
		}
	}
	return newHistory(entries, size), nil
}

// SafetyHistory returns the latest entries to and exits from safety mode, at most size of them.
func SafetyHistory(ctx context.Context, db *store.Store, size int) (History, error) {
	rows, err := db.Read().SafetyHistory(ctx, int32(size)+1)
	if err != nil {
		return History{}, fmt.Errorf("history of safety mode: %w", err)
	}
	entries := make([]HistoryEntry, len(rows))
	for i, r := range rows {
		entries[i] = HistoryEntry{ID: r.ID, At: r.At.UTC(), What: r.What, Actor: r.Actor, Reason: r.Reason}
	}
	return newHistory(entries, size), nil
}
