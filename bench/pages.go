package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// pages asks for each page of the operators, and for the same of the JSON API, one answer after the other. The floor is an
// answer of the same program for which it asks the database nothing. "first" is the first answer of a process, which has looked
// at nothing yet.
type pages struct{ accounts, rows, asks int }

func newPages(s Scale) benchmark {
	return &pages{accounts: s.pick(200, 10_000), rows: s.pick(10, 100), asks: s.pick(5, 100)}
}

// Of the accounts of pages one in five is connected and has all of its prospects waiting, one in five is gone for good with
// the like, the others are at work.
const pagesShare = 5

func (p *pages) about() About {
	return About{
		Name: "pages",
		Work: fmt.Sprintf("%d answers of each page, with %d enrollments on %d accounts, of which %d have a line and as many are gone with paused prospects",
			p.asks, p.accounts*p.rows, p.accounts, p.accounts/pagesShare),
		Floor: "GET /healthz: an answer without the database",
		Metrics: []Metric{
			{Name: "p50", Unit: Millis, Limit: 50}, {Name: "p99", Unit: Millis}, {Name: "first", Unit: Millis}, memory,
		},
		keeps: true,
	}
}

func (p *pages) load(ctx context.Context, _ *rig, db *database) error {
	share := p.accounts / pagesShare
	for _, f := range []fleet{
		{accounts: share, rows: p.rows, status: "connected", paused: true, history: true},
		{accounts: share, rows: p.rows, status: "disconnected", paused: true, history: true},
		{accounts: p.accounts - 2*share, rows: p.rows, status: "connected"},
	} {
		if err := db.add(ctx, f); err != nil {
			return err
		}
	}
	// Ten days of ticks, each with a plan of its own; the history of the accounts; some heals and decisions.
	return db.run(ctx, `
		WITH ticks AS (
			INSERT INTO thaw.sweeps (tick_at, account_cap, fleet_cap, accounts_planned, accounts_processed, planned, resumed, remaining,
				started_at, finished_at)
			SELECT thaw.tick() - i * interval '15 minutes', 200, 2000, 10, 10, 100, 100, 1000, thaw.tick() - i * interval '15 minutes',
				thaw.tick() - i * interval '15 minutes' + interval '1 second'
			FROM generate_series(1, 1000) AS i
			RETURNING tick_at
		), plans AS (
			INSERT INTO thaw.allocations (tick_at, account_id, workspace_id, planned, resumed, verdict, finished_at)
			SELECT t.tick_at, a.id, a.workspace_id, 10, 10, 'resumed', t.tick_at
			FROM ticks AS t CROSS JOIN (SELECT a.id, a.workspace_id FROM thaw.accounts AS a ORDER BY a.id LIMIT 10) AS a
		), changes AS (
			INSERT INTO thaw.account_events (account_id, at, from_status, to_status)
			SELECT a.id, thaw.now() - i * interval '1 day', 'connected', 'disconnected' FROM thaw.accounts AS a, generate_series(1, 5) AS i
		), signals AS (
			INSERT INTO thaw.account_signals (provider, provider_account_id, account_id, raw_status, status, outcome)
			SELECT a.provider, a.provider_account_id, a.id, 'CREDENTIALS', 'disconnected', 'applied'
			FROM thaw.accounts AS a, generate_series(1, 5) AS i
		), heals AS (
			INSERT INTO thaw.heals (workspace_id, target, cap, status, finished_at, remaining, requested_by)
			SELECT w.id, 'workspace:' || w.id, 5000, 'done', thaw.now(), 0, 'cli:ann' FROM thaw.workspaces AS w LIMIT 500
		)
		INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id)
		SELECT 'paused', 'cli:ann', 'asked by phone', a.workspace_id, a.id FROM thaw.accounts AS a`)
}

func (p *pages) variants(r *rig) []variant {
	waits, lost := int64(p.accounts/pagesShare/2), int64(p.accounts/pagesShare*3/2)
	list := []variant{{"/healthz", Floor, p.ask(r, "/healthz")}}
	for _, page := range []struct{ name, path string }{
		{"fleet", "/"},
		{"accounts", "/accounts"},
		{"accounts, waiting", "/accounts?backlog=yes"},
		{"account", fmt.Sprint("/accounts/", waits)},
		{"account, lost", fmt.Sprint("/accounts/", lost)},
		{"prospect", fmt.Sprintf("/prospects?url=https://www.linkedin.com/in/prospect-%d-%d", waits, p.rows/2)},
		{"prospect, lost", fmt.Sprintf("/prospects?url=linkedin.com/in/prospect-%d-%d/", lost, p.rows/2)},
		{"sweeps", "/sweeps"},
		{"heals", "/heals"},
		{"heal, dry run", "/heals/new?cap=5000&workspace=workspace-1-1"},
		{"workspaces", "/workspaces"},
		{"workspace", "/workspaces/workspace-1-1"},
		{"safety", "/safety"},
		{"search", "/search?q=account-1"},
		{"API fleet", "/api/v1/fleet"},
		{"API accounts", "/api/v1/accounts?has_backlog=true"},
		{"API account", fmt.Sprint("/api/v1/accounts/", waits)},
		{"API enrollments", fmt.Sprintf("/api/v1/accounts/%d/enrollments?status=paused", waits)},
		{"API prospect", fmt.Sprintf("/api/v1/prospects?url=https://www.linkedin.com/in/prospect-%d-%d", waits, p.rows/2)},
		{"API campaigns", "/api/v1/campaigns"},
		{"API heals", "/api/v1/heals"},
		{"API sweeps", "/api/v1/sweeps?workspace=workspace-1-1"},
		{"API search", "/api/v1/search?q=campaign"},
	} {
		list = append(list, variant{page.name, Thaw, p.ask(r, page.path)})
	}
	return list
}

// ask starts a process that only serves, and asks it for one page.
func (p *pages) ask(r *rig, path string) func(context.Context, *database, int) (sample, error) {
	return func(ctx context.Context, db *database, _ int) (sample, error) {
		return r.during(ctx, db, nil, []string{"web", "--addr", "127.0.0.1:0"}, func(web *program) (sample, error) {
			if _, err := get(ctx, web.url+"readyz"); err != nil { // The connections to the database are made before.
				return nil, err
			}
			times := make([]float64, p.asks+1)
			for i := range times {
				took, err := get(ctx, web.url+path[1:])
				if err != nil {
					return nil, err
				}
				times[i] = took.Seconds() * 1000
			}
			return sample{"first": times[0], "p50": median(times[1:]), "p99": percentile(times[1:], 99)}, nil
		})
	}
}

// get returns how long it took until an answer was read.
func get(ctx context.Context, url string) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0, err
	}
	// Nobody works here, so nobody is ready.
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusServiceUnavailable {
		return 0, fmt.Errorf("%s was answered %s", url, answer.Status)
	}
	return time.Since(began), nil
}
