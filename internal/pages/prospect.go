package pages

import (
	"net/http"
	"net/url"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/outlook"
	"github.com/thawline/thaw/schema/dbsqlc"
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

func (s *site) pauseProspect(r *http.Request) (string, error) { return s.decideProspect(r, "paused") }

func (s *site) resumeProspect(r *http.Request) (string, error) { return s.decideProspect(r, "resumed") }

func (s *site) decideProspect(r *http.Request, what string) (string, error) {
	workspace, campaign := field(r, "workspace"), field(r, "campaign")
	if workspace == "" || campaign == "" {
		return "", badRequestError{"Name the workspace and the campaign."}
	}
	prospect := field(r, "url")
	changed, err := s.Store.Trip().DecideProspect(r.Context(), dbsqlc.DecideProspectParams{
		What: what, ProspectUrl: prospect, WorkspaceKey: &workspace, Campaign: &campaign, Why: field(r, "why"), DecidedBy: operator(r),
	})
	return "/prospects?" + url.Values{"url": {prospect}, "done": {noticeOf(changed > 0, what)}}.Encode(), err
}
