package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/outlook"
	"github.com/thawline/thaw/schema/dbsqlc"
)

type safetyPage struct {
	outlook.Safety
	History []outlook.Moment
}

func (s *site) safety(r *http.Request) (view, error) {
	var p safetyPage
	var err error
	if p.Safety, err = outlook.ReadSafety(r.Context(), s.Store.Pool()); err != nil {
		return view{}, err
	}
	p.History, err = outlook.SafetyHistory(r.Context(), s.Store.Pool())
	return view{"safety.html", "Safety mode", p}, err
}

func (s *site) enterSafety(r *http.Request) (string, error) {
	entered, err := s.Store.Trip().SafetyEnter(r.Context(), dbsqlc.SafetyEnterParams{
		Why: field(r, "why"), DecidedBy: operator(r), Stays: field(r, "stay") != "",
	})
	return "/safety?done=" + noticeOf(entered, "safety-entered"), err
}

func (s *site) clearSafety(r *http.Request) (string, error) {
	cleared, err := s.Store.Trip().SafetyClear(r.Context(), dbsqlc.SafetyClearParams{Why: field(r, "why"), DecidedBy: operator(r)})
	return "/safety?done=" + noticeOf(cleared, "safety-cleared"), err
}
