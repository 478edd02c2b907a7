package pages

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

type workspacesPage struct {
	list[countedWorkspace]
	AutoResume string // the filter
}

func (s *site) workspaces(r *http.Request) (view, error) {
	var p workspacesPage
	var err error
	if p.AutoResume, err = autoResumeFilter(r); err != nil {
		return view{}, err
	}
	p.list, err = listOf(r, s.countedWorkspaces(r.Context(), p.AutoResume))
	p.Export = exportPath(r)
	return view{"workspaces.html", "Workspaces", p}, err
}

// autoResumeFilter parses the filter of the address.
func autoResumeFilter(r *http.Request) (string, error) {
	state := r.URL.Query().Get("auto_resume")
	if state != "" && !slices.Contains(readmodel.AutoResumeStates, state) {
		return "", badRequestError{fmt.Sprintf("Auto-resume cannot be %q. Choose on or off.", state)}
	}
	return state, nil
}

// A countedWorkspace is a workspace with the counts of its accounts and prospects.
type countedWorkspace struct {
	readmodel.Workspace
	readmodel.WorkspaceCounts
}

func (s *site) countedWorkspaces(ctx context.Context, autoResume string) func(readmodel.Paging) (readmodel.Page[countedWorkspace], error) {
	return func(paging readmodel.Paging) (readmodel.Page[countedWorkspace], error) {
		var counted readmodel.Page[countedWorkspace]
		page, err := readmodel.Workspaces(ctx, s.Store, readmodel.Everything(), autoResume, paging)
		if err != nil {
			return counted, err
		}
		ids := make([]int64, len(page.Items))
		for i, w := range page.Items {
			ids[i] = w.ID
		}
		counts, err := readmodel.CountWorkspaces(ctx, s.Store, ids)
		for _, w := range page.Items {
			counted.Items = append(counted.Items, countedWorkspace{w, counts[w.ID]})
		}
		counted.NextCursor = page.NextCursor
		return counted, err
	}
}

func (s *site) workspacesExport(r *http.Request) (*export, error) {
	state, err := autoResumeFilter(r)
	return exportOf("workspaces",
		[]string{"workspace", "name", "auto_resume", "auto_resume_reason", "accounts", "connected", "paused", "waiting"},
		s.countedWorkspaces(r.Context(), state),
		func(w countedWorkspace) []string {
			return []string{
				w.Workspace.Workspace, w.Name, strconv.FormatBool(w.AutoResume), plain(w.AutoResumeReason), strconv.FormatInt(w.Accounts, 10),
				strconv.FormatInt(w.Connected, 10), strconv.FormatInt(w.Paused, 10), strconv.FormatInt(w.Waiting, 10),
			}
		}), err
}

type workspacePage struct {
	countedWorkspace
	Reasons   []share // the paused prospects by reason
	Campaigns list[readmodel.Campaign]
	History   readmodel.History
}

func (s *site) workspace(r *http.Request) (view, error) {
	var p workspacePage
	scope, err := readmodel.Everything().Workspace(r.Context(), s.Store, r.PathValue("key"))
	if err != nil {
		return view{}, err
	}
	if p.Workspace, err = s.onlyWorkspace(r.Context(), scope); err != nil {
		return view{}, err
	}
	counts, err := readmodel.CountWorkspaces(r.Context(), s.Store, []int64{p.ID})
	if err != nil {
		return view{}, err
	}
	p.WorkspaceCounts = counts[p.ID]
	paused, err := readmodel.CountPaused(r.Context(), s.Store, scope, readmodel.PausedFilter{})
	if err != nil {
		return view{}, err
	}
	for _, c := range paused.ByReason {
		path := listPath("/prospects", map[string]string{"workspace": p.Workspace.Workspace, "reason": c.Reason})
		p.Reasons = append(p.Reasons, share{Label: say(reasons, c.Reason), Path: path, Count: c.Paused})
	}
	p.Reasons = sharesOf(p.Reasons)
	p.Campaigns, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Campaign], error) {
		return readmodel.Campaigns(r.Context(), s.Store, scope, "", paging)
	})
	if err != nil {
		return view{}, err
	}
	p.History, err = readmodel.WorkspaceHistory(r.Context(), s.Store, p.ID, readmodel.HistorySize)
	return view{"workspace.html", "Workspace " + p.Workspace.Workspace, p}, err
}

func (s *site) onlyWorkspace(ctx context.Context, scope readmodel.Scope) (readmodel.Workspace, error) {
	page, err := readmodel.Workspaces(ctx, s.Store, scope, "", readmodel.Paging{Limit: 1})
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
	r *http.Request, act func(ctx context.Context, workspace, campaign, reason string) (operator.Action, error), notice string,
) (string, error) {
	workspace := field(r, "workspace")
	done, err := act(r.Context(), workspace, field(r, "campaign"), field(r, "reason"))
	return withNotice(pathTo("workspaces", workspace), undoable(done, notice)), err
}

func (s *site) setAutoResume(r *http.Request) (string, error) {
	workspace, enabled := field(r, "workspace"), field(r, "enabled")
	if enabled != "on" && enabled != "off" {
		return "", badRequestError{"Auto-resume must be on or off. Go back and submit the form again."}
	}
	if strings.TrimSpace(field(r, "reason")) == "" {
		return "", badRequestError{"No reason was given. Enter one for the audit log."}
	}
	changed, err := s.operate(r).SetAutoResume(r.Context(), workspace, enabled == "on", field(r, "reason"))
	return withNotice(pathTo("workspaces", workspace), noticeOf(changed, "auto-resume")), err
}
