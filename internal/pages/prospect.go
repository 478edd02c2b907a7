package pages

import (
	"net/http"
	"net/url"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/readmodel"
)

type prospectPage struct {
	URL       string
	Campaigns []readmodel.Explanation
}

// prospect shows why a prospect is not moving, in each of its campaigns.
func (s *site) prospect(r *http.Request) (view, error) {
	p := prospectPage{URL: r.URL.Query().Get("url")}
	if p.URL == "" {
		return view{"prospect.html", "Prospect", p}, nil
	}
	if err := explain.CheckURL(p.URL); err != nil {
		return view{}, badRequestError{sentence(err.Error())}
	}
	asked, err := s.Reader.Explainer(readmodel.Everything()).Explain(r.Context(), []string{p.URL})
	if err != nil {
		return view{}, err
	}
	if asked[0].IsKnown() {
		p.Campaigns = asked[0].Explanations
		p.URL = p.Campaigns[0].ProspectURL
	}
	return view{"prospect.html", "Prospect", p}, nil
}

func (s *site) pauseProspect(r *http.Request) (string, error) { return s.actOnProspect(r, "paused") }

func (s *site) resumeProspect(r *http.Request) (string, error) { return s.actOnProspect(r, "resumed") }

func (s *site) actOnProspect(r *http.Request, what string) (string, error) {
	workspace, campaign := field(r, "workspace"), field(r, "campaign")
	if workspace == "" || campaign == "" {
		return "", badRequestError{"The workspace or the campaign is missing. Go back and submit the form again."}
	}
	prospect := field(r, "url")
	changed, err := s.Store.Trip().ActOnProspect(r.Context(), dbsqlc.ActOnProspectParams{
		What: what, ProspectUrl: prospect, WorkspaceKey: &workspace, Campaign: &campaign, Reason: field(r, "reason"), Actor: operator(r),
	})
	return "/prospects?" + url.Values{"url": {prospect}, "done": {noticeOf(changed > 0, what)}}.Encode(), err
}
