package chaos_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/localpg"
)

// A real process works through PgBouncer in transaction mode: a signal, a sweep and a heal.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.startOfTick() // a second sweep would resume the prospects that the heal has to find
	signalled := s.disconnectedFleet(2, 100)
	pool := startPooler(t, s.db.Direct, transactionMode)
	through := pool.to(s.db.Direct)
	p := s.serveAt(through, "--poll-only", "--jitter=1m")

	for _, id := range signalled {
		require.Equal(s, http.StatusOK, s.signal(p, account(id), "connected", delivery{}))
	}
	s.until(30*time.Second, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE waits_for_account)")

	s.fleet(2, 250)
	s.advance(15 * time.Minute)
	s.exec("SELECT thaw.sweep()")
	s.until(30*time.Second, "SELECT sum(resumed) = 400 FROM thaw.sweeps")

	heal := s.command(launch{command: "heal", options: []string{"--workspace=w1", "--wait", "--poll-only"}, url: through})
	output, err := heal.CombinedOutput()
	require.NoError(s, err, "%s", output)
	require.Zero(s, s.paused())
	require.Zero(s, value[int](s, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'"))
	s.checker(nil)
	p.stop()
	s.figure("%d transactions through PgBouncer", pool.transactions(t))
}

// All tests that use a database also pass through PgBouncer.
func TestSuiteThroughPgBouncer(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := begin(t)
	server, err := localpg.Start(t.Context(), localpg.Options{Settings: map[string]string{"max_connections": "500"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	pool := startPooler(t, server.URL(""), transactionMode)
	chosen := suite{
		// The demo creates its own database without a pooler.
		packages: slices.DeleteFunc(packages(t, "/internal/testdb"), func(path string) bool { return strings.HasSuffix(path, "/demo") }),
		env:      []string{"DATABASE_URL=" + server.URL(""), "THAW_TEST_POOLER=" + pool.url},
	}
	if !*full {
		chosen.packages, chosen.tests = []string{"./worker"}, []string{"TestConnectSignalResumesAndStartsTheCampaign", "TestTicksAreSweptWithoutLeader"}
	}
	v := chosen.run(t)
	require.NoError(t, v.err, "%s", v.complaints)
	transactions := pool.transactions(t)
	require.Positive(t, transactions)
	s.figure("%d tests of %d packages, %d transactions through PgBouncer", len(v.passed), len(chosen.packages), transactions)
	s.closing.lost = "nothing"
}

// In session mode the program works as without PgBouncer. PgBouncer rejects its startup parameters,
// so the program sets them with statements.
func TestPgBouncerInSessionMode(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	s := open(t)
	signalled := s.disconnectedFleet(2, 50)
	pool := startPooler(t, s.db.Direct, sessionMode)
	p := s.serveAt(pool.to(s.db.Direct), "--jitter=1m")
	for _, id := range signalled {
		require.Equal(s, http.StatusOK, s.signal(p, account(id), "connected", delivery{}))
	}
	s.until(30*time.Second, "SELECT NOT EXISTS (SELECT FROM thaw.enrollments WHERE waits_for_account)")
	s.checker(nil)
	p.stop()
	s.figure("%d transactions through PgBouncer", pool.transactions(t))
}

// In transaction mode without --poll-only the program explains which setting is needed. `migrate
// status` needs neither the setting nor a session lock, which would stay on a connection of the
// pooler.
func TestPgBouncerWithoutPollOnly(t *testing.T) {
	t.Parallel()
	s := open(t)
	through := startPooler(t, s.db.Direct, transactionMode).to(s.db.Direct)
	output, err := s.command(launch{url: through}).CombinedOutput()
	require.Error(s, err)
	require.Contains(s, string(output), "THAW_POLL_ONLY=true")

	output, err = s.command(launch{command: "migrate", options: []string{"status", "--poll-only"}, url: through}).CombinedOutput()
	require.NoError(s, err, "%s", output)
	require.Zero(s, value[int](s, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"))
	s.checker(nil)
}

// Pool modes of PgBouncer.
const (
	transactionMode = "transaction"
	sessionMode     = "session"
)

// A pooler is a PgBouncer in front of a server, until the test ends.
type pooler struct{ url string }

const poolerConfig = `
[databases]
* = %s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
admin_users = admin
pool_mode = %s
default_pool_size = 25
max_client_conn = 2000
; A test takes its database away, and looks whether the next connection works when it is back.
server_login_retry = 1
`

// startPooler starts PgBouncer in front of a database's server. Like Postgres, PgBouncer refuses to
// run as root.
func startPooler(t *testing.T, database, mode string) *pooler {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/pgbouncer") // Debian's path, which may not be in PATH
	}
	if err != nil && !*full && os.Getenv("CI") == "" {
		t.Skip("PgBouncer is not installed; .ci/run installs it, and tests are not skipped if CI is set") //nolint:forbidigo // not part of a usual development setup
	}
	require.NoError(t, err, "install it with: apt-get install pgbouncer")
	behind, err := pgx.ParseConfig(database)
	require.NoError(t, err)
	server := fmt.Sprintf("host=%s port=%d user=%s", behind.Host, behind.Port, behind.User)
	if behind.Password != "" {
		server += " password=" + behind.Password
	}
	port := freePort(t)

	dir, err := os.MkdirTemp("", "thaw-pgbouncer-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	config := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, poolerConfig, server, port, mode), 0o600))
	cmd := exec.Command(path, "-q", config)
	cmd.Dir = "/"
	log := &output{started: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = giveTo(t, "postgres", dir, config)
	}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := &pooler{url: fmt.Sprintf("postgres://%s@127.0.0.1:%d/?sslmode=disable", url.PathEscape(behind.User), port)}
	require.Eventually(t, func() bool { _, err := p.ask(t, "SHOW VERSION"); return err == nil }, 10*time.Second, 10*time.Millisecond,
		"PgBouncer did not respond")
	return p
}

// giveTo makes a user the owner of files, and returns the credential for running a process as that
// user.
func giveTo(t *testing.T, name string, files ...string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	require.NoError(t, err)
	uid, err := strconv.Atoi(u.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(u.Gid)
	require.NoError(t, err)
	for _, file := range files {
		require.NoError(t, os.Chown(file, uid, gid))
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// to returns the URL of a database through the pooler.
func (p *pooler) to(database string) string {
	behind, _ := pgx.ParseConfig(database)
	address, _ := url.Parse(p.url)
	return address.JoinPath(behind.Database).String()
}

// transactions counts the transactions that went through the pooler.
func (p *pooler) transactions(t *testing.T) (total int) {
	t.Helper()
	stats, err := p.ask(t, "SHOW STATS")
	require.NoError(t, err)
	for i, field := range stats.FieldDescriptions {
		if field.Name != "total_xact_count" {
			continue
		}
		for _, row := range stats.Rows {
			n, err := strconv.Atoi(string(row[i]))
			require.NoError(t, err)
			total += n
		}
	}
	return total
}

// ask runs a command on PgBouncer's admin console.
func (p *pooler) ask(t *testing.T, command string) (*pgconn.Result, error) {
	t.Helper()
	config, err := pgconn.ParseConfig(p.url)
	require.NoError(t, err)
	config.User, config.Database = "admin", "pgbouncer"
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		return nil, err
	}
	defer conn.Close(t.Context())
	results, err := conn.Exec(t.Context(), command).ReadAll()
	if err != nil {
		return nil, err
	}
	return results[0], nil
}
