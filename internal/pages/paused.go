package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/when"
)

// A pausedPage is the list of paused prospects.
type pausedPage struct {
	list[readmodel.PausedProspect]
	readmodel.PausedCounts
	wantedPaused
	Reasons   []string
	Shares    []share // by reason
	ByAccount column
	ByAge     column
}

const day = 24 * time.Hour

// pausedReasons are the reasons of prospects in the filter.
var pausedReasons = enum.Names(readmodel.ProspectReasons)

// wantedPaused is the filter of the list. Every value is in the address, so that a list can be
// shared.
type wantedPaused struct {
	Reason, Workspace, Account, Campaign, Age, Order string

	scope    readmodel.Scope
	filter   readmodel.PausedFilter
	standard string // order
}

// prospects shows one prospect if the address has its URL, otherwise the list of paused prospects.
func (s *site) prospects(r *http.Request) (view, error) {
	if r.URL.Query().Get("url") != "" {
		return s.prospect(r)
	}
	wanted, err := s.wantedPaused(r)
	if err != nil {
		return view{}, err
	}
	p := pausedPage{wantedPaused: wanted, Reasons: pausedReasons}
	if p.PausedCounts, err = readmodel.CountPaused(r.Context(), s.Store, wanted.scope, wanted.filter); err != nil {
		return view{}, err
	}
	p.list, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.PausedProspect], error) {
		return readmodel.PausedProspects(r.Context(), s.Store, wanted.scope, wanted.filter, paging)
	})
	p.Export = exportPath(r)
	for _, c := range p.ByReason {
		p.Shares = append(p.Shares, share{Label: say(reasons, c.Reason), Path: with(r, "reason", c.Reason), Count: c.Paused})
	}
	p.Shares = sharesOf(p.Shares)
	p.ByAccount = columnOf(r, "Account", "account", "ascending", wanted.standard)
	p.ByAge = columnOf(r, "Paused", "longest", "ascending", wanted.standard)
	if wanted.standard != "longest" {
		p.ByAge.Path = ""
	}
	return view{"prospects.html", "Paused prospects", p}, err
}

// wantedPaused reads the filter in the address.
func (s *site) wantedPaused(r *http.Request) (wantedPaused, error) {
	query := r.URL.Query()
	w := wantedPaused{
		Reason: enum.CurrentReason(query.Get("reason")), Workspace: query.Get("workspace"), Account: query.Get("account"), Campaign: query.Get("campaign"),
		Age: query.Get("age"), Order: query.Get("order"),
	}
	if w.Reason != "" && !slices.Contains(pausedReasons, w.Reason) {
		return w, badRequestError{fmt.Sprintf("There is no pause reason %q. Choose one from the list.", w.Reason)}
	}
	switch w.Order {
	case "", "longest", "account":
	default:
		return w, badRequestError{fmt.Sprintf("The list has no order %q. Use longest or account.", w.Order)}
	}
	isNarrow := cmp.Or(w.Workspace, w.Account) != ""
	if w.Order == "longest" && !isNarrow {
		return w, badRequestError{"The prospects of the whole fleet cannot be ordered by age. Choose a workspace or an account."}
	}
	w.standard = "account"
	if isNarrow {
		w.standard = "longest"
	}
	w.filter = readmodel.PausedFilter{Reason: w.Reason, LongestFirst: cmp.Or(w.Order, w.standard) == "longest"}
	var err error
	if w.Age != "" {
		if w.filter.OlderThan, err = when.ParseDuration(w.Age); err != nil {
			return w, badRequestError{"Cannot read the age: " + err.Error() + "."}
		}
	}
	if w.filter.OlderThan > 0 && !isNarrow {
		return w, badRequestError{sentence(readmodel.ErrWholeFleet.Error()) + " Choose a workspace or an account."}
	}
	if w.scope, err = s.scopeOf(r.Context(), w.Workspace); err != nil {
		return w, err
	}
	if w.Account != "" {
		if w.filter.AccountIDs, err = readmodel.AccountIDs(r.Context(), s.Store, w.scope, w.Account); err != nil {
			return w, err
		}
		if len(w.filter.AccountIDs) == 0 {
			return w, badRequestError{fmt.Sprintf("There is no account %q. Use its provider account ID or the platform's own ID.", w.Account)}
		}
	}
	if w.Campaign != "" {
		id, err := readmodel.CampaignID(r.Context(), s.Store, w.scope, w.Campaign)
		switch {
		case errors.Is(err, readmodel.ErrNotFound) || w.Workspace == "":
			return w, badRequestError{fmt.Sprintf("There is no campaign %q in workspace %q. A campaign needs its workspace.", w.Campaign, w.Workspace)}
		case err != nil:
			return w, err
		}
		w.filter.CampaignID = &id
	}
	return w, nil
}

// scopeOf returns the scope of a workspace, or of all workspaces for an empty key.
func (s *site) scopeOf(ctx context.Context, workspace string) (readmodel.Scope, error) {
	scope, err := readmodel.Everything().Workspace(ctx, s.Store, workspace)
	if errors.Is(err, readmodel.ErrNotFound) {
		return scope, badRequestError{sentence(err.Error())}
	}
	return scope, err
}

// IsFiltered reports whether any filter is set.
func (w wantedPaused) IsFiltered() bool {
	return cmp.Or(w.Reason, w.Workspace, w.Account, w.Campaign, w.Age) != ""
}

// prospectsExport exports the list with the filters of the request, in the order of accounts, which
// is the cheapest for a long list.
func (s *site) prospectsExport(r *http.Request) (*export, error) {
	wanted, err := s.wantedPaused(r)
	if err != nil {
		return nil, err
	}
	wanted.filter.LongestFirst = false
	return exportOf("paused-prospects",
		[]string{"workspace", "account", "account_name", "campaign", "campaign_name", "prospect_url", "paused_reason", "paused_at", "step"},
		func(paging readmodel.Paging) (readmodel.Page[readmodel.PausedProspect], error) {
			return readmodel.PausedProspects(r.Context(), s.Store, wanted.scope, wanted.filter, paging)
		},
		func(p readmodel.PausedProspect) []string {
			return []string{
				p.Workspace, p.Account, p.AccountName, p.Campaign, p.CampaignName, p.ProspectURL, p.PausedReason,
				p.PausedAt.Format(time.RFC3339), strconv.Itoa(p.Step),
			}
		}), nil
}

// listPath returns a path with those of the parameters that have a value.
func listPath(path string, parameters map[string]string) string {
	query := url.Values{}
	for name, value := range parameters {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}
