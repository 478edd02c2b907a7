package api

import (
	"context"
	"fmt"
	"math"
	"net/http"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

// heal serves GET /heals/{id}.
func (a *api) heal(r *request) (reply, error) {
	id, err := r.id()
	if err != nil {
		return reply{}, err
	}
	found, err := readmodel.HealByID(r.Context(), a.store, r.scope, id)
	return reply{body: found}, err
}

// A healRequest is the body of POST /heals.
type healRequest struct {
	Workspace string `json:"workspace"`
	// Account is the provider account ID, in the workspace if one is given. Provider is needed if
	// several providers use it.
	Account  string `json:"account"`
	Provider string `json:"provider"`
	// Fleet heals all workspaces, for operators. It needs a rate.
	Fleet bool `json:"fleet"`
	// Cap and Rate are optional: see operator.Heal.
	Cap       *int   `json:"cap"`
	Rate      *int   `json:"rate"`
	EvenIfOff bool   `json:"even_if_off"`
	Reason    string `json:"reason"`
	DryRun    bool   `json:"dry_run"`
}

// A dryRun is the result of a dry run.
type dryRun struct {
	WouldResume int64 `json:"would_resume"`
	Resumable   int64 `json:"resumable"`
	Accounts    int64 `json:"accounts"`
	Cap         int   `json:"cap"`
	// Remaining is what the cap leaves to the sweeps, which need about Ticks for it.
	Remaining int64 `json:"remaining"`
	Ticks     int64 `json:"ticks"`
	Blocked   int64 `json:"blocked"`
	WouldMove int64 `json:"would_move"`
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
			Remaining: found.Remaining, Ticks: found.Ticks, Blocked: found.Blocked, WouldMove: found.Movable,
		}}, err
	}
	id, err := operate.StartHeal(r.Context(), heal)
	if err != nil {
		return reply{}, err
	}
	started, err := readmodel.HealByID(r.Context(), a.store, r.scope, id)
	return reply{status: http.StatusAccepted, body: started, location: fmt.Sprintf("%s/heals/%d", Prefix, id)}, err
}

// heal checks the values that JSON allows but a heal does not.
func (w healRequest) heal() (operator.Heal, error) {
	heal := operator.Heal{
		Fleet: w.Fleet, Workspace: w.Workspace, Account: w.Account, Provider: w.Provider, EvenIfOff: w.EvenIfOff, Reason: w.Reason,
	}
	for _, name := range []string{w.Workspace, w.Account, w.Provider} {
		if name != "" && checkText(name) != nil {
			return heal, readmodel.ErrNotFound
		}
	}
	if w.Reason != "" && checkText(w.Reason) != nil {
		return heal, invalid("The reason must be at most %d bytes of text.", explain.MaxURL)
	}
	var err error
	if heal.Cap, err = positive("cap", w.Cap); err != nil {
		return heal, err
	}
	heal.Rate, err = positive("rate", w.Rate)
	return heal, err
}

func positive(name string, given *int) (*int32, error) {
	if given == nil {
		return nil, nil //nolint:nilnil // The field is optional.
	}
	if *given < 1 || *given > math.MaxInt32 {
		return nil, invalid("%s=%d: must be from 1 to %d.", name, *given, math.MaxInt32)
	}
	number := int32(*given)
	return &number, nil
}

// A reasonRequest is the body of a route that takes an action on an object of its path.
type reasonRequest struct {
	Reason string `json:"reason"`
}

// stopHeal serves POST /heals/{id}/stop.
func (a *api) stopHeal(r *request) (reply, error) {
	return a.actOnHeal(r, operator.New(a.store, r.scope, r.name).StopHeal)
}

// resumeHeal serves POST /heals/{id}/resume.
func (a *api) resumeHeal(r *request) (reply, error) {
	return a.actOnHeal(r, operator.New(a.store, r.scope, r.name).ResumeHeal)
}

func (a *api) actOnHeal(r *request, act func(context.Context, int64, string) (bool, error)) (reply, error) {
	id, err := r.id()
	if err != nil {
		return reply{}, err
	}
	var wanted reasonRequest
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	if _, err := act(r.Context(), id, wanted.Reason); err != nil {
		return reply{}, err
	}
	found, err := readmodel.HealByID(r.Context(), a.store, r.scope, id)
	return reply{body: found}, err
}

// An undone is the result of an undo.
type undone struct {
	ActionID int64 `json:"action_id"`
	Restored int64 `json:"restored"`
}

// undo serves POST /actions/{id}/undo.
func (a *api) undo(r *request) (reply, error) {
	id, err := r.id()
	if err != nil {
		return reply{}, err
	}
	var wanted reasonRequest
	if err := r.body(&wanted); err != nil {
		return reply{}, err
	}
	done, err := operator.New(a.store, r.scope, r.name).Undo(r.Context(), id, wanted.Reason, nil)
	a.reader.Forget() // also after a failure: a part may be done
	return reply{body: undone{ActionID: done.ID, Restored: done.Changed}}, err
}
