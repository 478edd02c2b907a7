package pages

import (
	"context"
	"net/http"

	"github.com/thawline/thaw/internal/readmodel"
)

func (s *site) workspaces(r *http.Request) (view, error) {
	l, err := listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Workspace], error) {
		return readmodel.Workspaces(r.Context(), s.Store.Pool(), readmodel.Everything(), paging)
	})
	return view{"workspaces.html", "Workspaces", l}, err
}

type workspacePage struct {
	readmodel.Workspace
	Campaigns list[readmodel.Campaign]
	History   []readmodel.HistoryEntry
}

func (s *site) workspace(r *http.Request) (view, error) {
	var p workspacePage
	scope, err := readmodel.Everything().Workspace(r.Context(), s.Store.Pool(), r.PathValue("key"))
	if err != nil {
		return view{}, err
	}
	if p.Workspace, err = s.onlyWorkspace(r.Context(), scope); err != nil {
		return view{}, err
	}
	p.Campaigns, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Campaign], error) {
		return readmodel.Campaigns(r.Context(), s.Store.Pool(), scope, "", paging)
	})
	if err != nil {
		return view{}, err
	}
	p.History, err = readmodel.WorkspaceHistory(r.Context(), s.Store.Pool(), p.ID)
	return view{"workspace.html", "Workspace " + p.Workspace.Workspace, p}, err
}

func (s *site) onlyWorkspace(ctx context.Context, scope readmodel.Scope) (readmodel.Workspace, error) {
	page, err := readmodel.Workspaces(ctx, s.Store.Pool(), scope, readmodel.Paging{Limit: 1})
	switch {
	case err != nil:
		return readmodel.Workspace{}, err
	case len(page.Items) == 0:
		return readmodel.Workspace{}, readmodel.ErrNotFound
	}
	return page.Items[0], nil
}

func (s *site) pauseCampaign(r *http.Request) (string, error) {
	return s.actOnCampaign(r, s.operate(r).PauseCampaign, "campaign-paused")
}

func (s *site) resumeCampaign(r *http.Request) (string, error) {
	return s.actOnCampaign(r, s.operate(r).StartCampaign, "campaign-started")
}

func (s *site) actOnCampaign(
	r *http.Request, act func(ctx context.Context, workspace, campaign, reason string) (bool, error), notice string,
) (string, error) {
	workspace := field(r, "workspace")
	changed, err := act(r.Context(), workspace, field(r, "campaign"), field(r, "reason"))
	return withNotice(pathTo("workspaces", workspace), noticeOf(changed, notice)), err
}

func (s *site) setAutoResume(r *http.Request) (string, error) {
	workspace, enabled := field(r, "workspace"), field(r, "enabled")
	if enabled != "on" && enabled != "off" {
		return "", badRequestError{"Auto-resume must be on or off. Go back and submit the form again."}
	}
	err := s.operate(r).SetAutoResume(r.Context(), workspace, enabled == "on", field(r, "reason"))
	return withNotice(pathTo("workspaces", workspace), "auto-resume"), err
}
