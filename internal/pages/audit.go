package pages

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
)

type auditPage struct {
	list[readmodel.AuditEntry]
	Filter    readmodel.AuditFilter
	Workspace string
	Period    string
	Kinds     []string
	Periods   []period
}

// A period is a range of time that ends now.
type period struct {
	Key, Label string
	length     time.Duration
}

var periods = []period{
	{"day", "Last 24 hours", day}, {"week", "Last 7 days", 7 * day}, {"month", "Last 30 days", 30 * day}, {"year", "Last 365 days", 365 * day},
}

// auditFilter parses the filters of the address.
func (s *site) auditFilter(r *http.Request) (readmodel.Scope, readmodel.AuditFilter, error) {
	query := r.URL.Query()
	f := readmodel.AuditFilter{Actor: query.Get("actor"), What: query.Get("what")}
	for _, p := range periods {
		if p.Key == query.Get("period") {
			f.Within = p.length
		}
	}
	if f.Within == 0 && query.Get("period") != "" {
		return readmodel.Scope{}, f, badRequestError{fmt.Sprintf("%q is not a period. Choose day, week, month or year.", query.Get("period"))}
	}
	scope, err := s.scopeOf(r.Context(), query.Get("workspace"))
	return scope, f, err
}

func (s *site) auditList(r *http.Request, scope readmodel.Scope, f readmodel.AuditFilter) func(readmodel.Paging) (readmodel.Page[readmodel.AuditEntry], error) {
	return func(paging readmodel.Paging) (readmodel.Page[readmodel.AuditEntry], error) {
		return readmodel.Audit(r.Context(), s.Store, scope, f, paging)
	}
}

// IsFiltered reports whether any filter is set.
func (p auditPage) IsFiltered() bool {
	return p.Filter != readmodel.AuditFilter{}
}

func (s *site) audit(r *http.Request) (view, error) {
	p := auditPage{Workspace: r.URL.Query().Get("workspace"), Period: r.URL.Query().Get("period"), Kinds: enum.Names(enum.ActionKinds), Periods: periods}
	scope, filter, err := s.auditFilter(r)
	if err != nil {
		return view{}, err
	}
	p.Filter = filter
	p.list, err = listOf(r, s.auditList(r, scope, filter))
	p.Export = exportPath(r)
	return view{"audit.html", "Audit log", p}, err
}

func (s *site) auditExport(r *http.Request) (*export, error) {
	scope, f, err := s.auditFilter(r)
	header := []string{
		"id", "at", "what", "actor", "session_role", "reason", "workspace", "account_id", "account", "account_name", "campaign",
		"prospect_url", "detail", "until", "enrollments",
	}
	return exportOf("audit-log", header, s.auditList(r, scope, f), func(e readmodel.AuditEntry) []string {
		return []string{
			strconv.FormatInt(e.ID, 10), moment(&e.At), e.What, e.Actor, e.SessionRole, e.Reason, e.Workspace, digits(e.AccountID), e.Account,
			e.AccountName, e.Campaign, e.ProspectURL, e.Detail, moment(e.Until), digits(e.Changed),
		}
	}), err
}
