package pages

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/readmodel"
)

type fleetPage struct {
	readmodel.Overview
	Health    []health
	Attention []attention
	ByReason  []share
	ByStatus  []share
	Chart     chart
	Sending   actionChart
	Range     chartRange // of both charts
	Ranges    []chartRange
	MoreStuck string // label of the link to all stuck accounts; empty if the page shows all
	Actions   []readmodel.AuditEntry
}

// A health is a fact of the health strip.
type health struct {
	Label, Text, Path string
	At                *time.Time
	Tone              string // bad, wait, plain, or empty if all is well
}

// An attention is a number of things that need a person, with the list of them.
type attention struct {
	Count       int64
	Label, Hint string
	Path        string
	IsBad       bool // prospects cannot resume until a person acts
}

// fleetActions is how many of the latest manual actions the page shows.
const fleetActions = 8

func (s *site) fleet(r *http.Request) (view, error) {
	ctx, db := r.Context(), s.Store
	var p fleetPage
	var err error
	var chosen chartRange
	if p.Ranges, chosen, err = rangesOf(r); err != nil {
		return view{}, err
	}
	if p.Overview, err = s.Reader.Overview(ctx); err != nil {
		return view{}, err
	}
	points, err := readmodel.Chart(ctx, db, chosen.reads)
	if err != nil {
		return view{}, err
	}
	p.Chart, p.Range = chartOf(points, chosen), chosen
	settled, err := readmodel.ActionChart(ctx, db, chosen.reads)
	if err != nil {
		return view{}, err
	}
	p.Sending = actionChartOf(settled, chosen)
	endpoints, err := readmodel.Endpoints(ctx, db)
	if err != nil {
		return view{}, err
	}
	actions, err := readmodel.Audit(ctx, db, readmodel.Everything(), readmodel.AuditFilter{}, readmodel.Paging{Limit: fleetActions})
	if err != nil {
		return view{}, err
	}
	p.Actions = actions.Items
	p.Health = healthOf(p.Overview, endpoints)
	p.Attention = attentionOf(p.Overview, endpoints)
	for reason, n := range p.Paused.ByReason {
		p.ByReason = append(p.ByReason, share{Label: say(reasons, reason), Path: "/prospects?reason=" + reason, Count: n})
	}
	if p.Accounts != nil {
		if p.Accounts.Stuck > int64(len(p.StuckAccounts)) {
			p.MoreStuck = "Show all " + count(p.Accounts.Stuck)
		}
		for status, n := range p.Accounts.ByStatus {
			p.ByStatus = append(p.ByStatus, share{Label: say(statuses, status), Path: "/accounts?status=" + status, Count: n})
		}
	}
	for _, shares := range [][]share{p.ByReason, p.ByStatus} {
		slices.SortFunc(shares, func(a, b share) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Label, b.Label)) })
		sharesOf(shares)
	}
	return view{"fleet.html", "Fleet", p}, nil
}

// rangesOf returns the ranges of the charts, with the one in the address chosen.
func rangesOf(r *http.Request) (ranges []chartRange, chosen chartRange, err error) {
	key := cmp.Or(r.URL.Query().Get("range"), chartRanges[0].Key)
	ranges = slices.Clone(chartRanges)
	for i := range ranges {
		ranges[i].IsChosen = ranges[i].Key == key
		ranges[i].Path = "/?range=" + ranges[i].Key + "#chart"
		if ranges[i].IsChosen {
			chosen = ranges[i]
		}
	}
	if chosen.Key == "" {
		return nil, chosen, badRequestError{fmt.Sprintf("There is no range %q. Choose day, week or month.", key)}
	}
	return ranges, chosen, nil
}

// healthOf answers whether anything is wrong.
func healthOf(o readmodel.Overview, endpoints []readmodel.Endpoint) []health {
	workers := health{Label: "Workers", Text: many(o.WorkersAlive, "process") + " alive"}
	if o.WorkersAlive != 1 {
		workers.Text = count(o.WorkersAlive) + " processes alive"
	}
	if o.WorkersAlive == 0 {
		workers.Text, workers.Tone = "none alive", "bad"
	}
	sweep := health{Label: "Last sweep", Path: "/sweeps"}
	if last := o.LastSweep; last == nil {
		sweep.Text, sweep.Tone = "none yet", "wait"
	} else {
		sweep.At = &last.TickAt
		sweep.Text = ", " + count(last.Resumed) + " resumed"
		if last.FinishedAt == nil {
			sweep.Text = ", running: " + count(last.Resumed) + " of " + count(last.Planned) + " resumed"
		}
		if o.Now.Sub(last.TickAt).Seconds() > 3*o.Tick.Seconds {
			sweep.Text, sweep.Tone = sweep.Text+": late", "bad"
		} else if last.IsPartial {
			sweep.Text, sweep.Tone = sweep.Text+", partial", "wait"
		}
	}
	safety := health{Label: "Safety mode", Text: "off", Path: "/safety"}
	if o.Safety.On {
		safety.Text, safety.Tone = "on: nothing is sent or resumed", "bad"
	}
	return []health{workers, sweep, safety, webhookHealth(endpoints)}
}

func webhookHealth(endpoints []readmodel.Endpoint) health {
	h := health{Label: "Webhooks", Text: "delivered", Path: "/messages"}
	var waiting, failed int64
	for _, e := range endpoints {
		waiting, failed = waiting+e.Waiting, failed+e.Failed
		if e.DisabledAt != nil {
			h.Text, h.Tone = "an endpoint is disabled", "bad"
		}
	}
	switch {
	case len(endpoints) == 0:
		h.Text, h.Tone = "no endpoint", "plain"
	case h.Tone != "":
	case failed > 0:
		h.Text, h.Tone, h.Path = count(failed)+" failed", "wait", "/messages?state=failed"
	case waiting > 0:
		h.Text, h.Path = count(waiting)+" waiting", "/messages?state=waiting"
	}
	return h
}

// attentionOf answers who needs help, the most urgent first. It has no entries with a count of 0.
func attentionOf(o readmodel.Overview, endpoints []readmodel.Endpoint) []attention {
	var all []attention
	if a := o.Accounts; a != nil {
		all = append(all,
			attention{a.ByStatus["restricted"], "restricted", "The provider restricted the account. Its prospects stay paused until a person releases them.", "/accounts?status=restricted", true},
			attention{a.ByStatus["needs_verification"], "to verify", "The owner must verify the login with the provider.", "/accounts?status=needs_verification", true},
			attention{a.ByStatus["disconnected"], "disconnected", "The owner must reconnect.", "/accounts?status=disconnected", true},
			attention{a.ByStatus["error"], "with an error", "Usually transient. Their prospects pause after the grace period.", "/accounts?status=error", false},
			attention{a.Stuck, "stuck connecting", "Connecting began over an hour ago and did not finish. Reconnect or remove them.", "/accounts?blocked=account_stuck", false},
			attention{a.Locked, "locked by the provider", "Nothing is sent and nothing resumes until the provider unlocks them.", "/accounts?blocked=account_locked", false},
			attention{a.Flapping, "flapping", "They lost their connection several times within an hour. Prospects wait until it is stable.", "/accounts?blocked=account_flapping", false},
			attention{a.OnHold, "on hold", "Put on hold by a person or by the platform.", "/accounts?blocked=account_on_hold", false},
		)
		for i := range all {
			all[i].Label = noun(all[i].Count, "account") + " " + all[i].Label
		}
	}
	all = append(all, attention{o.RefusedAccounts, noun(o.RefusedAccounts, "account") + " with a kind on hold after refusals",
		"The provider refused it to three prospects within a day. Look at the refused actions, and at what is sent to whom. The kind goes on by itself the next day.", "/accounts?blocked=refusals", false})
	for _, silent := range o.SilentProviders {
		all = append(all, attention{1, "provider is silent: " + silent.Provider, "It has sent no signal for longer than usual. Check that its webhook is enabled.", "/signals?provider=" + silent.Provider, true})
	}
	all = append(all, attention{o.UnknownActions, noun(o.UnknownActions, "action") + " unknown", "They may have been delivered, and are never repeated. Look at the provider, then settle them.", "/sending?state=unknown", true})
	all = append(all, attention{o.StoppedHeals, noun(o.StoppedHeals, "heal") + " stopped", "The job was cancelled or discarded before the heal was done.", "/heals", false})
	var disabled int64
	for _, e := range endpoints {
		if e.DisabledAt != nil {
			disabled++
		}
	}
	all = append(all, attention{disabled, noun(disabled, "webhook endpoint") + " disabled", "The platform gets no messages there.", "/messages", false})
	return slices.DeleteFunc(all, func(a attention) bool { return a.Count == 0 })
}

// noun returns the noun for a number, without the number.
func noun(n int64, thing string) string {
	if n == 1 {
		return thing
	}
	return thing + "s"
}
