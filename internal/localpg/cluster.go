package localpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

const (
	superuser       = "postgres"
	maintenanceName = "postgres"
	socketPort      = 5432 // part of the file name of the socket; each cluster has its own folder
	// maxSocketPath is the maximum length of a unix socket path in bytes: 103 on macOS (107 on
	// Linux).
	maxSocketPath = 103
	portAttempts  = 5
)

// cluster has the folder and the processes of a private server.
type cluster struct {
	bin      binaries
	folder   string     // owned by the user of the server; has the data and the socket
	runAs    *user.User // nil: our own user
	watcher  *watcher
	port     int
	password string // "" with a unix socket, which the mode of the folder protects

	postgres *exec.Cmd // nil before the start
	log      *logTail
	exited   chan struct{} // closed when the postmaster and all of its children have ended
}

// newCluster creates the folder of a cluster and starts its watcher.
func newCluster(tempDir string, bin binaries) (*cluster, error) {
	runAs, err := serverUser()
	if err != nil {
		return nil, err
	}
	tempDir, err = filepath.Abs(tempDir)
	if err != nil {
		return nil, fmt.Errorf("temporary folder: %w", err)
	}
	folder, err := os.MkdirTemp(tempDir, "thaw-pg-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("creating a folder for Postgres: %w", err)
	}
	c := &cluster{bin: bin, folder: folder, runAs: runAs, port: socketPort}
	if len(filepath.Join(folder, ".s.PGSQL."+strconv.Itoa(socketPort))) > maxSocketPath {
		c.password = rand.Text()
	}
	if c.watcher, err = startWatcher(folder); err != nil {
		return nil, errors.Join(err, os.Remove(folder))
	}
	if runAs != nil {
		if err := chown(folder, runAs); err != nil {
			return nil, errors.Join(fmt.Errorf("changing the owner of the folder to user %s: %w", runAs.Username, err), c.close())
		}
	}
	return c, nil
}

// serverUser returns the user that runs the server, or nil for the current user.
func serverUser() (*user.User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return u, nil
		}
	}
	return nil, errors.New("cannot start Postgres: it refuses to run as root, and there is no user postgres or nobody: create one of them, or set DATABASE_URL to a running server")
}

func (c *cluster) onSocket() bool { return c.password == "" }

func (c *cluster) dataFolder() string { return filepath.Join(c.folder, "data") }

// connString returns the URL of the maintenance database.
func (c *cluster) connString() string {
	u := url.URL{Scheme: "postgres", Path: "/" + maintenanceName}
	// Set all parameters, so that PGPORT and PGSSLMODE in the environment have no effect.
	query := url.Values{"sslmode": {"disable"}}
	if c.onSocket() {
		u.User = url.User(superuser)
		query.Set("host", c.folder)
		query.Set("port", strconv.Itoa(c.port))
	} else {
		u.User = url.UserPassword(superuser, c.password)
		u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
	}
	u.RawQuery = encodeQuery(query)
	return u.String()
}

// start creates the data folder, starts the server, and returns its version when it answers.
func (c *cluster) start(ctx context.Context, o Options) (version string, err error) {
	if err := c.initdb(ctx); err != nil {
		return "", err
	}
	if c.onSocket() {
		return c.run(ctx, o)
	}
	// Another process may have taken the free port in the meantime: try another one.
	for range portAttempts {
		if c.port, err = freePort(); err != nil {
			return "", err
		}
		if version, err = c.run(ctx, o); !errors.Is(err, errExited) {
			break
		}
	}
	return version, err
}

// initdb creates the data folder.
func (c *cluster) initdb(ctx context.Context) error {
	args := []string{
		"--pgdata", c.dataFolder(), "--username", superuser, "--encoding", "UTF8", "--locale", "C",
		"--no-sync", "--no-instructions",
	}
	if c.onSocket() {
		args = append(args, "--auth", "trust")
	} else {
		file := filepath.Join(c.folder, "password")
		if err := c.writeFile(file, c.password); err != nil {
			return err
		}
		args = append(args, "--auth", "scram-sha-256", "--pwfile", file)
	}
	cmd, err := c.command(ctx, "initdb", args...)
	if err != nil {
		return err
	}
	// The server that fills the data folder handles no signals. If it is killed, it does not remove
	// its shared memory. So the watcher waits for it, which takes less than a second.
	c.watcher.await(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("running %s%s: %w\n%s", cmd.Path, c.asUser(), err, out)
	}
	return nil
}

var errExited = errors.New("postgres exited")

// run starts the server and returns its version when it answers, or errExited if it exits first.
func (c *cluster) run(ctx context.Context, o Options) (string, error) {
	// The server outlives ctx, which limits the start only.
	cmd, err := c.command(context.WithoutCancel(ctx), "postgres", append([]string{"-D", c.dataFolder()}, c.settings(o)...)...)
	if err != nil {
		return "", err
	}
	cmd.Env = append(cmd.Env, o.Environment...)
	c.watcher.end(cmd)
	c.log = &logTail{}
	cmd.Stdout = c.log
	if o.Log != nil {
		cmd.Stdout = io.MultiWriter(c.log, o.Log)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("starting %s%s: %w", cmd.Path, c.asUser(), err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // the log has the reason
	}()
	c.postgres, c.exited = cmd, exited
	return c.ready(ctx)
}

// ready tries to connect until the server answers, and returns its version.
func (c *cluster) ready(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		version, err := serverVersion(ctx, c.connString())
		if err == nil {
			return version, nil
		}
		select {
		case <-c.exited:
			return "", fmt.Errorf("starting postgres: %w; the end of its log:\n%s", errExited, c.log)
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for postgres to answer: %w (%w); the end of its log:\n%s", ctx.Err(), err, c.log)
		case <-retry.C:
		}
	}
}

// settings returns the command-line settings of the server. For duplicates the last one counts.
func (c *cluster) settings(o Options) []string {
	listen := map[string]string{"port": strconv.Itoa(c.port), "listen_addresses": "", "unix_socket_directories": c.folder}
	if !c.onSocket() {
		listen["listen_addresses"], listen["unix_socket_directories"] = "127.0.0.1", ""
	}
	var args []string
	for _, settings := range []map[string]string{defaultSettings(o.Durable), o.Settings, listen} {
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			args = append(args, "-c", name+"="+settings[name])
		}
	}
	return args
}

// defaultSettings are the settings that differ from those of initdb. The logging collector is off,
// because with it, which some packages enable, the log would not be readable here.
func defaultSettings(durable bool) map[string]string {
	settings := map[string]string{
		"max_connections":   "200",
		"jit":               "off",
		"timezone":          "UTC",
		"log_timezone":      "UTC",
		"log_destination":   "stderr",
		"logging_collector": "off",
	}
	if !durable {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
	}
	return settings
}

// command returns a command of the binaries that runs as the user of the server.
func (c *cluster) command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin.dir, name), args...)
	cmd.Dir = c.folder // the user of the server may have no access to the current folder
	// On macOS the server does not start if the locale is not installed.
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = 10 * time.Second
	if c.runAs != nil {
		uid, gid, err := ids(c.runAs)
		if err != nil {
			return nil, err
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	}
	return cmd, nil
}

// asUser names the user of a command in errors, if it is not the current user.
func (c *cluster) asUser() string {
	if c.runAs == nil {
		return ""
	}
	return " as user " + c.runAs.Username
}

// writeFile writes a file that only the user of the server can read.
func (c *cluster) writeFile(name, content string) error {
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		return err // contains the file name
	}
	if c.runAs == nil {
		return nil
	}
	return chown(name, c.runAs)
}

// close stops the server and removes the folder.
func (c *cluster) close() error {
	err := c.watcher.close()
	if err != nil {
		// The watcher was killed, so do its work here.
		if c.postgres != nil {
			_ = c.postgres.Process.Signal(syscall.SIGQUIT) // fails only if the process has ended
		}
	}
	if c.exited != nil {
		<-c.exited
	}
	if err != nil {
		if err := os.RemoveAll(c.folder); err != nil {
			return fmt.Errorf("removing the folder of Postgres: %w", err)
		}
	}
	return nil
}

// freePort returns a currently unused loopback port.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func chown(name string, u *user.User) error {
	uid, gid, err := ids(u)
	if err != nil {
		return err
	}
	return os.Chown(name, int(uid), int(gid))
}

func ids(u *user.User) (uid, gid uint32, err error) {
	userID, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("id of user %s: %w", u.Username, err)
	}
	groupID, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("group of user %s: %w", u.Username, err)
	}
	return uint32(userID), uint32(groupID), nil
}
