package chaos_test

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/testdb"
)

var (
	full       = flag.Bool("full", false, "run every scenario at its full size")
	seed       = flag.Int64("seed", 0, "random seed of all scenarios; 0 means a seed from the clock")
	reportFile = flag.String("report", "", "file to write the summary lines of all scenarios to, as a Markdown table")
)

func TestMain(m *testing.M) {
	if os.Getenv(calledSenderEnv) != "" {
		fmt.Fprintln(os.Stderr, calledSender())
		os.Exit(1)
	}
	if os.Getenv(gatedSenderEnv) != "" {
		fmt.Fprintln(os.Stderr, gatedSender())
		os.Exit(1)
	}
	flag.Parse()
	if *seed == 0 {
		*seed = time.Now().UnixMilli() % 1_000_000_000
	}
	code := m.Run()
	if err := closings.write(*reportFile); err != nil {
		fmt.Fprintln(os.Stderr, "writing the report:", err)
		code = 1
	}
	if folder, err := binaries(); err == nil {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// scale returns the value for the size of the run.
func scale[T any](small, large T) T {
	if *full {
		return large
	}
	return small
}

// notByDefault skips a scenario unless the run is at full size: with -full, or with THAW_TEST_FULL,
// as in CI. By default only a few scenarios run, so that go test ./... ends soon.
func notByDefault(t *testing.T) {
	t.Helper()
	if !*full {
		testdb.RequireFull(t)
	}
}

// A scenario is one test: its own migrated database, its processes, and the counts of injected
// faults.
type scenario struct {
	*testing.T
	seed int64
	// rand is safe for concurrent use.
	rand *rand.Rand
	db   *testdb.DB
	// url is the URL for the processes. pool is the harness's own connection pool.
	url  string
	pool *pgxpool.Pool
	// verifier is the program that runs thaw verify. Default: built from this tree.
	verifier string

	ahead     atomic.Int64 // offset of the database's clock, in nanoseconds
	processes atomic.Int64 // started so far

	mu      sync.Mutex
	faults  map[string]int
	figures []string
	closing closing
}

// open starts a scenario on a database of the shared server.
func open(t *testing.T) *scenario {
	t.Helper()
	s := begin(t)
	s.use(testdb.New(t))
	return s
}

var databases atomic.Int64

// openOn starts a scenario on a database of another server, which the scenario may restart. admin
// is the URL of the server's maintenance database. The program migrates the database, which is kept
// when the test ends.
func openOn(t *testing.T, admin string) *scenario {
	t.Helper()
	s := begin(t)
	name := fmt.Sprintf("chaos_%d", databases.Add(1))
	conn, err := pgx.Connect(t.Context(), admin)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	address, err := url.Parse(admin)
	require.NoError(t, err)
	address.Path = "/" + name
	thaw := s.command(launch{command: "migrate", options: []string{"up"}, url: address.String()})
	output, err := thaw.CombinedOutput()
	require.NoError(t, err, "%s", output)

	config, err := pgxpool.ParseConfig(address.String())
	require.NoError(t, err)
	config.MaxConns = 10
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	db := &testdb.DB{URL: address.String(), Direct: address.String(), Pool: pool}
	db.Exec(t, movableClock)
	s.use(db)
	return s
}

// movableClock is the same clock as in package testdb.
const movableClock = `
	CREATE SCHEMA thaw_test;
	CREATE TABLE thaw_test.clock (ahead interval NOT NULL);
	INSERT INTO thaw_test.clock VALUES ('0');
	CREATE OR REPLACE FUNCTION thaw.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
	RETURN pg_catalog.now() + (SELECT clock.ahead FROM thaw_test.clock);`

func begin(t *testing.T) *scenario {
	t.Helper()
	name := strings.TrimPrefix(t.Name(), "Test")
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name))
	s := &scenario{
		T: t, seed: *seed, faults: map[string]int{},
		rand:    rand.New(&lockedSource{source: rand.NewPCG(uint64(*seed), hash.Sum64())}),
		closing: closing{name: name, seed: *seed, lost: "not checked"},
	}
	began := time.Now()
	// Registered first, so it runs last, when everything has ended.
	t.Cleanup(func() {
		s.closing.took = time.Since(began)
		s.closing.did = s.did()
		if t.Failed() {
			s.closing.lost = "FAILED"
		}
		t.Log(s.closing)
		closings.add(s.closing)
	})
	return s
}

func (s *scenario) use(db *testdb.DB) {
	s.db, s.url, s.pool = db, db.Direct, db.Pool
	s.exec("CREATE TABLE thaw_test.start (enrollment_id bigint PRIMARY KEY, step integer NOT NULL, status thaw.enrollment_status NOT NULL)")
}

// advance moves the database's clock, backwards if by is negative.
func (s *scenario) advance(by time.Duration) {
	s.Helper()
	s.db.Advance(s, by)
	s.ahead.Add(int64(by))
}

// startOfTick moves the database's clock to the start of the next tick, so that no tick ends during
// the following minutes.
func (s *scenario) startOfTick() {
	s.Helper()
	s.advance(value[time.Duration](s, "SELECT thaw.tick() + settings.tick - thaw.now() FROM thaw.settings"))
}

// now returns the time of the database's clock, apart from the difference between the two hosts'
// clocks.
func (s *scenario) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// exec runs statements without arguments, or one statement with arguments.
func (s *scenario) exec(sql string, args ...any) {
	s.Helper()
	s.db.Exec(s, sql, args...)
}

// value returns the only column of the only row of a query.
func value[T any](s *scenario, sql string, args ...any) T {
	s.Helper()
	return testdb.Value[T](s, s.db, sql, args...)
}

// column returns the only column of all rows of a query.
func column[T any](s *scenario, sql string, args ...any) []T {
	s.Helper()
	return testdb.Column[T](s, s.db, sql, args...)
}

// until waits until a query returns true. The database may be unavailable meanwhile.
func (s *scenario) until(patience time.Duration, sql string, args ...any) {
	s.Helper()
	require.Eventually(s, func() bool {
		// The test's own context ends before cleanup, which may call until too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), 10*time.Second)
		defer cancel()
		var yes bool
		return s.pool.QueryRow(ctx, sql, args...).Scan(&yes) == nil && yes
	}, patience, 10*time.Millisecond, "waiting for: %s %v", sql, args)
}

// pause sleeps, or returns early when the test ends.
func (s *scenario) pause(d time.Duration) {
	select {
	case <-s.Context().Done():
	case <-time.After(d):
	}
}

// fault counts a fault for the summary line.
func (s *scenario) fault(kind string) { s.faultN(kind, 1) }

func (s *scenario) faultN(kind string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[kind] += n
}

// figure adds a measurement to the summary line, such as "p50 1.2 s".
func (s *scenario) figure(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.figures = append(s.figures, fmt.Sprintf(format, args...))
}

// did returns the counts of all faults, and the measurements.
func (s *scenario) did() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(s.faults)) {
		parts = append(parts, fmt.Sprintf("%d %s", s.faults[kind], kind))
	}
	return strings.Join(append(parts, s.figures...), ", ")
}

// A lockedSource makes a random source safe for concurrent use.
type lockedSource struct {
	mu     sync.Mutex
	source rand.Source
}

func (l *lockedSource) Uint64() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.source.Uint64()
}

// binaries returns the folder of the programs that are built.
var binaries = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "thaw-chaos-") })

// program returns the path of the thaw program.
var program = built("github.com/thawline/thaw/cmd/thaw")

// built returns a function that builds a program once per run and returns its path.
func built(pkg string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		folder, err := binaries()
		if err != nil {
			return "", err
		}
		file := filepath.Join(folder, path.Base(pkg))
		if output, err := exec.Command("go", "build", "-o", file, pkg).CombinedOutput(); err != nil {
			return file, fmt.Errorf("building %s: %w\n%s", pkg, err, output)
		}
		return file, nil
	})
}
