package pages

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

// formSize is the maximum size of a form, in bytes.
const formSize = 64 << 10

// action handles a posted form and redirects to the page that shows the result. A form with a
// problem is shown again, with what was entered.
func (s *site) action(do func(*http.Request) (to string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formSize)
		if err := r.ParseForm(); err != nil {
			status, v := s.problem(r, badRequestError{"The form could not be read. It may be larger than 64 KiB; go back and submit it again."})
			s.write(w, r, status, v)
			return
		}
		to, err := do(r)
		s.Reader.Forget() // also after a failure: a part may be done
		if err != nil {
			status, v := s.problem(r, err)
			if text, ok := v.Data.(string); ok && status < http.StatusInternalServerError {
				v = view{"form.html", v.Title, formOf(r, text)}
			}
			s.write(w, r, status, v)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// A formPage is a form that had a problem.
type formPage struct {
	Problem string
	Action  string
	Inputs  []input
}

// An input is a field of a form. A checkbox is checked if Value is not empty.
type input struct {
	Name, Label, Kind, Value string
}

// inputs are the fields of all forms, in the order in which a form shows them. Fields that people
// do not enter are hidden.
var inputs = []input{
	{Name: "url", Kind: "hidden"}, {Name: "enabled", Kind: "hidden"}, {Name: "message", Kind: "hidden"}, {Name: "hours", Kind: "hidden"},
	{Name: "as", Kind: "hidden"},
	{Name: "workspace", Label: "Workspace", Kind: "text"},
	{Name: "campaign", Label: "Campaign", Kind: "text"},
	{Name: "account", Label: "Provider account ID", Kind: "text"},
	{Name: "provider", Label: "Provider", Kind: "text"},
	{Name: "fleet", Label: "The whole fleet", Kind: "checkbox"},
	{Name: "cap", Label: "Cap", Kind: "text"},
	{Name: "rate", Label: "Prospects per minute", Kind: "text"},
	{Name: "even_if_off", Label: "Include workspaces with auto-resume off", Kind: "checkbox"},
	{Name: "even_by_user", Label: "Include prospects that were paused manually", Kind: "checkbox"},
	{Name: "manual_exit", Label: "Stay on until turned off manually", Kind: "checkbox"},
	{Name: "until", Label: "Until", Kind: "text"},
	{Name: "for", Kind: "hidden"},
	{Name: "since", Label: "Period", Kind: "text"},
	{Name: "zone", Kind: "hidden"},
	{Name: "reason", Label: "Reason (logged)", Kind: "text"},
}

// formOf returns the posted form with what was entered. A missing reason, the field that all forms
// have, is added.
func formOf(r *http.Request, problem string) formPage {
	form := formPage{Problem: problem, Action: r.URL.Path}
	for _, field := range inputs {
		if r.PostForm.Has(field.Name) || field.Name == "reason" {
			field.Value = r.PostForm.Get(field.Name)
			form.Inputs = append(form.Inputs, field)
		}
	}
	return form
}

// operate returns the operator who acts through the page.
func (s *site) operate(r *http.Request) *operator.Operator {
	actor := "page"
	if user, _, ok := r.BasicAuth(); ok {
		actor = "page:" + user
	}
	return operator.New(s.Store, readmodel.Everything(), actor)
}

// noticeOf returns the key of the notice for an action, or that of "No change" if it changed
// nothing.
func noticeOf(changed bool, notice string) string {
	if changed {
		return notice
	}
	return "nothing"
}

// undoable returns the key of the notice for an action that can be undone: the notice links to the
// undo.
func undoable(action operator.Action, notice string) string {
	if action.Changed == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s.%d", notice, action.ID)
}

// noticeIn returns the notice with a key, and the action that can be undone; 0 if there is none.
func noticeIn(key string) (notice string, actionID int64) {
	name, id, _ := strings.Cut(key, ".")
	actionID, _ = strconv.ParseInt(id, 10, 64) // a wrong ID in a link leads to a page that says so
	return notices[name], actionID
}

type actionPage struct {
	readmodel.ActionDetail
	Undo operator.UndoPreview
}

// manualAction shows an entry of the audit log, and what its undo would do.
func (s *site) manualAction(r *http.Request) (view, error) {
	id, err := pathID(r)
	if err != nil {
		return view{}, err
	}
	var p actionPage
	if p.ActionDetail, err = readmodel.ActionByID(r.Context(), s.Store, readmodel.Everything(), id); err != nil {
		return view{}, err
	}
	p.Undo, err = s.operate(r).PreviewUndo(r.Context(), id)
	return view{"action.html", fmt.Sprint("Action ", id), p}, err
}

func (s *site) undo(r *http.Request) (string, error) {
	id, err := pathID(r)
	if err != nil {
		return "", err
	}
	done, err := s.operate(r).Undo(r.Context(), id, field(r, "reason"), nil)
	return fmt.Sprintf("/actions/%d?done=undone", done.ID), err
}
