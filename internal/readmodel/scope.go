package readmodel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/thawline/thaw/internal/store"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// ErrNotFound is returned for what does not exist or is outside the scope.
var ErrNotFound = errors.New("not found")

// An UnknownWorkspaceError says that there is no workspace with a key, or none that the caller can
// see. It is an [ErrNotFound].
type UnknownWorkspaceError struct{ Key string }

// Error implements error. API, pages and commands show this text.
func (e *UnknownWorkspaceError) Error() string { return fmt.Sprintf("there is no workspace %q", e.Key) }

// Is implements the interface of [errors.Is].
func (*UnknownWorkspaceError) Is(target error) bool { return target == ErrNotFound }

// An UnknownKindError says that there is no such kind of action.
type UnknownKindError struct {
	Kind  string
	Kinds []string // all kinds
}

// Error implements error. API and commands show this text.
func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("there is no kind of action %q: use one of %s", e.Kind, strings.Join(e.Kinds, ", "))
}

// A Scope limits which rows a caller can see: a range of workspace IDs, which is part of every
// query. The zero Scope sees nothing.
type Scope struct{ first, last int64 }

// Everything is the scope of an operator.
func Everything() Scope { return Scope{1, math.MaxInt64} }

// OfWorkspace is the scope of a caller that can see one workspace.
func OfWorkspace(id int64) Scope { return Scope{id, id} }

// IsOneWorkspace reports whether the scope is a single workspace.
func (s Scope) IsOneWorkspace() bool { return s.first == s.last }

// Range returns the scope as a range of workspace IDs, for queries of other packages.
func (s Scope) Range() (first, last int64) { return s.first, s.last }

// WorkspaceID returns the ID of the workspace if IsOneWorkspace is true.
func (s Scope) WorkspaceID() int64 { return s.first }

// Workspace narrows the scope to the workspace with the given key. An empty key changes nothing. It
// returns an [UnknownWorkspaceError] if there is no such workspace within the scope.
func (s Scope) Workspace(ctx context.Context, db *store.Store, key string) (Scope, error) {
	if key == "" {
		return s, nil
	}
	row, err := db.Read().FindWorkspace(ctx, dbsqlc.FindWorkspaceParams{
		Workspace: key, FirstWorkspace: s.first, LastWorkspace: s.last,
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Scope{}, &UnknownWorkspaceError{key}
	case err != nil:
		return Scope{}, fmt.Errorf("looking for workspace %q: %w", key, err)
	}
	return OfWorkspace(row.ID), nil
}
