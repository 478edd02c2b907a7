package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

type prospectPage struct {
	URL       string
	Campaigns []readmodel.Explanation
	Actions   map[int64]prospectActions // by enrollment
	Tried     []string                  // the spellings that were looked up, if there is no such prospect
}

// prospect shows why a prospect does not continue, in each of its campaigns.
func (s *site) prospect(r *http.Request) (view, error) {
	p := prospectPage{URL: r.URL.Query().Get("url")}
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
		if p.Actions, err = s.actionsOf(r.Context(), p.Campaigns); err != nil {
			return view{}, err
		}
	} else {
		p.Tried = asked[0].Explanations[0].Tried
	}
	return view{"prospect.html", prospectName(p.URL), p}, nil
}

// prospectActions are the newest actions of a prospect in a campaign.
type prospectActions struct {
	Items []readmodel.SendingAction
	More  string // address of all; empty if Items has all
}

// newestActions is how many actions the page shows per campaign.
const newestActions = 10

func (s *site) actionsOf(ctx context.Context, campaigns []readmodel.Explanation) (map[int64]prospectActions, error) {
	of := map[int64]prospectActions{}
	for _, c := range campaigns {
		newest, err := readmodel.SendingActions(ctx, s.Store, readmodel.Everything(),
			readmodel.SendingFilter{EnrollmentID: c.EnrollmentID}, readmodel.Paging{Limit: newestActions})
		if err != nil {
			return nil, err
		}
		found := prospectActions{Items: newest.Items}
		if newest.NextCursor != nil {
			found.More = listPath("/sending", map[string]string{"enrollment": strconv.FormatInt(c.EnrollmentID, 10)})
		}
		of[c.EnrollmentID] = found
	}
	return of, nil
}

func (s *site) pauseProspect(r *http.Request) (string, error) {
	return s.actOnProspect(r, s.operate(r).PauseProspect, "paused")
}

func (s *site) resumeProspect(r *http.Request) (string, error) {
	return s.actOnProspect(r, s.operate(r).ReleaseProspect, "resumed")
}

func (s *site) actOnProspect(
	r *http.Request, act func(context.Context, operator.Prospect, string) ([]operator.Enrolled, error), notice string,
) (string, error) {
	prospect := operator.Prospect{URL: field(r, "url"), Workspace: field(r, "workspace"), Campaign: field(r, "campaign")}
	if prospect.Workspace == "" || prospect.Campaign == "" {
		return "", badRequestError{"The workspace or the campaign is missing. Go back and submit the form again."}
	}
	done, err := act(r.Context(), prospect, field(r, "reason"))
	// In one campaign, a prospect has one spelling.
	var acted operator.Action
	for _, enrolled := range done {
		acted = enrolled.Action
	}
	return "/prospects?" + url.Values{"url": {prospect.URL}, "done": {undoable(acted, notice)}}.Encode(), err
}

// backwards returns the events of a history, newest first.
func backwards(history []readmodel.Event) []readmodel.Event {
	events := slices.Clone(history)
	slices.Reverse(events)
	return events
}

// canPause and canRelease report which manual action would change a prospect.
func canPause(e readmodel.Explanation) bool {
	return e.Status == "pending" || e.Status == "active" || e.Status == "paused" && e.PausedReason != "paused_by_user"
}

func canRelease(e readmodel.Explanation) bool {
	return e.Status == "paused" && (e.PausedReason == "paused_by_user" || e.PausedReason == "account_restricted" && e.AccountStatus != "restricted")
}

// placeOf returns the page where an obstacle of a prospect can be ended; nil if there is none.
func placeOf(e readmodel.Explanation, code explain.Code) *link {
	switch code {
	case explain.AccountNotConnected, explain.NoConnectedSibling, explain.SiblingInOtherWorkspace, explain.AccountLocked, explain.AccountParked, explain.AccountFlapping,
		explain.AccountRestricted:
		return &link{Label: "The account", Path: fmt.Sprintf("/accounts/%d", e.AccountID)}
	case explain.AccountOnHold:
		return &link{Label: "The hold", Path: fmt.Sprintf("/accounts/%d#hold", e.AccountID)}
	case explain.SafetyMode:
		return &link{Label: "Safety mode", Path: "/safety"}
	case explain.AutoResumeOff, explain.ShadowMode:
		return &link{Label: "The workspace", Path: pathTo("workspaces", e.Workspace)}
	case explain.CampaignNotRunning, explain.SubscriptionInactive:
		return &link{Label: "The campaign", Path: pathTo("workspaces", e.Workspace) + "#campaign-" + url.PathEscape(e.Campaign)}
	case explain.PausedByUser:
		return &link{Label: "Release it", Path: fmt.Sprintf("#release-%d", e.EnrollmentID)}
	default: // nothing to end, or not in Thaw
		return nil
	}
}
