package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/readmodel"
)

type safetyPage struct {
	readmodel.Safety
	History readmodel.History
}

func (s *site) safety(r *http.Request) (view, error) {
	var p safetyPage
	var err error
	if p.Safety, err = readmodel.ReadSafety(r.Context(), s.Store); err != nil {
		return view{}, err
	}
	p.History, err = readmodel.SafetyHistory(r.Context(), s.Store, readmodel.HistorySize)
	return view{"safety.html", "Safety mode", p}, err
}

func (s *site) enterSafety(r *http.Request) (string, error) {
	entered, err := s.operate(r).EnterSafety(r.Context(), field(r, "reason"), field(r, "stay") != "")
	return "/safety?done=" + noticeOf(entered, "safety-entered"), err
}

func (s *site) exitSafety(r *http.Request) (string, error) {
	exited, err := s.operate(r).ExitSafety(r.Context(), field(r, "reason"))
	return "/safety?done=" + noticeOf(exited, "safety-exited"), err
}
