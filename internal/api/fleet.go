package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
)

// enrollmentStatuses are the statuses by which the enrollments of an account can be listed.
var enrollmentStatuses = []enum.EnrollmentStatus{enum.EnrollmentPaused, enum.EnrollmentActive}

// narrowed returns the scope of the caller, or the requested workspace within it.
func (a *api) narrowed(r *request) (readmodel.Scope, error) {
	return r.scope.Workspace(r.Context(), a.store, r.query["workspace"])
}

// list serves a list that can be filtered by workspace.
func list[T any](a *api, r *request, read func(context.Context, *store.Store, readmodel.Scope, readmodel.Paging) (T, error)) (reply, error) {
	p, err := r.paging()
	if err != nil {
		return reply{}, err
	}
	scope, err := a.narrowed(r)
	if err != nil {
		return reply{}, err
	}
	page, err := read(r.Context(), a.store, scope, p)
	return reply{body: page}, err
}

// workspaces serves GET /workspaces.
func (a *api) workspaces(r *request) (reply, error) {
	state, err := oneOf(r, "auto_resume", readmodel.AutoResumeStates)
	if err != nil {
		return reply{}, err
	}
	return list(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, p readmodel.Paging) (readmodel.Page[readmodel.Workspace], error) {
		return readmodel.Workspaces(ctx, db, s, state, p)
	})
}

// sweeps serves GET /sweeps.
func (a *api) sweeps(r *request) (reply, error) { return list(a, r, readmodel.Sweeps) }

// heals serves GET /heals.
func (a *api) heals(r *request) (reply, error) {
	status, err := oneOf(r, "status", readmodel.HealStatuses)
	if err != nil {
		return reply{}, err
	}
	return list(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, p readmodel.Paging) (readmodel.Page[readmodel.Heal], error) {
		return readmodel.Heals(ctx, db, s, status, p)
	})
}

// campaigns serves GET /campaigns.
func (a *api) campaigns(r *request) (reply, error) {
	status, err := oneOf(r, "status", enum.CampaignStatuses)
	if err != nil {
		return reply{}, err
	}
	return list(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, p readmodel.Paging) (readmodel.Page[readmodel.Campaign], error) {
		return readmodel.Campaigns(ctx, db, s, string(status), p)
	})
}

// accounts serves GET /accounts.
func (a *api) accounts(r *request) (reply, error) {
	status, err := oneOf(r, "status", enum.AccountStatuses)
	if err != nil {
		return reply{}, err
	}
	hasBacklog, err := oneOf(r, "has_backlog", []string{"true", "false"})
	if err != nil {
		return reply{}, err
	}
	blocked, err := oneOf(r, "blocked", readmodel.AccountBlocks)
	if err != nil {
		return reply{}, err
	}
	order, err := oneOf(r, "order", []string{"workspace", "paused"})
	if err != nil {
		return reply{}, err
	}
	filter := readmodel.AccountFilter{
		Account: r.query["account"], Status: string(status), Blocked: blocked, HasBacklog: hasBacklog == "true", MostPausedFirst: order == "paused",
	}
	return list(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, p readmodel.Paging) (readmodel.Page[readmodel.Account], error) {
		return readmodel.Accounts(ctx, db, s, filter, p)
	})
}

// account serves GET /accounts/{id}.
func (a *api) account(r *request) (reply, error) {
	id, err := r.id()
	if err != nil {
		return reply{}, err
	}
	detail, err := a.reader.AccountByID(r.Context(), r.scope, id)
	return reply{body: detail}, err
}

// enrollments serves GET /accounts/{id}/enrollments.
func (a *api) enrollments(r *request) (reply, error) {
	status, err := oneOf(r, "status", enrollmentStatuses)
	if err != nil {
		return reply{}, err
	}
	if status == "" {
		status = enum.EnrollmentPaused
	}
	return ofAccount(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, id int64, p readmodel.Paging) (readmodel.Page[readmodel.Enrollment], error) {
		return readmodel.Enrollments(ctx, db, s, id, string(status), p)
	})
}

// signals serves GET /accounts/{id}/signals.
func (a *api) signals(r *request) (reply, error) { return ofAccount(a, r, readmodel.Signals) }

// ofAccount serves a list of the account in the path.
func ofAccount[T any](a *api, r *request, read func(context.Context, *store.Store, readmodel.Scope, int64, readmodel.Paging) (readmodel.Page[T], error)) (reply, error) {
	id, err := r.id()
	if err != nil {
		return reply{}, err
	}
	p, err := r.paging()
	if err != nil {
		return reply{}, err
	}
	page, err := read(r.Context(), a.store, r.scope, id, p)
	return reply{body: page}, err
}

// fleet serves GET /fleet.
func (a *api) fleet(r *request) (reply, error) {
	scope, err := a.narrowed(r)
	if err != nil {
		return reply{}, err
	}
	report, err := a.reader.Fleet(r.Context(), scope)
	return reply{body: report}, err
}

// search serves GET /search.
func (a *api) search(r *request) (reply, error) {
	wanted, err := r.required("q")
	if err != nil {
		return reply{}, err
	}
	kind, err := oneOf(r, "kind", readmodel.SearchKinds)
	if err != nil {
		return reply{}, err
	}
	p, err := r.paging()
	if err != nil {
		return reply{}, err
	}
	if kind == "" && p.Cursor != "" {
		return reply{}, invalid("A cursor needs a kind: send kind=%s with it.", strings.Join(readmodel.SearchKinds, ", or "))
	}
	found, err := readmodel.Search(r.Context(), a.store, r.scope, wanted, readmodel.SearchFilter{Kind: kind, Paging: p})
	return reply{body: found}, err
}

//go:embed openapi.json
var document json.RawMessage

// document serves GET /openapi.json.
func (*api) document(*request) (reply, error) { return reply{body: document}, nil }
