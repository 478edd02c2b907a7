package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// pages requests each page and its JSON API counterpart, one request after another. The baseline is
// a response of the same program without a database query. "first" is the first response of a
// process, before anything is cached.
type pages struct{ accounts, rows, asks int }

func newPages(s Scale) benchmark {
	return &pages{accounts: s.pick(200, 10_000), rows: s.pick(10, 100), asks: s.pick(5, 100)}
}

// pagesShare divides the accounts: one in five is connected with all prospects paused and ready to
// resume, one in five is permanently disconnected with all prospects paused, the others are
// connected with active prospects.
const pagesShare = 5

func (p *pages) about() About {
	return About{
		Name: "pages",
		Work: fmt.Sprintf("%d responses of each page, with %d enrollments on %d accounts, of which %d have prospects ready to resume and as many are disconnected with paused prospects",
			p.asks, p.accounts*p.rows, p.accounts, p.accounts/pagesShare),
		Baseline: "GET /healthz: a response without a database query",
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
	// Ten days of ticks with their plans, the history of the accounts, and some heals and manual
	// actions.
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
			INSERT INTO thaw.heals (workspace_id, target, cap, status, finished_at, remaining, actor)
			SELECT w.id, 'workspace:' || w.id, 5000, 'done', thaw.now(), 0, 'cli:ann' FROM thaw.workspaces AS w LIMIT 500
		)
		INSERT INTO thaw.manual_actions (what, actor, reason, workspace_id, account_id)
		SELECT 'paused', 'cli:ann', 'asked by phone', a.workspace_id, a.id FROM thaw.accounts AS a`)
}

func (p *pages) variants(r *rig) []variant {
	waits, lost := int64(p.accounts/pagesShare/2), int64(p.accounts/pagesShare*3/2)
	list := []variant{{"/healthz", Baseline, p.ask(r, "/healthz")}}
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

// ask starts a web process and requests one page from it.
func (p *pages) ask(r *rig, path string) func(context.Context, *database, int) (sample, error) {
	return func(ctx context.Context, db *database, _ int) (sample, error) {
		return r.during(ctx, db, nil, []string{"web", "--addr", "127.0.0.1:0"}, func(web *program) (sample, error) {
			if _, err := get(ctx, web.url+"readyz"); err != nil { // Opens the database connections.
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

// get returns how long it took to read a whole response.
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
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET %s returned %s", url, answer.Status)
	}
	return time.Since(began), nil
}
