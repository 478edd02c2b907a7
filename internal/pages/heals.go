package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/readmodel"
)

func (s *site) heals(r *http.Request) (view, error) {
	l, err := listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Heal], error) {
		return readmodel.Heals(r.Context(), s.Store.Pool(), readmodel.Everything(), paging)
	})
	return view{"heals.html", "Heals", l}, err
}

func (s *site) heal(r *http.Request) (view, error) {
	id, err := pathID(r)
	if err != nil {
		return view{}, err
	}
	h, err := readmodel.HealByID(r.Context(), s.Store.Pool(), readmodel.Everything(), id)
	return view{"heal.html", fmt.Sprint("Heal ", id), healPage{h}}, err
}

type healPage struct{ readmodel.Heal }

// Goal is how many prospects the heal is expected to resume; at least 1, because it is the maximum
// of a progress bar.
func (h healPage) Goal() int { return max(1, min(*h.Found, h.Cap)) }

// Rest is the number of prospects remaining after a finished heal.
func (h healPage) Rest() int { return *h.Remaining }

// A wantedHeal is the content of the heal form.
type wantedHeal struct {
	Workspace, Account string
	Cap                int32
	EvenIfOff          bool

	start dbsqlc.StartHealParams
}

// A dryRunPage previews a heal and has the button that starts it.
type dryRunPage struct {
	wantedHeal
	Waiting, Accounts, Would int64
}

// dryRun previews a heal without changing anything.
func (s *site) dryRun(r *http.Request) (view, error) {
	wanted, err := s.wantedHeal(r, r.URL.Query())
	if err != nil {
		return view{}, err
	}
	scope, err := s.Store.TryHeal(r.Context(), wanted.start)
	p := dryRunPage{wanted, scope.Waiting, scope.Accounts, min(scope.Waiting, int64(wanted.Cap))}
	return view{"heal-new.html", "Start a heal", p}, err
}

func (s *site) startHeal(r *http.Request) (string, error) {
	wanted, err := s.wantedHeal(r, r.PostForm)
	if err != nil {
		return "", err
	}
	id, err := s.Store.Trip().StartHeal(r.Context(), wanted.start)
	return fmt.Sprintf("/heals/%d?done=heal", id), err
}

// wantedHeal parses the form: the query for a preview, the body for a start. It names a workspace
// or one of its accounts.
func (s *site) wantedHeal(r *http.Request, form url.Values) (wantedHeal, error) {
	w := wantedHeal{Workspace: form.Get("workspace"), Account: form.Get("account"), EvenIfOff: form.Get("even_if_off") != ""}
	limit, err := strconv.ParseInt(form.Get("cap"), 10, 32)
	if err != nil || limit < 1 {
		return w, badRequestError{fmt.Sprintf("The cap of a heal must be a number from 1 to 2147483647, not %q.", form.Get("cap"))}
	}
	w.Cap = int32(limit)
	w.start = dbsqlc.StartHealParams{Cap: w.Cap, EvenIfOff: w.EvenIfOff, Actor: operator(r)}
	scope, err := readmodel.Everything().Workspace(r.Context(), s.Store.Pool(), w.Workspace)
	switch {
	case w.Workspace == "" && w.Account == "":
		return w, badRequestError{"The heal has no scope. Enter a workspace or a provider account ID."}
	case errors.Is(err, readmodel.ErrNotFound):
		return w, badRequestError{fmt.Sprintf("There is no workspace %q.", w.Workspace)}
	case err != nil:
		return w, err
	case w.Account == "":
		workspace, err := s.onlyWorkspace(r.Context(), scope)
		w.start.WorkspaceID = &workspace.ID
		return w, err
	}
	found, err := readmodel.Accounts(r.Context(), s.Store.Pool(), scope, readmodel.AccountFilter{Account: w.Account}, readmodel.Paging{})
	switch {
	case err != nil:
		return w, err
	case len(found.Items) == 0:
		return w, badRequestError{fmt.Sprintf("There is no account %q. Use its provider account ID.", w.Account)}
	case len(found.Items) > 1:
		return w, badRequestError{fmt.Sprintf("%d providers have an account %q. Start a heal for its workspace instead.", len(found.Items), w.Account)}
	}
	w.start.AccountID = &found.Items[0].ID
	return w, nil
}
