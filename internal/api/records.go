package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/outbound"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/when"
)

// forOperators refuses a request of a tenant.
func (r *request) forOperators(what string) error {
	if r.scope.IsOneWorkspace() {
		return &problem{kind: forbidden, detail: "Only an operator may see " + what + ". Use a token that was created with --operator."}
	}
	return nil
}

// duration returns an optional query parameter that is a duration, or 0.
func (r *request) duration(name string) (time.Duration, error) {
	given := r.query[name]
	if given == "" {
		return 0, nil
	}
	d, err := when.ParseDuration(given)
	if err != nil || d <= 0 {
		return 0, invalid("%s=%s: must be a duration such as 12h, 3d or 1w.", name, given)
	}
	return d, nil
}

// timeline serves GET /accounts/{id}/timeline.
func (a *api) timeline(r *request) (reply, error) {
	part, err := oneOf(r, "part", readmodel.TimelineParts)
	if err != nil {
		return reply{}, err
	}
	var parts []string
	if part != "" {
		parts = []string{part}
	}
	return ofAccount(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, id int64, p readmodel.Paging) (readmodel.Page[readmodel.TimelineEntry], error) {
		return readmodel.Timeline(ctx, db, s, id, parts, p)
	})
}

// paused serves GET /enrollments: the paused prospects.
func (a *api) paused(r *request) (reply, error) {
	r.query["reason"] = enum.CurrentReason(r.query["reason"])
	reason, err := oneOf(r, "reason", readmodel.ProspectReasons)
	if err != nil {
		return reply{}, err
	}
	filter := readmodel.PausedFilter{Reason: string(reason)}
	if filter.OlderThan, err = r.duration("paused_for"); err != nil {
		return reply{}, err
	}
	scope, err := a.narrowed(r)
	if err != nil {
		return reply{}, err
	}
	isNarrow := scope.IsOneWorkspace() || r.query["account"] != ""
	switch {
	case filter.OlderThan > 0 && !isNarrow:
		return reply{}, invalid("The prospects of the whole fleet cannot be filtered by age. Send workspace or account too.")
	case r.query["campaign"] != "" && !scope.IsOneWorkspace():
		return reply{}, invalid("A campaign needs its workspace. Send workspace too.")
	}
	if account := r.query["account"]; account != "" {
		if filter.AccountIDs, err = readmodel.AccountIDs(r.Context(), a.store, scope, account); err != nil {
			return reply{}, err
		}
		if len(filter.AccountIDs) == 0 {
			return reply{}, &problem{kind: notFound, detail: "There is no such account. Use its provider account ID or the platform's own ID."}
		}
	}
	if campaign := r.query["campaign"]; campaign != "" {
		id, err := readmodel.CampaignID(r.Context(), a.store, scope, campaign)
		if err != nil {
			return reply{}, err
		}
		filter.CampaignID = &id
	}
	filter.LongestFirst = isNarrow
	return list(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, p readmodel.Paging) (readmodel.Page[readmodel.PausedProspect], error) {
		return readmodel.PausedProspects(ctx, db, s, filter, p)
	})
}

// actions serves GET /actions: the audit log.
func (a *api) actions(r *request) (reply, error) {
	what, err := oneOf(r, "what", enum.ActionKinds)
	if err != nil {
		return reply{}, err
	}
	filter := readmodel.AuditFilter{What: string(what), Actor: r.query["actor"]}
	if filter.Within, err = r.duration("within"); err != nil {
		return reply{}, err
	}
	return list(a, r, func(ctx context.Context, db *store.Store, s readmodel.Scope, p readmodel.Paging) (readmodel.Page[readmodel.AuditEntry], error) {
		page, err := readmodel.Audit(ctx, db, s, filter, p)
		for i := range page.Items {
			r.redact(&page.Items[i])
		}
		return page, err
	})
}

// redact removes from an entry of the audit log what only operators see: the role of the database.
func (r *request) redact(entry *readmodel.AuditEntry) {
	if r.scope.IsOneWorkspace() {
		entry.SessionRole = ""
	}
}

// An actionDetail is an entry of the audit log with what its undo would do.
type actionDetail struct {
	readmodel.ActionDetail
	// Undo is nil for tenants, who cannot undo.
	Undo *undoPreview `json:"undo"`
}

type undoPreview struct {
	Allowed   bool   `json:"allowed"`
	Refusal   string `json:"refusal"`
	Fix       string `json:"fix"`
	Prospects int64  `json:"prospects"`
}

// action serves GET /actions/{id}.
func (a *api) action(r *request) (reply, error) {
	id, err := r.id()
	if err != nil {
		return reply{}, err
	}
	found, err := readmodel.ActionByID(r.Context(), a.store, r.scope, id)
	if err != nil {
		return reply{}, err
	}
	r.redact(&found.AuditEntry)
	detail := actionDetail{ActionDetail: found}
	if !r.scope.IsOneWorkspace() {
		undo, err := operator.New(a.store, r.scope, r.name).PreviewUndo(r.Context(), id)
		if err != nil {
			return reply{}, err
		}
		detail.Undo = &undoPreview{Allowed: undo.Refusal == "", Refusal: undo.Refusal, Fix: undo.Fix, Prospects: undo.Prospects}
	}
	return reply{body: detail}, nil
}

// deliveries serves GET /signals: the deliveries of all providers.
func (a *api) deliveries(r *request) (reply, error) {
	outcome, err := oneOf(r, "outcome", enum.SignalOutcomes)
	if err != nil {
		return reply{}, err
	}
	filter := readmodel.DeliveryFilter{Outcome: string(outcome), Provider: r.query["provider"], Account: r.query["account"]}
	if filter.Account != "" && filter.Provider == "" {
		return reply{}, invalid("An account needs its provider. Send provider too, for example provider=linkedin.")
	}
	p, err := r.paging()
	if err != nil {
		return reply{}, err
	}
	scope, err := a.narrowed(r)
	if err != nil {
		return reply{}, err
	}
	page, err := readmodel.Deliveries(r.Context(), a.store, scope, filter, p)
	return reply{body: page}, err
}

// A deliveryDetail is a delivery with its body as JSON.
type deliveryDetail struct {
	readmodel.DeliveryDetail
	Body json.RawMessage `json:"body"` // nil if it was not kept, and for tenants
}

// delivery serves GET /signals/{id}.
func (a *api) delivery(r *request) (reply, error) {
	id, err := r.id()
	if err != nil {
		return reply{}, err
	}
	found, err := readmodel.DeliveryByID(r.Context(), a.store, r.scope, id)
	return reply{body: deliveryDetail{found, rawJSON(found.Body)}}, err
}

// rawJSON returns a JSON document as it is. An empty text is null.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// endpoints serves GET /endpoints, without the secrets in URLs.
func (a *api) endpoints(r *request) (reply, error) {
	if err := r.forOperators("the endpoints of webhooks"); err != nil {
		return reply{}, err
	}
	found, err := readmodel.Endpoints(r.Context(), a.store)
	for i := range found {
		found[i].URL = outbound.Masked(found[i].URL)
	}
	return reply{body: map[string]any{"items": found}}, err
}

// A message has its data as JSON.
type message struct {
	readmodel.Message
	Data json.RawMessage `json:"data"`
}

// messages serves GET /messages, without the secrets in URLs.
func (a *api) messages(r *request) (reply, error) {
	state, err := oneOf(r, "state", enum.DeliveryStates)
	if err != nil {
		return reply{}, err
	}
	if err := r.forOperators("the messages to the platform"); err != nil {
		return reply{}, err
	}
	return list(a, r, func(ctx context.Context, db *store.Store, _ readmodel.Scope, p readmodel.Paging) (readmodel.Page[message], error) {
		found, err := readmodel.Messages(ctx, db, string(state), p)
		page := readmodel.Page[message]{Items: []message{}, NextCursor: found.NextCursor}
		for _, m := range found.Items {
			for i := range m.Deliveries {
				m.Deliveries[i].URL = outbound.Masked(m.Deliveries[i].URL)
			}
			page.Items = append(page.Items, message{m, rawJSON(m.Data)})
		}
		return page, err
	})
}

// settings serves GET /settings.
func (a *api) settings(r *request) (reply, error) {
	if err := r.forOperators("the settings"); err != nil {
		return reply{}, err
	}
	fleet, err := readmodel.FleetSettings(r.Context(), a.store)
	return reply{body: map[string]any{"fleet": fleet, "process": append([]readmodel.ProcessSetting{}, a.process...)}}, err
}
