package readmodel

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// ErrNotFound is returned for what is not there, or not there for whoever asks.
var ErrNotFound = errors.New("not found")

// A Scope is whose rows may be seen: a range of workspaces, which goes into every query. The zero Scope sees nothing.
type Scope struct{ first, last int64 }

// Everything is the scope of an operator.
func Everything() Scope { return Scope{1, math.MaxInt64} }

// OfWorkspace is the scope of those who may see one workspace.
func OfWorkspace(id int64) Scope { return Scope{id, id} }

// IsOneWorkspace says whether nothing but one workspace may be seen.
func (s Scope) IsOneWorkspace() bool { return s.first == s.last }

// WorkspaceID returns the one workspace that may be seen, where there is one.
func (s Scope) WorkspaceID() int64 { return s.first }

// Workspace narrows a scope to one workspace, by its key; an empty key changes nothing. [ErrNotFound] if there is none, or none
// within the scope.
func (s Scope) Workspace(ctx context.Context, db *pgxpool.Pool, key string) (Scope, error) {
	if key == "" {
		return s, nil
	}
	row, err := dbsqlc.New(db).WorkspaceNamed(ctx, dbsqlc.WorkspaceNamedParams{
		Workspace: key, FirstWorkspace: s.first, LastWorkspace: s.last,
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Scope{}, fmt.Errorf("workspace %q: %w", key, ErrNotFound)
	case err != nil:
		return Scope{}, fmt.Errorf("looking for workspace %q: %w", key, err)
	}
	return OfWorkspace(row.ID), nil
}
