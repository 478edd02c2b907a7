package localpg

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	patience = 30 * time.Second
	interval = 10 * time.Millisecond
)

func TestStartAnswersQueries(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := start(t, Options{Log: &log})

	require.True(t, s.Private())
	require.Regexp(t, `^\d+(\.\d+|beta\d+|rc\d+|devel)$`, s.Version())
	conn := connect(t, s.URL(""))
	require.Equal(t, "postgres", queryOne(t, conn, "SELECT current_database()"))
	require.Equal(t, s.Version(), strings.Fields(queryOne(t, conn, "SHOW server_version"))[0])

	_, err := conn.Exec(t.Context(), `CREATE DATABASE "a b"`)
	require.NoError(t, err)
	require.Equal(t, "a b", queryOne(t, connect(t, s.URL("a b")), "SELECT current_database()"))

	require.NoError(t, s.Close())
	require.Contains(t, log.String(), "database system is ready to accept connections")
}

func TestURLWorksInPsql(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	psql := findPsql(t, s.cluster.bin.dir)
	for _, database := range []string{"", "template1"} {
		out, err := exec.Command(psql, "-XAtc", "SELECT current_database()", s.URL(database)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, cmp.Or(database, maintenanceName), strings.TrimSpace(string(out)))
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Settings: map[string]string{"max_connections": "17", "port": "1"}})
	conn := connect(t, s.URL(""))
	require.Equal(t, "17", queryOne(t, conn, "SHOW max_connections"), "settings of the caller override the defaults")
	require.Equal(t, "5432", queryOne(t, conn, "SHOW port"), "except for the address of the server")
	require.Equal(t, "UTC", queryOne(t, conn, "SHOW timezone"))
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		require.Equal(t, "off", queryOne(t, conn, "SHOW "+name), name)
	}
}

func TestDurableKeepsPostgresDefaults(t *testing.T) {
	t.Parallel()
	conn := connect(t, start(t, Options{Durable: true}).URL(""))
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		require.Equal(t, "on", queryOne(t, conn, "SHOW "+name), name)
	}
}

func TestTwoServersAtOnce(t *testing.T) {
	t.Parallel()
	servers := make([]*Server, 2)
	errs := make(chan error, len(servers))
	for i := range servers {
		go func() {
			var err error
			servers[i], err = Start(t.Context(), Options{})
			errs <- err
		}()
	}
	for range servers {
		require.NoError(t, <-errs)
	}
	for i, s := range servers {
		t.Cleanup(func() { assert.NoError(t, s.Close()) })
		_, err := connect(t, s.URL("")).Exec(t.Context(), fmt.Sprintf("CREATE DATABASE only_in_%d", i))
		require.NoError(t, err)
	}
	const mine = "SELECT string_agg(datname, ',') FROM pg_database WHERE datname LIKE 'only_in_%'"
	for i, s := range servers {
		require.Equal(t, fmt.Sprintf("only_in_%d", i), queryOne(t, connect(t, s.URL("")), mine))
	}
	require.NoError(t, servers[0].Close())
	require.Equal(t, "1", queryOne(t, connect(t, servers[1].URL("")), "SELECT '1'"))
}

func TestCloseRemovesEverything(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	conn := connect(t, s.URL("")) // an open connection must not delay Close
	f := traces(t, conn, s.cluster.folder, s.cluster.postgres.Process.Pid)

	require.NoError(t, s.Close())
	require.Empty(t, f.left())
	require.NoError(t, s.Close(), "closing twice is allowed")
}

// If the watcher was killed, Close neither hangs nor leaves anything behind.
func TestCloseAfterWatcherIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	f := traces(t, connect(t, s.URL("")), s.cluster.folder, s.cluster.postgres.Process.Pid)

	require.NoError(t, s.cluster.watcher.shell.Process.Kill())
	require.NoError(t, s.Close())
	require.Empty(t, f.left())
}

// A stopped process handles no signal except SIGKILL until it is continued.
func TestCloseStoppedServer(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	f := traces(t, connect(t, s.URL("")), s.cluster.folder, s.cluster.postgres.Process.Pid)

	require.NoError(t, s.cluster.postgres.Process.Signal(syscall.SIGSTOP))
	require.NoError(t, s.Close())
	require.Empty(t, f.left())
}

func TestKilledOwnerLeavesNothing(t *testing.T) {
	t.Parallel()
	o := startOwner(t, "")
	r := o.report(t)
	f := traces(t, connect(t, r.URL), r.Folder, r.PID)
	require.NotEmpty(t, f.left(), "the footprint exists while the owner runs")

	o.kill()
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Empty(c, f.left()) }, patience, interval)
}

// The server that fills the data folder would be killed by any signal and leave its shared memory
// behind.
func TestOwnerKilledDuringInitdbLeavesNothing(t *testing.T) {
	t.Parallel()
	tempDir := publicFolder(t, t.TempDir())
	begin := time.Now()
	o := startOwner(t, tempDir)
	require.Eventually(t, func() bool {
		tables, err := filepath.Glob(filepath.Join(tempDir, "thaw-pg-*", "data", "base", "1", "[0-9]*"))
		return err == nil && len(tables) > 0
	}, patience, time.Millisecond, "initdb created no tables")

	o.kill()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		entries, err := os.ReadDir(tempDir)
		assert.NoError(c, err)
		assert.Empty(c, entries)
		for _, s := range sharedMemory() {
			assert.False(c, s.attached == 0 && s.created >= begin.Unix(), "unused segment %+v", s)
		}
	}, patience, interval)
}

// Ctrl-C signals the whole process group of the terminal. It must not end the server.
func TestTerminalInterruptDoesNotEndServer(t *testing.T) {
	t.Parallel()
	o := startOwner(t, "")
	r := o.report(t)

	for range 3 {
		require.NoError(t, syscall.Kill(-o.cmd.Process.Pid, syscall.SIGINT))
		require.Equal(t, "1", o.line(t))
	}
	require.True(t, running(r.PID))
}

func TestLongTemporaryFolderUsesPort(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 25))
	require.NoError(t, os.Mkdir(long, 0o700))
	s, err := startIn(t.Context(), publicFolder(t, long), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })

	conn := connect(t, s.URL(""))
	require.Equal(t, "127.0.0.1", queryOne(t, conn, "SHOW listen_addresses"))
	_, err = pgx.Connect(t.Context(), strings.Replace(s.URL(""), s.cluster.password, "guess", 1))
	require.ErrorContains(t, err, "password authentication failed")

	f := traces(t, conn, s.cluster.folder, s.cluster.postgres.Process.Pid)
	require.NoError(t, s.Close())
	require.Empty(t, f.left())
}

func TestFailedStartShowsLogAndLeavesNothing(t *testing.T) {
	t.Parallel()
	tempDir := publicFolder(t, t.TempDir())
	_, err := startIn(t.Context(), tempDir, Options{Settings: map[string]string{"no_such_setting": "1"}})
	require.ErrorIs(t, err, errExited)
	require.ErrorContains(t, err, `unrecognized configuration parameter "no_such_setting"`)
	requireEmptyFolder(t, tempDir)
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	tempDir := publicFolder(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := startIn(ctx, tempDir, Options{})
	require.ErrorIs(t, err, context.Canceled)
	requireEmptyFolder(t, tempDir)
}

func TestContextLimitsStartOnly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Options{InMemory: true, Contents: nothing})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	cancel()
	require.Equal(t, "1", queryOne(t, connect(t, s.URL("")), "SELECT '1'"))
}

func TestOpenUsesDatabaseURL(t *testing.T) {
	private := start(t, Options{})
	t.Setenv("DATABASE_URL", private.URL("template1"))

	s, err := Open(t.Context(), Options{})
	require.NoError(t, err)
	require.False(t, s.Private())
	require.Equal(t, private.Version(), s.Version())
	require.Equal(t, private.URL("template1"), s.URL(""))
	require.Equal(t, "postgres", queryOne(t, connect(t, s.URL("postgres")), "SELECT current_database()"))

	require.NoError(t, s.Close())
	require.Equal(t, "1", queryOne(t, connect(t, private.URL("")), "SELECT '1'"), "Close must not stop the server")
}

func TestOpenErrorNamesDatabaseURL(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://nobody@/nothing?host=/no/such/folder")
	_, err := Open(t.Context(), Options{})
	require.ErrorContains(t, err, "DATABASE_URL")
	require.ErrorContains(t, err, "/no/such/folder")
}

func TestOpenWithoutDatabaseURLStartsPrivateServer(t *testing.T) {
	t.Setenv("DATABASE_URL", "")
	s, err := Open(t.Context(), Options{InMemory: true, Contents: nothing})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	require.True(t, s.Private())
}

// findPsql returns the psql of an installation. PATH may not contain it.
func findPsql(t *testing.T, dir string) string {
	t.Helper()
	if psql, err := exec.LookPath("psql"); err == nil {
		return psql
	}
	postgres, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	require.NoError(t, err)
	return filepath.Join(filepath.Dir(postgres), "psql")
}

// nothing are the contents of most servers in these tests: the second one starts with a copy, which
// takes less time than initdb.
var nothing = &Contents{Key: "nothing", Fill: func(context.Context, *Server) error { return nil }}

// start starts a server until the test ends. Its data folder is in memory.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Contents == nil {
		o.Contents = nothing
	}
	o.InMemory = true
	s, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// queryOne returns the text result of a query.
func queryOne(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var text string
	require.NoError(t, conn.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&text))
	return text
}

// publicFolder makes a test folder and its parent accessible to all users, because root's server
// runs as another user.
func publicFolder(t *testing.T, folder string) string {
	t.Helper()
	for dir := folder; dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	return folder
}

func requireEmptyFolder(t *testing.T, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, entries)
}
