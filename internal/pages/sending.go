package pages

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
)

// A ledgerPage is the list of the actions of senders.
type ledgerPage struct {
	list[readmodel.SendingAction]
	wantedActions
	States, Kinds []string
	SearchedTo    *int64 // of readmodel.SendingPage
}

// wantedActions is the filter of the list. Every value is in the address.
type wantedActions struct {
	State, Kind, Account, Workspace, Enrollment string

	scope  readmodel.Scope
	filter readmodel.SendingFilter
}

// IsFiltered reports whether any filter is set.
func (w wantedActions) IsFiltered() bool {
	return cmp.Or(w.State, w.Kind, w.Account, w.Workspace, w.Enrollment) != ""
}

func (s *site) ledger(r *http.Request) (view, error) {
	wanted, kinds, err := s.wantedActions(r)
	if err != nil {
		return view{}, err
	}
	p := ledgerPage{wantedActions: wanted, States: enum.Names(enum.ActionStates), Kinds: kinds}
	p.list, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.SendingAction], error) {
		page, err := readmodel.SendingActions(r.Context(), s.Store, wanted.scope, wanted.filter, paging)
		p.SearchedTo = page.SearchedTo
		return page.Page, err
	})
	p.Export = exportPath(r)
	return view{"sending.html", "Sending", p}, err
}

// wantedActions reads the filter in the address. It also returns all kinds.
func (s *site) wantedActions(r *http.Request) (w wantedActions, kinds []string, err error) {
	query := r.URL.Query()
	w = wantedActions{
		State: query.Get("state"), Kind: query.Get("kind"), Account: query.Get("account"), Workspace: query.Get("workspace"), Enrollment: query.Get("enrollment"),
	}
	if w.State != "" && !slices.Contains(enum.Names(enum.ActionStates), w.State) {
		return w, nil, badRequestError{fmt.Sprintf("There is no state %q of actions. Choose one from the list.", w.State)}
	}
	if kinds, err = readmodel.SendingKinds(r.Context(), s.Store); err != nil {
		return w, nil, err
	}
	if w.Kind != "" && !slices.Contains(kinds, w.Kind) {
		return w, nil, badRequestError{fmt.Sprintf("There is no kind of action %q. Choose one from the list.", w.Kind)}
	}
	w.filter = readmodel.SendingFilter{State: w.State, Kind: w.Kind}
	if w.scope, err = s.scopeOf(r.Context(), w.Workspace); err != nil {
		return w, nil, err
	}
	if w.Account != "" {
		ids, err := readmodel.AccountIDs(r.Context(), s.Store, w.scope, w.Account)
		switch {
		case err != nil:
			return w, nil, err
		case len(ids) == 0:
			return w, nil, badRequestError{fmt.Sprintf("There is no account %q. Use its provider account ID or the platform's own ID.", w.Account)}
		case len(ids) > 1:
			return w, nil, badRequestError{fmt.Sprintf("Several accounts have the ID %q. Name the workspace too, or open the list from the page of the account.", w.Account)}
		}
		w.filter.AccountID = ids[0]
	}
	if w.Enrollment != "" {
		if w.filter.EnrollmentID, err = strconv.ParseInt(w.Enrollment, 10, 64); err != nil || w.filter.EnrollmentID <= 0 {
			return w, nil, badRequestError{fmt.Sprintf("%q is not the ID of an enrollment. Open the list from the page of the prospect.", w.Enrollment)}
		}
	}
	return w, kinds, nil
}

func (s *site) ledgerExport(r *http.Request) (*export, error) {
	wanted, _, err := s.wantedActions(r)
	if err != nil {
		return nil, err
	}
	header := []string{
		"id", "state", "outcome", "kind", "step", "workspace", "account", "account_name", "campaign", "enrollment_id", "prospect_url", "actor",
		"reserved_at", "started_at", "settled_at", "provider_ref", "error_code", "closed_at", "closed_as",
	}
	return exportOf("actions", header,
		func(paging readmodel.Paging) (readmodel.Page[readmodel.SendingAction], error) {
			page, err := readmodel.SendingActions(r.Context(), s.Store, wanted.scope, wanted.filter, paging)
			return page.Page, err
		},
		func(a readmodel.SendingAction) []string {
			return []string{
				strconv.FormatInt(a.ID, 10), a.State, plain(a.Outcome), a.Kind, strconv.Itoa(a.Step), a.Workspace, a.Account, a.AccountName, a.Campaign,
				strconv.FormatInt(a.EnrollmentID, 10), a.ProspectURL, a.Actor, moment(&a.ReservedAt), moment(a.StartedAt), moment(a.SettledAt),
				plain(a.ProviderRef), plain(a.ErrorCode), moment(a.ClosedAt), plain(a.ClosedAs),
			}
		}), nil
}

// ledgerAction shows an action and, if it is unknown, the form that settles it.
func (s *site) ledgerAction(r *http.Request) (view, error) {
	id, err := pathID(r)
	if err != nil {
		return view{}, err
	}
	action, err := readmodel.SendingActionByID(r.Context(), s.Store, readmodel.Everything(), id)
	return view{"sending-action.html", fmt.Sprint("Action ", id, " of a sender"), action}, err
}

// A settlePage asks again before an action is settled, because that cannot be undone.
type settlePage struct {
	readmodel.SendingAction
	As, Reason string
}

// WasSent reports whether the action is about to be settled as sent.
func (p settlePage) WasSent() bool { return p.As == string(enum.OutcomeVerifiedSent) }

func (s *site) confirmSettle(r *http.Request) (view, error) {
	id, err := pathID(r)
	if err != nil {
		return view{}, err
	}
	p := settlePage{As: r.URL.Query().Get("as"), Reason: r.URL.Query().Get("reason")}
	if p.SendingAction, err = readmodel.SendingActionByID(r.Context(), s.Store, readmodel.Everything(), id); err != nil {
		return view{}, err
	}
	switch {
	case p.State != string(enum.StateUnknown):
		return view{}, redirectError{fmt.Sprintf("/sending/%d", id)}
	case p.As != string(enum.OutcomeVerifiedSent) && p.As != string(enum.OutcomeVerifiedAbsent):
		return view{}, badRequestError{"Choose whether the action was sent. Nothing has changed."}
	case p.Reason == "":
		return view{}, badRequestError{"No reason was given. Say what you saw at the provider. Nothing has changed."}
	}
	return view{"sending-settle.html", fmt.Sprint("Settle action ", id), p}, nil
}

func (s *site) settleAction(r *http.Request) (string, error) {
	id, err := pathID(r)
	if err != nil {
		return "", err
	}
	_, err = s.operate(r).VerifyAction(r.Context(), id, operator.Verification{Outcome: field(r, "as"), Reason: field(r, "reason")})
	return fmt.Sprintf("/sending/%d?done=action-settled", id), err
}

// HeldBy is the gate that is closed for every kind of action of the account, if they all have the
// same one; nil if any may be sent, or if they differ.
func (p accountPage) HeldBy() *explain.Gate {
	kinds := p.Sending.Kinds
	for _, kind := range kinds {
		if kind.Code == "" || kind.Sentence != kinds[0].Sentence {
			return nil
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	return &kinds[0].Gate
}

// SendsNothing is the gate that a person must open before the account sends anything; nil if there
// is none. Those of the connection are among the obstacles.
func (p accountPage) SendsNothing() *explain.Gate {
	held := p.HeldBy()
	if held == nil || !p.Sending.IsInUse || len(p.Obstacles) > 0 || held.WhoActs == explain.None || held.WhoActs == explain.Provider {
		return nil
	}
	return held
}

// UnknownActions is the address of the unknown actions of the account.
func (p accountPage) UnknownActions() string {
	return listPath("/sending", map[string]string{"workspace": p.Workspace, "account": p.Account.Account, "state": "unknown"})
}

// HeldKinds are the kinds of actions whose hold can be corrected on this page.
func (p accountPage) HeldKinds() (held []readmodel.KindSending) {
	for _, kind := range p.Sending.Kinds {
		if kind.HeldUntil != nil && *kind.HeldCode != explain.HeldElsewhere {
			held = append(held, kind)
		}
	}
	return held
}

// HasSent reports whether the account, or another one of its person, has sent through Thaw.
func (p accountPage) HasSent() bool { return p.Sending.RampStartedAt != nil }

// Ledger is the address of the actions of the account.
func (p accountPage) Ledger() string {
	return listPath("/sending", map[string]string{"workspace": p.Workspace, "account": p.Account.Account})
}

// kindName returns the noun for one action of a kind.
func kindName(kind string) string {
	one, _ := explain.KindNoun(kind)
	return one
}

// kindNames returns the noun for the actions of a kind.
func kindNames(kind string) string {
	_, many := explain.KindNoun(kind)
	return many
}

// ahead says how many actions are due before another one, at the beginning of a sentence.
func ahead(n int, kind string) string {
	words := explain.AheadInWords(n, kind)
	return strings.ToUpper(words[:1]) + words[1:]
}

// clock returns a time on the clock of a zone: "Tue 09:00 (Europe/Berlin)".
func clock(t time.Time, zone string) string {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		location, zone = time.UTC, "UTC"
	}
	return t.In(location).Format("Mon 15:04") + " (" + zone + ")"
}

// gap returns a range of seconds in words: "3 to 8 minutes".
func gap(from, to float64) string {
	if to == 0 {
		return "–"
	}
	if math.Mod(from, 60) == 0 && math.Mod(to, 60) == 0 {
		return fmt.Sprintf("%.0f to %s", from/60, many(int64(to/60), "minute"))
	}
	return fmt.Sprintf("%.0f to %s", from, many(int64(to), "second"))
}
