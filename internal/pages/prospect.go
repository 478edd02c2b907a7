package pages

import (
	"net/http"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/outlook"
)

type prospectPage struct {
	URL       string
	Campaigns []outlook.Explanation
}

// prospect answers why a prospect is still paused, in each of its campaigns.
func (s *site) prospect(r *http.Request) (view, error) {
	p := prospectPage{URL: r.URL.Query().Get("url")}
	if p.URL == "" {
		return view{"prospect.html", "Prospect", p}, nil
	}
	if err := explain.CheckURL(p.URL); err != nil {
		return view{}, badRequestError{sentence(err.Error())}
	}
	asked, err := s.Foresight.Explainer(outlook.Everything()).Explain(r.Context(), []string{p.URL})
	if err != nil {
		return view{}, err
	}
	if asked[0].IsKnown() {
		p.Campaigns = asked[0].Explanations
		p.URL = p.Campaigns[0].ProspectURL
	}
	return view{"prospect.html", "Prospect", p}, nil
}
