package pages

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/readmodel"
)

// A frame is the input of the layout: a view and its surroundings.
type frame struct {
	view
	Path   string // path of the request, for the navigation
	Query  string // the search text
	Jobs   string // path of River UI
	Notice string // result of the last action
	Undo   int64  // that action, if it can be undone
	Theme  string // chosen by the viewer: light or dark; empty: that of the system
	Banner *readmodel.Banner
}

// bannerWithin limits how long a page waits for its banner. A page that cannot be read, because the
// database is down, must still be shown.
const bannerWithin = 2 * time.Second

func (s *site) frame(r *http.Request, v view) frame {
	f := frame{
		view: v, Path: r.URL.Path, Query: r.URL.Query().Get("q"), Jobs: s.Jobs, Theme: themeOf(r),
	}
	f.Notice, f.Undo = noticeIn(r.URL.Query().Get("done"))
	ctx, cancel := context.WithTimeout(r.Context(), bannerWithin)
	defer cancel()
	banner, err := readmodel.ReadBanner(ctx, s.Store)
	if err != nil {
		s.Logger.WarnContext(r.Context(), "could not read the banner of a page", "path", r.URL.Path, "error", err)
		return f
	}
	f.Banner = &banner
	return f
}

// themeOf returns the theme in the cookie that the script sets.
func themeOf(r *http.Request) string {
	cookie, err := r.Cookie("thaw_theme")
	if err != nil || cookie.Value != "light" && cookie.Value != "dark" {
		return ""
	}
	return cookie.Value
}

// An entry is an entry of the navigation.
type entry struct {
	Label, Path string
	StartsPart  bool // the first of a group
	IsCurrent   bool
}

// Navigation returns the entries of the navigation, with the current one marked.
func (f frame) Navigation() []entry {
	entries := []entry{
		{Label: "Fleet", Path: "/"},
		{Label: "Accounts", Path: "/accounts"},
		{Label: "Prospects", Path: "/prospects"},
		{Label: "Workspaces", Path: "/workspaces"},
		{Label: "Sending", Path: "/sending", StartsPart: true},
		{Label: "Sweeps", Path: "/sweeps"},
		{Label: "Heals", Path: "/heals"},
		{Label: "Signals", Path: "/signals"},
		{Label: "Webhooks", Path: "/messages"},
		{Label: "Safety", Path: "/safety", StartsPart: true},
		{Label: "Audit log", Path: "/audit"},
		{Label: "Settings", Path: "/settings"},
		{Label: "Jobs", Path: f.Jobs + "/"},
	}
	for i, e := range entries {
		entries[i].IsCurrent = e.Path == f.Path || e.Path != "/" && strings.HasPrefix(f.Path, e.Path+"/")
	}
	return entries
}
