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
	explanations, err := outlook.Explain(r.Context(), s.Store.Pool(), p.URL)
	if err != nil {
		return view{}, err
	}
	if explanations[0].Code != explain.NotFound {
		p.Campaigns = explanations
		p.URL = explanations[0].ProspectURL
	}
	return view{"prospect.html", "Prospect", p}, nil
}
