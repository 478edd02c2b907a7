package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/thawline/thaw/internal/store"

	"github.com/thawline/thaw/internal/readmodel"
)

// incidentReads measures the reads of users and Prometheus after a provider incident: all accounts
// are connected again, and all of their prospects are paused and ready to resume. The baseline is a
// response of the same program without a database query. "first" is the first response of a
// process, or the whole run of a command.
type incidentReads struct{ accounts, rows, asks int }

func newIncidentReads(s Scale) benchmark {
	return &incidentReads{accounts: s.pick(500, 100_000), rows: s.pick(10, 50), asks: s.pick(5, 50)}
}

func (i *incidentReads) about() About {
	return About{
		Name:     "reads",
		Work:     fmt.Sprintf("%d responses of each page, and commands, with %d connected accounts and %d paused prospects, all ready to resume", i.asks, i.accounts, i.accounts*i.rows),
		Baseline: "GET /healthz: a response without a database query",
		Metrics: []Metric{
			{Name: "p50", Unit: Millis, Limit: 100}, {Name: "first", Unit: Millis, Limit: 1000}, {Name: "p99", Unit: Millis},
			{Name: "scrape", Unit: Millis, Limit: 250}, {Name: "verify", Unit: Seconds, Limit: 60}, memory,
		},
		keeps: true,
	}
}

func (i *incidentReads) load(ctx context.Context, _ *rig, db *database) error {
	return db.add(ctx, fleet{accounts: i.accounts, rows: i.rows, status: "connected", paused: true, history: true})
}

func (i *incidentReads) variants(r *rig) []variant {
	ask := (&pages{asks: i.asks}).ask
	account := i.accounts / 2
	prospect := fmt.Sprintf("https://www.linkedin.com/in/prospect-%d-%d", account, i.rows/2)
	list := []variant{{"/healthz", Baseline, ask(r, "/healthz")}}
	for _, page := range []struct{ name, path string }{
		{"fleet", "/"},
		{"account", fmt.Sprint("/accounts/", account)},
		{"prospect", "/prospects?url=" + prospect},
		{"API fleet", "/api/v1/fleet"},
		{"API account", fmt.Sprint("/api/v1/accounts/", account)},
		{"API prospect", "/api/v1/prospects?url=" + prospect},
	} {
		list = append(list, variant{page.name, Thaw, ask(r, page.path)})
	}
	list = append(list,
		variant{"/metrics", Thaw, i.scrape(r)},
		variant{"thaw status", Thaw, i.command(r, "status")},
		variant{"thaw explain", Thaw, i.command(r, "explain", prospect)},
		variant{"thaw verify", Thaw, i.command(r, "verify")})
	for n, c := range list {
		list[n].run = func(ctx context.Context, db *database, turn int) (sample, error) {
			// Workers do this every minute. No worker runs here, because it would resume prospects.
			if err := readmodel.Store(ctx, store.New(db.Pool), 1); err != nil {
				return nil, err
			}
			return c.run(ctx, db, turn)
		}
	}
	return list
}

// scrape requests the metrics repeatedly and returns the slowest response. The first ones of a
// process query the database.
func (i *incidentReads) scrape(r *rig) func(context.Context, *database, int) (sample, error) {
	ask := (&pages{asks: i.asks}).ask(r, "/metrics")
	return func(ctx context.Context, db *database, turn int) (sample, error) {
		got, err := ask(ctx, db, turn)
		if err != nil {
			return nil, err
		}
		return sample{"scrape": max(got["first"], got["p99"]), memory.Name: got[memory.Name]}, nil
	}
}

// command runs a command of the program. It polls the peak memory, which cannot be read after the
// process has ended.
func (i *incidentReads) command(r *rig, args ...string) func(context.Context, *database, int) (sample, error) {
	return func(ctx context.Context, db *database, _ int) (sample, error) {
		cmd := exec.CommandContext(ctx, r.options.Program, args...)
		cmd.Env = append(os.Environ(), "THAW_DATABASE_URL="+db.URL)
		var said lastLines
		cmd.Stdout, cmd.Stderr = io.Discard, &said
		began := time.Now()
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		got := sample{}
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case err := <-ended:
				if err != nil {
					return nil, fmt.Errorf("thaw %s: %w\n%s", args[0], err, &said)
				}
				took := time.Since(began).Seconds()
				// For a command, the first response is its whole run.
				if args[0] == "verify" {
					got["verify"] = took
				} else {
					got["first"] = took * 1000
				}
				return got, nil
			case <-ticker.C:
				if peak, ok := peakMemory(cmd.Process.Pid); ok {
					got[memory.Name] = max(got[memory.Name], peak)
				}
			}
		}
	}
}
