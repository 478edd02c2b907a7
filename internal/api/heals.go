package api

import (
	"fmt"
	"math"
	"net/http"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/readmodel"
)

// defaultCap is the cap of an operator's heal, in prospects, if the request has none. It is the
// default of thaw.heal.
const defaultCap = 5000

// heal serves GET /heals/{id}.
func (a *api) heal(r *request) (reply, error) {
	id, err := r.id()
	if err != nil {
		return reply{}, err
	}
	found, err := readmodel.HealByID(r.Context(), a.store.Pool(), r.scope, id)
	return reply{body: found}, err
}

// A healRequest is the body of POST /heals.
type healRequest struct {
	Workspace string `json:"workspace"`
	// Account is the provider account ID, in the workspace if one is given.
	Account string `json:"account"`
	// Cap defaults to defaultCap. For a tenant, it defaults to all that the tenant may still resume
	// in this tick.
	Cap       *int `json:"cap"`
	EvenIfOff bool `json:"even_if_off"`
	DryRun    bool `json:"dry_run"`
}

// A dryRun is the result of a dry run.
type dryRun struct {
	WouldResume int64 `json:"would_resume"`
	Resumable   int64 `json:"resumable"`
	Accounts    int64 `json:"accounts"`
	Cap         int   `json:"cap"`
}

// startHeal serves POST /heals. It starts a heal and returns its location, or does a dry run.
func (a *api) startHeal(r *request) (reply, error) {
	var wanted healRequest
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	start, err := a.healOf(r, wanted)
	if err != nil {
		return reply{}, err
	}
	if wanted.DryRun {
		found, err := a.store.TryHeal(r.Context(), start)
		if err != nil {
			return reply{}, err
		}
		return reply{body: dryRun{
			WouldResume: min(found.Waiting, int64(found.Cap)), Resumable: found.Waiting, Accounts: found.Accounts, Cap: int(found.Cap),
		}}, nil
	}
	id, err := a.store.StartHeal(r.Context(), start)
	if err != nil {
		return reply{}, err
	}
	started, err := readmodel.HealByID(r.Context(), a.store.Pool(), r.scope, id)
	return reply{status: http.StatusAccepted, body: started, location: fmt.Sprintf("%s/heals/%d", Prefix, id)}, err
}

// healOf validates the request and looks up its target within the scope of the caller.
func (a *api) healOf(r *request, wanted healRequest) (start dbsqlc.StartHealParams, err error) {
	limit := defaultCap
	if !r.isOperator() {
		limit = 0
	}
	if wanted.Cap != nil {
		limit = *wanted.Cap
	}
	switch {
	case wanted.Workspace == "" && wanted.Account == "":
		return start, invalid("The heal has no target. Set workspace or account.")
	case wanted.Workspace != "" && checkText(wanted.Workspace) != nil, wanted.Account != "" && checkText(wanted.Account) != nil:
		return start, readmodel.ErrNotFound
	case wanted.Cap != nil && limit < 1 || limit > math.MaxInt32:
		return start, invalid("cap=%d: must be from 1 to %d.", limit, math.MaxInt32)
	case wanted.EvenIfOff && !r.isOperator():
		return start, &problem{kind: forbidden, detail: "Only an operator may set even_if_off."}
	}
	start = dbsqlc.StartHealParams{Cap: int32(limit), EvenIfOff: wanted.EvenIfOff, Actor: r.name}
	if !r.isOperator() {
		tenant := r.scope.WorkspaceID()
		start.TenantID = &tenant
	}
	scope, err := r.scope.Workspace(r.Context(), a.store.Pool(), wanted.Workspace)
	if err != nil {
		return start, err
	}
	if wanted.Account == "" {
		id := scope.WorkspaceID()
		start.WorkspaceID = &id
		return start, nil
	}
	ids, err := readmodel.AccountIDs(r.Context(), a.store.Pool(), scope, wanted.Account)
	switch {
	case err != nil:
		return start, err
	case len(ids) == 0:
		return start, readmodel.ErrNotFound
	case len(ids) > 1:
		return start, invalid("%d providers have an account %q. Heal its workspace instead.", len(ids), wanted.Account)
	}
	start.AccountID = &ids[0]
	return start, nil
}
