package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/procfs"

	"github.com/thawline/thaw/internal/localpg"
	"github.com/thawline/thaw/schema"
)

// serverSettings are the settings that differ from Postgres' defaults: a cache that holds the data,
// and enough WAL between checkpoints that none happens during a measurement.
var serverSettings = map[string]string{"shared_buffers": "1GB", "max_wal_size": "4GB", "max_connections": "200"}

// A rig is the server and everything else that benchmarks share.
type rig struct {
	server      *localpg.Server
	admin       *pgx.Conn
	options     Options
	tools       tools
	peers       peers
	log         *logTap
	folder      string // temporary files, removed at the end
	environment Environment
	databases   int
}

const migrated = "bench_migrated"

func newRig(ctx context.Context, o Options) (*rig, error) {
	log := &logTap{}
	folder, err := os.MkdirTemp("", "thaw-bench-")
	if err != nil {
		return nil, err
	}
	preloaded, err := preload(ctx, folder, o.Flush)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	server, err := localpg.Start(ctx, localpg.Options{Durable: true, Settings: serverSettings, Log: log, Environment: preloaded})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting postgres: %w", err), os.RemoveAll(folder))
	}
	r := &rig{server: server, options: o, log: log, peers: findPeers(ctx, o), folder: folder}
	if err := r.setUp(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) setUp(ctx context.Context) (err error) {
	if r.admin, err = pgx.Connect(ctx, r.server.URL("")); err != nil {
		return fmt.Errorf("connecting to postgres: %w", err)
	}
	if r.tools, err = findTools(ctx, r.admin); err != nil {
		return err
	}
	if r.environment, err = readEnvironment(ctx, r.admin, r.server.Version()); err != nil {
		return err
	}
	r.environment.Flush = r.options.Flush
	if err := r.execute(ctx, "CREATE DATABASE "+migrated); err != nil {
		return err
	}
	db, err := r.open(ctx, migrated)
	if err != nil {
		return err
	}
	defer db.Close()
	migrator, err := schema.NewMigrator(db.Pool, "", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer migrator.Close()
	if _, err := migrator.Up(ctx); err != nil {
		return err
	}
	// Benchmarks disconnect thousands of accounts, which must not trigger safety mode or flapping.
	const noMonitor = "UPDATE thaw.settings SET safety_accounts = 1000000, flap_limit = 0;"
	_, err = db.Exec(ctx, noMonitor+benchSchema, pgx.QueryExecModeSimpleProtocol)
	return err
}

func (r *rig) close() error {
	if r.admin != nil {
		_ = r.admin.Close(context.Background()) // the server is stopped next
	}
	return errors.Join(r.server.Close(), os.RemoveAll(r.folder))
}

// execute runs statements outside of the benchmark databases.
func (r *rig) execute(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := r.admin.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// fill creates a database for a benchmark: migrated, loaded with load, vacuumed and checkpointed.
func (r *rig) fill(ctx context.Context, name string, load func(*database) error) error {
	return r.copied(ctx, migrated, name, func(db *database) error {
		if err := db.nameTick(ctx); err != nil {
			return err
		}
		if err := load(db); err != nil {
			return fmt.Errorf("loading: %w", err)
		}
		return db.settle(ctx, "VACUUM (ANALYZE)")
	})
}

// round passes do the database of one round: a copy of the loaded one, or that database itself.
func (r *rig) round(ctx context.Context, loaded string, keep bool, do func(*database) error) error {
	if keep {
		db, err := r.open(ctx, loaded)
		if err != nil {
			return err
		}
		defer db.Close()
		return do(db)
	}
	return r.fresh(ctx, loaded, do)
}

// fresh passes do a copy of a database and drops it afterwards.
func (r *rig) fresh(ctx context.Context, template string, do func(*database) error) (err error) {
	r.databases++
	name := fmt.Sprintf("bench_copy_%d", r.databases)
	defer func() { err = errors.Join(err, r.drop(context.WithoutCancel(ctx), name)) }()
	return r.copied(ctx, template, name, do)
}

// own gives a variant its own copy of the round's database, for variants that change the same rows.
func (r *rig) own(do func(context.Context, *database) (sample, error)) func(context.Context, *database, int) (sample, error) {
	return func(ctx context.Context, shared *database, _ int) (got sample, err error) {
		name := shared.Config().ConnConfig.Database
		shared.Reset() // a database with open connections cannot be copied
		err = r.fresh(ctx, name, func(db *database) error {
			if err := db.settle(ctx); err != nil {
				return err
			}
			got, err = do(ctx, db)
			return err
		})
		return got, err
	}
}

// copied passes do a copy of a database that is read into the cache.
func (r *rig) copied(ctx context.Context, template, name string, do func(*database) error) error {
	if err := r.execute(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY FILE_COPY"); err != nil {
		return err
	}
	db, err := r.open(ctx, name)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.warm(ctx); err != nil {
		return err
	}
	return do(db)
}

func (r *rig) drop(ctx context.Context, name string) error {
	return r.execute(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
}

// countsByStatement is a setting of the sessions of Thaw's own processes.
const countsByStatement = "thaw.counts_by_statement"

func (r *rig) open(ctx context.Context, name string) (*database, error) {
	config, err := pgxpool.ParseConfig(r.server.URL(name))
	if err != nil {
		return nil, err
	}
	config.MaxConns = 32
	// The raw statements insert their own history, as Thaw's functions do. This setting disables
	// the triggers that would add it.
	config.ConnConfig.RuntimeParams[countsByStatement] = "on"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &database{Pool: pool, URL: r.server.URL(name)}, nil
}

// leftOut says which variants of a benchmark are left out, and why.
func (r *rig) leftOut(b benchmark) []string {
	if !b.about().withPeers || r.peers.missing == "" {
		return nil
	}
	return []string{"without other job queues: " + r.peers.missing}
}

// Environment describes the system under test.
type Environment struct {
	Postgres string `json:"postgres"`
	System   string `json:"system"`
	Cores    int    `json:"cores"`
	// Busy is the share of the cores, 0 to 1, that other processes used in the second before the
	// start. It is negative if unknown.
	Busy     float64   `json:"busy"`
	Settings []Setting `json:"settings"`
	// Flush is the delay that was added to every WAL flush.
	Flush time.Duration `json:"flush,omitempty"`
}

// A Setting of the server.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Ours is true if the benchmark chose the value, and false if it is Postgres' default.
	Ours bool `json:"ours"`
}

// shownSettings are the settings that matter for the results.
var shownSettings = []string{
	"fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_sync_method", "shared_buffers", "max_wal_size",
	"checkpoint_timeout", "work_mem", "max_connections", "autovacuum", "jit",
}

func readEnvironment(ctx context.Context, conn *pgx.Conn, version string) (Environment, error) {
	e := Environment{Postgres: version, System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Busy: busy(ctx)}
	rows, err := conn.Query(ctx, `
		SELECT s.name, current_setting(s.name), s.setting IS DISTINCT FROM s.boot_val
		FROM unnest($1::text[]) WITH ORDINALITY AS shown (name, place)
		JOIN pg_settings AS s ON s.name = shown.name
		ORDER BY shown.place`, shownSettings)
	if err != nil {
		return e, err
	}
	e.Settings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Setting])
	return e, err
}

// String formats the environment in three lines.
func (e Environment) String() string {
	var ours, defaults []string
	for _, s := range e.Settings {
		if s.Ours {
			ours = append(ours, s.Name+" "+s.Value)
		} else {
			defaults = append(defaults, s.Name+" "+s.Value)
		}
	}
	host := fmt.Sprintf("Postgres %s, %s, %d cores", e.Postgres, e.System, e.Cores)
	if e.Busy > restless {
		host += fmt.Sprintf(", %.0f %% busy with other work: results are unreliable", e.Busy*100)
	}
	if e.Flush > 0 {
		host += fmt.Sprintf(", each WAL flush delayed by %s", e.Flush)
	}
	return fmt.Sprintf("%s\nset here: %s\ndefaults: %s", host, strings.Join(ours, ", "), strings.Join(defaults, ", "))
}

// restless is the share of the cores that other processes may use before results are unreliable.
const restless = 0.1

// busy observes the cores for a second in which this program is idle, and returns the share that
// other processes use. The load average would include earlier work such as the compilation of this
// program. Linux only.
func busy(ctx context.Context) (share float64) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return -1
	}
	before, err := proc.Stat()
	if err != nil {
		return -1
	}
	select {
	case <-ctx.Done():
		return -1
	case <-time.After(time.Second):
	}
	after, err := proc.Stat()
	if err != nil {
		return -1
	}
	return used(before.CPUTotal, after.CPUTotal)
}

// used returns the share of the time between two readings in which the cores were not idle.
func used(before, after procfs.CPUStat) float64 {
	// User time includes guest time.
	all := func(s procfs.CPUStat) float64 {
		return s.User + s.Nice + s.System + s.Idle + s.Iowait + s.IRQ + s.SoftIRQ + s.Steal
	}
	idle := func(s procfs.CPUStat) float64 { return s.Idle + s.Iowait }
	passed := all(after) - all(before)
	if passed <= 0 {
		return -1
	}
	return 1 - (idle(after)-idle(before))/passed
}
