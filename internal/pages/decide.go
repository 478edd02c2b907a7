package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/thawline/thaw/internal/outlook"
	"github.com/thawline/thaw/schema/dbsqlc"
)

// formSize bounds what a form may have, in bytes.
const formSize = 64 << 10

// decideSize is how many prospects one transaction pauses or gives back.
const decideSize = 1000

// decide does what a form asks for, and leads to the page that shows what came of it.
func (s *site) decide(do func(*http.Request) (to string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formSize)
		if err := r.ParseForm(); err != nil {
			status, v := s.problem(r, badRequestError{"The form could not be read."})
			s.write(w, r, status, v)
			return
		}
		to, err := do(r)
		if err != nil {
			status, v := s.problem(r, err)
			s.write(w, r, status, v)
			return
		}
		s.Foresight.Forget()
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// operator names who decides, for the record.
func operator(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok {
		return "page:" + user
	}
	return "page"
}

func (s *site) enterSafety(r *http.Request) (string, error) {
	entered, err := s.Store.Trip().SafetyEnter(r.Context(), dbsqlc.SafetyEnterParams{
		Why: r.FormValue("why"), DecidedBy: operator(r), Stays: r.FormValue("stay") != "",
	})
	return "/safety?done=" + noticeOf(entered, "safety-entered"), err
}

func (s *site) clearSafety(r *http.Request) (string, error) {
	cleared, err := s.Store.Trip().SafetyClear(r.Context(), dbsqlc.SafetyClearParams{Why: r.FormValue("why"), DecidedBy: operator(r)})
	return "/safety?done=" + noticeOf(cleared, "safety-cleared"), err
}

type safetyPage struct {
	outlook.Safety
	History []outlook.Moment
}

func (s *site) safety(r *http.Request) (view, error) {
	var p safetyPage
	var err error
	if p.Safety, err = outlook.ReadSafety(r.Context(), s.Store.Pool()); err != nil {
		return view{}, err
	}
	p.History, err = outlook.SafetyHistory(r.Context(), s.Store.Pool())
	return view{"safety.html", "Safety mode", p}, err
}

// holdAccount takes the end as the browser's own field writes it, in UTC.
func (s *site) holdAccount(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	until, err := time.Parse("2006-01-02T15:04", r.FormValue("until"))
	if err != nil {
		return "", badRequestError{fmt.Sprintf("The end of a hold must be a time like 2026-03-01T09:00, not %q.", r.FormValue("until"))}
	}
	_, err = s.Store.Trip().Hold(r.Context(), dbsqlc.HoldParams{
		Account: account.Account.Account, Provider: account.Provider, Until: until, Why: r.FormValue("why"), DecidedBy: operator(r),
	})
	return to + "held", err
}

func (s *site) pauseAccount(r *http.Request) (string, error) { return s.decideAccount(r, "paused") }

func (s *site) resumeAccount(r *http.Request) (string, error) { return s.decideAccount(r, "resumed") }

func (s *site) decideAccount(r *http.Request, what string) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	changed, err := s.decideBatches(r.Context(), dbsqlc.DecideParams{
		What: what, Account: account.Account.Account, Provider: account.Provider, Why: r.FormValue("why"), DecidedBy: operator(r),
	}, r.FormValue("even_by_user") != "")
	return to + noticeOf(changed > 0, what), err
}

// decideBatches goes on when the browser has gone: a half of a pause is worth less than the whole.
func (s *site) decideBatches(ctx context.Context, decision dbsqlc.DecideParams, evenByUser bool) (total int, err error) {
	ctx = context.WithoutCancel(ctx)
	id, err := s.Store.Trip().Decide(ctx, decision)
	for changed := int32(decideSize); err == nil && changed == decideSize; total += int(changed) {
		changed, err = s.Store.Trip().DecideBatch(ctx, dbsqlc.DecideBatchParams{DecisionID: id, Size: decideSize, EvenByUser: evenByUser})
	}
	return total, err
}

// accountOf is the account in the path, and the page that leads back to it.
func (s *site) accountOf(r *http.Request) (outlook.AccountDetail, string, error) {
	id, err := pathID(r)
	if err != nil {
		return outlook.AccountDetail{}, "", err
	}
	account, err := s.Foresight.AccountByID(r.Context(), outlook.Everything(), id)
	return account, fmt.Sprintf("/accounts/%d?done=", id), err
}

func (s *site) pauseProspect(r *http.Request) (string, error) { return s.decideProspect(r, "paused") }

func (s *site) resumeProspect(r *http.Request) (string, error) { return s.decideProspect(r, "resumed") }

func (s *site) decideProspect(r *http.Request, what string) (string, error) {
	workspace, campaign := r.FormValue("workspace"), r.FormValue("campaign")
	if workspace == "" || campaign == "" {
		return "", badRequestError{"Name the workspace and the campaign."}
	}
	prospect := r.FormValue("url")
	changed, err := s.Store.Trip().DecideProspect(r.Context(), dbsqlc.DecideProspectParams{
		What: what, ProspectUrl: prospect, WorkspaceKey: &workspace, Campaign: &campaign, Why: r.FormValue("why"), DecidedBy: operator(r),
	})
	return "/prospects?" + url.Values{"url": {prospect}, "done": {noticeOf(changed > 0, what)}}.Encode(), err
}

func (s *site) pauseCampaign(r *http.Request) (string, error) {
	return s.decideCampaign(r, "paused", "stopped")
}

func (s *site) resumeCampaign(r *http.Request) (string, error) {
	return s.decideCampaign(r, "resumed", "campaign")
}

func (s *site) decideCampaign(r *http.Request, what, notice string) (string, error) {
	changed, err := s.Store.Trip().DecideCampaign(r.Context(), dbsqlc.DecideCampaignParams{
		What: what, WorkspaceKey: r.PathValue("key"), Campaign: r.PathValue("campaign"), Why: r.FormValue("why"), DecidedBy: operator(r),
	})
	return "/workspaces/" + url.PathEscape(r.PathValue("key")) + "?done=" + noticeOf(changed, notice), err
}

func (s *site) setAutoResume(r *http.Request) (string, error) {
	note, enabled := r.FormValue("note"), r.FormValue("enabled")
	if enabled != "on" && enabled != "off" {
		return "", badRequestError{"Say whether it is to be on or off."}
	}
	err := s.Store.SetAutoResume(r.Context(), dbsqlc.SetAutoResumeParams{
		WorkspaceKey: r.PathValue("key"), Enabled: enabled == "on", Note: &note, DecidedBy: operator(r),
	})
	return "/workspaces/" + url.PathEscape(r.PathValue("key")) + "?done=auto-resume", err
}

// noticeOf is what to say of a decision: nothing was changed where it was so already.
func noticeOf(changed bool, notice string) string {
	if changed {
		return notice
	}
	return "nothing"
}
