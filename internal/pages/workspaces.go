package pages

import (
	"context"
	"net/http"

	"github.com/thawline/thaw/internal/outlook"
	"github.com/thawline/thaw/schema/dbsqlc"
)

func (s *site) workspaces(r *http.Request) (view, error) {
	l, err := listOf(r, func(paging outlook.Paging) (outlook.Page[outlook.Workspace], error) {
		return outlook.Workspaces(r.Context(), s.Store.Pool(), outlook.Everything(), paging)
	})
	return view{"workspaces.html", "Workspaces", l}, err
}

type workspacePage struct {
	outlook.Workspace
	Campaigns list[outlook.Campaign]
	History   []outlook.Moment
}

func (s *site) workspace(r *http.Request) (view, error) {
	var p workspacePage
	scope, err := outlook.Everything().Workspace(r.Context(), s.Store.Pool(), r.PathValue("key"))
	if err != nil {
		return view{}, err
	}
	if p.Workspace, err = s.onlyWorkspace(r.Context(), scope); err != nil {
		return view{}, err
	}
	p.Campaigns, err = listOf(r, func(paging outlook.Paging) (outlook.Page[outlook.Campaign], error) {
		return outlook.Campaigns(r.Context(), s.Store.Pool(), scope, "", paging)
	})
	if err != nil {
		return view{}, err
	}
	p.History, err = outlook.WorkspaceHistory(r.Context(), s.Store.Pool(), p.ID)
	return view{"workspace.html", "Workspace " + p.Workspace.Workspace, p}, err
}

func (s *site) onlyWorkspace(ctx context.Context, scope outlook.Scope) (outlook.Workspace, error) {
	page, err := outlook.Workspaces(ctx, s.Store.Pool(), scope, outlook.Paging{Limit: 1})
	switch {
	case err != nil:
		return outlook.Workspace{}, err
	case len(page.Items) == 0:
		return outlook.Workspace{}, outlook.ErrNotFound
	}
	return page.Items[0], nil
}

func (s *site) pauseCampaign(r *http.Request) (string, error) {
	return s.decideCampaign(r, "paused", "stopped")
}

func (s *site) resumeCampaign(r *http.Request) (string, error) {
	return s.decideCampaign(r, "resumed", "campaign")
}

func (s *site) decideCampaign(r *http.Request, what, notice string) (string, error) {
	workspace := field(r, "workspace")
	changed, err := s.Store.Trip().DecideCampaign(r.Context(), dbsqlc.DecideCampaignParams{
		What: what, WorkspaceKey: workspace, Campaign: field(r, "campaign"), Why: field(r, "why"), DecidedBy: operator(r),
	})
	return withNotice(pathTo("workspaces", workspace), noticeOf(changed, notice)), err
}

func (s *site) setAutoResume(r *http.Request) (string, error) {
	workspace, note, enabled := field(r, "workspace"), field(r, "note"), field(r, "enabled")
	if enabled != "on" && enabled != "off" {
		return "", badRequestError{"Say whether it is to be on or off."}
	}
	err := s.Store.SetAutoResume(r.Context(), dbsqlc.SetAutoResumeParams{
		WorkspaceKey: workspace, Enabled: enabled == "on", Note: &note, DecidedBy: operator(r),
	})
	return withNotice(pathTo("workspaces", workspace), "auto-resume"), err
}
