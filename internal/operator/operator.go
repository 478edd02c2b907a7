// Package operator takes manual actions: everything that a person can change through the command
// line, the JSON API or the pages. These three parse requests and show results. What an action
// applies to, its default cap, its limits and its errors are here, once.
//
// An action names its target as people know it: a workspace key, a provider account ID, the URL of
// a prospect. A target that is not unique is refused, never guessed. The SQL functions check and
// record every action (thaw.manual_actions), so an action through SQL obeys the same rules.
//
// An error that people can act on is a [Problem]: what happened, why, and what to do. [AsProblem]
// maps the errors of the SQL functions to problems. Other errors are failures of the program or the
// database.
package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

// An Operator takes actions for one caller.
type Operator struct {
	store *store.Store
	scope readmodel.Scope
	actor string
}

// New returns an Operator for the caller that the audit log will name actor. A caller with the
// scope of one workspace is a tenant: it can only start, stop and resume heals of its workspace,
// within the limits for tenants.
func New(db *store.Store, scope readmodel.Scope, actor string) *Operator {
	return &Operator{store: db, scope: scope, actor: actor}
}

// isTenant reports whether the caller is limited to its own workspace.
func (o *Operator) isTenant() bool { return o.scope.IsOneWorkspace() }

// An Account names an account by its provider account ID. Provider and Workspace are optional. They
// must match, and Provider is needed if several providers use the ID.
type Account struct {
	ID        string
	Provider  string
	Workspace string
}

// account returns the account that is named.
func (o *Operator) account(ctx context.Context, named Account) (dbsqlc.NamedAccountsRow, error) {
	var none dbsqlc.NamedAccountsRow
	first, last := o.scope.Range()
	rows, err := o.store.Read().NamedAccounts(ctx, dbsqlc.NamedAccountsParams{Account: named.ID, FirstWorkspace: first, LastWorkspace: last})
	if err != nil {
		return none, fmt.Errorf("looking for account %q: %w", named.ID, err)
	}
	if len(rows) == 0 {
		return none, notFound("Use its provider account ID or the platform's own ID.", "there is no account %q", named.ID)
	}
	if named.Workspace != "" {
		// It may be named by the ID of the platform. An unknown one matches no account.
		if w, err := o.store.Read().FindWorkspace(ctx, dbsqlc.FindWorkspaceParams{
			Workspace: named.Workspace, FirstWorkspace: first, LastWorkspace: last,
		}); err == nil {
			named.Workspace = w.Key
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return none, fmt.Errorf("looking for workspace %q: %w", named.Workspace, err)
		}
	}
	// Narrow one criterion at a time, so that the error names the one that does not match.
	found := slices.DeleteFunc(slices.Clone(rows), func(a dbsqlc.NamedAccountsRow) bool { return named.Provider != "" && a.Provider != named.Provider })
	if len(found) == 0 {
		return none, invalid("Correct the provider, or leave it out.", "account %q is an account of %s, not of %s", named.ID, providers(rows), named.Provider)
	}
	within := slices.DeleteFunc(slices.Clone(found), func(a dbsqlc.NamedAccountsRow) bool { return named.Workspace != "" && a.Workspace != named.Workspace })
	switch {
	case len(within) == 0:
		return none, invalid("Leave out one of the two, or correct it.", "account %q is in workspace %q, not in %q", named.ID, found[0].Workspace, named.Workspace)
	case len(within) > 1 && within[0].Account != named.ID:
		return none, invalid("Name the workspace too, or use the provider account ID.", "%d workspaces have an account with the platform's ID %q",
			len(within), named.ID)
	case len(within) > 1:
		return none, invalid("Name the provider too.", "%d providers have an account %q: %s", len(within), named.ID, providers(within))
	}
	return within[0], nil
}

// providers lists the providers of accounts.
func providers(rows []dbsqlc.NamedAccountsRow) string {
	names := make([]string, len(rows))
	for i, a := range rows {
		names[i] = a.Provider
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// workspaceID returns the ID of a workspace.
func (o *Operator) workspaceID(ctx context.Context, key string) (int64, error) {
	scope, err := o.scope.Workspace(ctx, o.store, key)
	var unknown *readmodel.UnknownWorkspaceError
	if errors.As(err, &unknown) {
		return 0, notFound("Use the key of a workspace.", "%s", unknown.Error())
	}
	return scope.WorkspaceID(), err
}

// forOperators refuses an action to tenants.
func (o *Operator) forOperators(action string) error {
	if o.isTenant() {
		return &Problem{Kind: Forbidden, Message: "only an operator may " + action, Fix: "Ask an operator."}
	}
	return nil
}
