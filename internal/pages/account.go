package pages

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/when"
)

type accountPage struct {
	readmodel.AccountDetail
	Limits    readmodel.AccountLimits
	Target    *readmodel.Account // the sibling through which its prospects resume; nil if there is none
	Moving    []accountMove
	Obstacles []obstacle
	Reasons   []share // the paused prospects by reason
	Longest   []readmodel.PausedProspect
	Timeline  list[readmodel.TimelineEntry]
	Parts     []link // the filters of the timeline
	Stopped   int64  // prospects that a release of the account requeues
	Manual    int64  // and if asked, also these that were paused manually
	Holds     []hold
	Sending   readmodel.AccountSending
}

// An accountMove is prospects that move from the account of the page to Other, or the other way
// round.
type accountMove struct {
	readmodel.Move
	Other  readmodel.Account
	IsAway bool
}

// A link is a choice of a filter.
type link struct {
	Label, Path string
	IsChosen    bool
}

// timelineParts are the filters of a timeline, with the parts that each shows.
var timelineParts = []struct {
	key, label string
	parts      []string
}{
	{"", "Everything", nil},
	{"status", "Status changes and pauses", []string{"status"}},
	{"signals", "Signals", []string{"signal"}},
	{"resumes", "Resumes", []string{"sweep", "heal"}},
	{"actions", "Manual actions", []string{"action"}},
}

func (s *site) account(r *http.Request) (view, error) {
	id, err := pathID(r)
	if err != nil {
		return view{}, err
	}
	var p accountPage
	ctx, db := r.Context(), s.Store
	if p.AccountDetail, err = s.Reader.AccountByID(ctx, readmodel.Everything(), id); err != nil {
		return view{}, err
	}
	if p.Limits, err = readmodel.Limits(ctx, db, id); err != nil {
		return view{}, err
	}
	if p.Sending, err = readmodel.Sending(ctx, db, readmodel.Everything(), id); err != nil {
		return view{}, err
	}
	shown := r.URL.Query().Get("show")
	var parts []string
	for _, part := range timelineParts {
		p.Parts = append(p.Parts, link{part.label, with(r, "show", part.key), part.key == shown})
		if part.key == shown {
			parts = part.parts
		}
	}
	p.Timeline, err = listOf(r, func(paging readmodel.Paging) (readmodel.Page[readmodel.TimelineEntry], error) {
		return readmodel.Timeline(ctx, db, readmodel.Everything(), id, parts, paging)
	})
	if err != nil {
		return view{}, err
	}
	longest, err := readmodel.PausedProspects(ctx, db, readmodel.Everything(),
		readmodel.PausedFilter{AccountIDs: []int64{id}, LongestFirst: true}, readmodel.Paging{Limit: 10})
	p.Longest = longest.Items
	p.describe()
	return view{"account.html", "Account " + p.Account.Account, p}, err
}

// describe derives what the page says from what was read.
func (p *accountPage) describe() {
	for i, sibling := range p.Siblings {
		if p.ResumesThrough != nil && sibling.ID == *p.ResumesThrough {
			p.Target = &p.Siblings[i]
		}
	}
	for _, move := range p.Moves {
		isAway := move.FromAccountID == p.ID
		for _, sibling := range p.Siblings {
			if isAway && sibling.ID == move.ToAccountID || sibling.ID == move.FromAccountID {
				p.Moving = append(p.Moving, accountMove{move, sibling, isAway})
			}
		}
	}
	p.Obstacles = obstaclesOf(p.AccountDetail, p.Limits)
	for _, reason := range pausedReasons {
		if n := p.ByReason[reason]; n > 0 {
			p.Reasons = append(p.Reasons, share{Label: say(reasons, reason), Path: p.list(reason), Count: n})
		}
	}
	p.Reasons = sharesOf(p.Reasons)
	p.Stopped = p.ByReason["account_restricted"]
	p.Manual = p.ByReason["paused_by_user"]
	p.Holds = holds
}

// list returns the address of the account's paused prospects; an empty reason means all.
func (p *accountPage) list(reason string) string {
	return listPath("/prospects", map[string]string{"workspace": p.Workspace, "account": p.Account.Account, "reason": reason})
}

// All and Export are the addresses of the account's paused prospects: as a page, and as CSV.
func (p accountPage) All() string { return p.list("") }

func (p accountPage) Export() string {
	return listPath("/prospects.csv", map[string]string{"workspace": p.Workspace, "account": p.Account.Account})
}

// Waiting is how many of the paused prospects wait for an account.
func (p accountPage) Waiting() (waiting int64) {
	for reason, n := range p.ByReason {
		if enum.PauseReason(reason).WaitsForAccount() {
			waiting += n
		}
	}
	return waiting
}

// WouldPause is how many prospects a pause of the account changes.
func (p accountPage) WouldPause() int64 { return p.Limits.Active + p.Waiting() + p.Stopped }

// IsOnHold reports whether the account is on hold now.
func (p accountPage) IsOnHold() bool { return p.HoldUntil != nil && p.HoldUntil.After(p.Limits.Now) }

// Ticks is how many ticks of the account the ready prospects need at least.
func (p accountPage) Ticks() int64 {
	quota := int64(max(1, p.Limits.Account.Cap))
	return (p.Resumable + quota - 1) / quota
}

// IsTarget reports whether the account's prospects resume through this sibling.
func (p accountPage) IsTarget(id int64) bool { return p.Target != nil && p.Target.ID == id }

// Heal is the address of the preview of a heal of the account, for all that is ready.
func (p accountPage) Heal() string {
	return listPath("/heals/new", map[string]string{"account": p.Account.Account, "cap": strconv.FormatInt(max(1, p.Resumable), 10)})
}

// holdAccount puts an account on hold for a duration (the buttons) or until a time.
func (s *site) holdAccount(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	until, err := s.holdEnd(r)
	if err != nil {
		return "", err
	}
	if until == nil {
		return "", badRequestError{"The end of the hold is missing. Choose a duration, or enter a date and a time."}
	}
	if kind := field(r, "kind"); kind != "" {
		_, err = s.operate(r).HoldKind(r.Context(), account, kind, *until, field(r, "reason"))
		return to + "kind-held", err
	}
	_, err = s.operate(r).Hold(r.Context(), account, *until, field(r, "reason"))
	return to + "held", err
}

// correctHold changes the end of a mistaken hold. Without a new end, the hold ends now.
func (s *site) correctHold(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	until, err := s.holdEnd(r)
	if err != nil {
		return "", err
	}
	if kind := field(r, "kind"); kind != "" {
		_, err = s.operate(r).CorrectKindHold(r.Context(), account, kind, until, field(r, "reason"))
		return to + "hold-corrected", err
	}
	_, err = s.operate(r).CorrectHold(r.Context(), account, until, field(r, "reason"))
	return to + "hold-corrected", err
}

// limitAccount sets the caps of one kind of action of an account. Empty caps keep the default.
func (s *site) limitAccount(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	limit := operator.Limit{Account: account.ID, Provider: account.Provider, Workspace: account.Workspace, Kind: field(r, "kind")}
	if limit.PerDay, err = capIn(r, "per_day"); err != nil {
		return "", err
	}
	if limit.PerWeek, err = capIn(r, "per_week"); err != nil {
		return "", err
	}
	isChanged, err := s.operate(r).SetLimit(r.Context(), limit, field(r, "reason"))
	done := "limit-set"
	switch {
	case !isChanged:
		done = "nothing"
	case limit.PerDay == nil && limit.PerWeek == nil:
		done = "limit-removed"
	}
	return to + done, err
}

// capIn reads a cap from a field of a form. Nil if the field is empty.
func capIn(r *http.Request, name string) (*int32, error) {
	given := strings.TrimSpace(field(r, name))
	if given == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(given, 10, 32)
	if err != nil || n < 0 {
		return nil, badRequestError{fmt.Sprintf("%q is not a cap. Enter a whole number, or leave it empty for the default. Nothing has changed.", given)}
	}
	limit := int32(n)
	return &limit, nil
}

// holdEnd reads the end of a hold from a form: the duration of a button, or what the field has, in
// the viewer's time zone. Nil if neither is given.
func (s *site) holdEnd(r *http.Request) (*time.Time, error) {
	name := "until"
	if field(r, "for") != "" {
		name = "for"
	}
	return s.timeIn(r, name, "the end of the hold", when.Parse)
}

// timeIn reads a time or a duration from a field of a form, as a command does. A time is in the
// viewer's time zone; a duration counts from now by the clock of the database. Nil if the field is
// empty.
func (s *site) timeIn(r *http.Request, name, what string, parse func(string, time.Time) (time.Time, error)) (*time.Time, error) {
	given := strings.TrimSpace(field(r, name))
	if given == "" {
		return nil, nil
	}
	zone, err := time.LoadLocation(cmp.Or(field(r, "zone"), "UTC"))
	if err != nil {
		zone = time.UTC
	}
	now, err := s.Store.Read().Clock(r.Context())
	if err != nil {
		return nil, err
	}
	at, err := parse(given, now.In(zone))
	if err != nil {
		return nil, badRequestError{"Cannot read " + what + ": " + err.Error() + "."}
	}
	return &at, nil
}

// A hold is a button that puts an account on hold.
type hold struct{ Key, Label string }

var holds = []hold{{"3d", "3 days"}, {"1w", "1 week"}}

func (s *site) pauseAccount(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	done, err := s.operate(r).PauseAccount(r.Context(), account, field(r, "reason"), nil)
	return to + undoable(done, "paused"), err
}

func (s *site) resumeAccount(r *http.Request) (string, error) {
	account, to, err := s.accountOf(r)
	if err != nil {
		return "", err
	}
	done, err := s.operate(r).ReleaseAccount(r.Context(), account, field(r, "reason"), field(r, "even_by_user") != "", nil)
	return to + undoable(done, "resumed"), err
}

// accountOf returns the account in the path, and the start of the redirect back to its page.
func (s *site) accountOf(r *http.Request) (operator.Account, string, error) {
	id, err := pathID(r)
	if err != nil {
		return operator.Account{}, "", err
	}
	account, err := s.Reader.AccountByID(r.Context(), readmodel.Everything(), id)
	named := operator.Account{ID: account.Account.Account, Provider: account.Provider, Workspace: account.Workspace}
	return named, fmt.Sprintf("/accounts/%d?done=", id), err
}
