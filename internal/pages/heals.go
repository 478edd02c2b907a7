package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

// A healsPage lists heals and has the form that starts one.
type healsPage struct {
	list[readmodel.Heal]
	Form healForm
	// Problem is what is wrong with the form.
	Problem string
}

func (s *site) heals(r *http.Request) (view, error) {
	return s.healsWith(r, healForm{Cap: strconv.Itoa(operator.DefaultHealCap)}, "")
}

func (s *site) healsWith(r *http.Request, form healForm, problem string) (view, error) {
	l, err := listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.Heal], error) {
		return readmodel.Heals(r.Context(), s.Store, readmodel.Everything(), "", paging)
	})
	return view{"heals.html", "Heals", healsPage{l, form, problem}}, err
}

func (s *site) heal(r *http.Request) (view, error) {
	id, err := pathID(r)
	if err != nil {
		return view{}, err
	}
	h, err := readmodel.HealByID(r.Context(), s.Store, readmodel.Everything(), id)
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
	Workspace, Account, Provider, Cap, Rate, Reason string
	Fleet, EvenIfOff                                bool
}

// A dryRunPage previews a heal and has the button that starts it.
type dryRunPage struct {
	Form healForm
	operator.HealPreview
}

// dryRun previews a heal without changing anything. A form with a problem is shown again, with what
// was entered.
func (s *site) dryRun(r *http.Request) (view, error) {
	form := healFormOf(r.URL.Query())
	heal, err := form.heal()
	var preview operator.HealPreview
	if err == nil {
		preview, err = s.operate(r).PreviewHeal(r.Context(), heal)
	}
	if err != nil {
		status, v := s.problem(r, err)
		text, isText := v.Data.(string)
		if !isText || status >= http.StatusInternalServerError {
			return view{}, err
		}
		page, err := s.healsWith(r, form, text)
		if err != nil {
			return view{}, err
		}
		return view{}, formError{status, page}
	}
	return view{"heal-new.html", "Start a heal", dryRunPage{form, preview}}, nil
}

func (s *site) startHeal(r *http.Request) (string, error) {
	heal, err := healFormOf(r.PostForm).heal()
	if err != nil {
		return "", err
	}
	id, err := s.operate(r).StartHeal(r.Context(), heal)
	return fmt.Sprintf("/heals/%d?done=heal", id), err
}

func (s *site) stopHeal(r *http.Request) (string, error) {
	return s.actOnHeal(r, s.operate(r).StopHeal, "heal-stopped")
}

func (s *site) resumeHeal(r *http.Request) (string, error) {
	return s.actOnHeal(r, s.operate(r).ResumeHeal, "heal-resumed")
}

func (s *site) actOnHeal(r *http.Request, act func(context.Context, int64, string) (bool, error), notice string) (string, error) {
	id, err := pathID(r)
	if err != nil {
		return "", err
	}
	changed, err := act(r.Context(), id, field(r, "reason"))
	return fmt.Sprintf("/heals/%d?done=%s", id, noticeOf(changed, notice)), err
}

// healFormOf reads the form: the query for a preview, the body for a start.
func healFormOf(values url.Values) healForm {
	get := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	return healForm{
		Workspace: get("workspace"), Account: get("account"), Provider: get("provider"), Cap: get("cap"), Rate: get("rate"),
		Reason: get("reason"), Fleet: values.Get("fleet") != "", EvenIfOff: values.Get("even_if_off") != "",
	}
}

// heal returns the heal that the form describes.
func (f healForm) heal() (heal operator.Heal, err error) {
	heal = operator.Heal{
		Fleet: f.Fleet, Workspace: f.Workspace, Account: f.Account, Provider: f.Provider, EvenIfOff: f.EvenIfOff, Reason: f.Reason,
	}
	if heal.Cap, err = positive("cap", f.Cap); err != nil {
		return heal, err
	}
	heal.Rate, err = positive("rate", f.Rate)
	return heal, err
}

// positive reads an optional number of a form.
func positive(name, given string) (*int32, error) {
	if given == "" {
		return nil, nil //nolint:nilnil // An empty field is valid.
	}
	number, err := strconv.ParseInt(strings.ReplaceAll(given, ",", ""), 10, 32)
	if err != nil || number < 1 {
		return nil, badRequestError{fmt.Sprintf("The %s of a heal must be a number from 1 to 2147483647, not %q.", name, given)}
	}
	wanted := int32(number)
	return &wanted, nil
}
