package pages

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/thawline/thaw/internal/operator"
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

// A healForm is the content of the form that starts a heal, as it was entered.
type healForm struct {
	Workspace, Account, Provider, Cap string
	EvenIfOff                         bool
}

// A dryRunPage previews a heal and has the button that starts it.
type dryRunPage struct {
	healForm
	operator.HealPreview
}

// dryRun previews a heal without changing anything.
func (s *site) dryRun(r *http.Request) (view, error) {
	form := healFormOf(r.URL.Query())
	heal, err := form.heal()
	if err != nil {
		return view{}, err
	}
	preview, err := s.operate(r).PreviewHeal(r.Context(), heal)
	return view{"heal-new.html", "Start a heal", dryRunPage{form, preview}}, err
}

func (s *site) startHeal(r *http.Request) (string, error) {
	heal, err := healFormOf(r.PostForm).heal()
	if err != nil {
		return "", err
	}
	id, err := s.operate(r).StartHeal(r.Context(), heal)
	return fmt.Sprintf("/heals/%d?done=heal", id), err
}

// healFormOf reads the form: the query for a preview, the body for a start.
func healFormOf(values url.Values) healForm {
	return healForm{
		Workspace: values.Get("workspace"), Account: values.Get("account"), Provider: values.Get("provider"), Cap: values.Get("cap"),
		EvenIfOff: values.Get("even_if_off") != "",
	}
}

// heal returns the heal that the form describes.
func (f healForm) heal() (operator.Heal, error) {
	heal := operator.Heal{Workspace: f.Workspace, Account: f.Account, Provider: f.Provider, EvenIfOff: f.EvenIfOff}
	limit, err := strconv.ParseInt(f.Cap, 10, 32)
	if err != nil || limit < 1 {
		return heal, badRequestError{fmt.Sprintf("The cap of a heal must be a number from 1 to 2147483647, not %q.", f.Cap)}
	}
	wanted := int32(limit)
	heal.Cap = &wanted
	return heal, nil
}
