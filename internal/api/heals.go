package api

import (
	"fmt"
	"math"
	"net/http"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

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
	// Account is the provider account ID, in the workspace if one is given. Provider is needed if
	// several providers use it.
	Account  string `json:"account"`
	Provider string `json:"provider"`
	// Cap is optional: see operator.Heal.
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
	heal, err := wanted.heal()
	if err != nil {
		return reply{}, err
	}
	operate := operator.New(a.store, r.scope, r.name)
	if wanted.DryRun {
		found, err := operate.PreviewHeal(r.Context(), heal)
		return reply{body: dryRun{
			WouldResume: found.WouldResume, Resumable: found.Resumable, Accounts: found.Accounts, Cap: int(found.Cap),
		}}, err
	}
	id, err := operate.StartHeal(r.Context(), heal)
	if err != nil {
		return reply{}, err
	}
	started, err := readmodel.HealByID(r.Context(), a.store.Pool(), r.scope, id)
	return reply{status: http.StatusAccepted, body: started, location: fmt.Sprintf("%s/heals/%d", Prefix, id)}, err
}

// heal checks the values that JSON allows but a heal does not.
func (w healRequest) heal() (operator.Heal, error) {
	heal := operator.Heal{Workspace: w.Workspace, Account: w.Account, Provider: w.Provider, EvenIfOff: w.EvenIfOff}
	for _, name := range []string{w.Workspace, w.Account, w.Provider} {
		if name != "" && checkText(name) != nil {
			return heal, readmodel.ErrNotFound
		}
	}
	if w.Cap != nil {
		if *w.Cap < 1 || *w.Cap > math.MaxInt32 {
			return heal, invalid("cap=%d: must be from 1 to %d.", *w.Cap, math.MaxInt32)
		}
		limit := int32(*w.Cap)
		heal.Cap = &limit
	}
	return heal, nil
}
