package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// tools are the client programs of the server's installation.
type tools struct{ folder string }

func findTools(ctx context.Context, conn *pgx.Conn) (t tools, err error) {
	if err := conn.QueryRow(ctx, "SELECT setting FROM pg_config WHERE name = 'BINDIR'").Scan(&t.folder); err != nil {
		return t, err
	}
	for _, name := range []string{"pgbench", "psql"} {
		if _, err := os.Stat(filepath.Join(t.folder, name)); err != nil {
			return t, fmt.Errorf("%w: install Postgres' client and contrib programs", err)
		}
	}
	return t, nil
}

// command returns a command that runs one of the tools.
func (t tools) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(t.folder, name), args...)
}

// pgbench runs a script of one transaction from several clients, the same number of times each. It
// returns the time from the start of the first measured transaction to the end of the last. It does
// not count the first warmUp transactions, in which the clients connect and plan their statements.
func (t tools) pgbench(ctx context.Context, db *database, clients, transactions, warmUp int, script string) (time.Duration, error) {
	if (warmUp+transactions)%clients != 0 {
		return 0, fmt.Errorf("%d transactions cannot be shared among %d clients", warmUp+transactions, clients)
	}
	folder, err := os.MkdirTemp("", "thaw-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "script.sql")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return 0, err
	}
	cmd := t.command(ctx, "pgbench", "--no-vacuum", "--protocol", "prepared", "--file", file, "--log",
		"--log-prefix", filepath.Join(folder, "log"), "--client", strconv.Itoa(clients), "--jobs", strconv.Itoa(min(2, clients)),
		"--transactions", strconv.Itoa((warmUp+transactions)/clients), db.URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("running pgbench: %w\n%s", err, out)
	}
	logs, err := filepath.Glob(filepath.Join(folder, "log*"))
	if err != nil {
		return 0, err
	}
	var began []time.Time
	var ended time.Time
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			// Client, number, duration in microseconds, script, and end time in seconds and
			// microseconds.
			var client, number, took, script, seconds, micros int64
			if _, err := fmt.Sscan(line, &client, &number, &took, &script, &seconds, &micros); err != nil {
				return 0, fmt.Errorf("reading the log of pgbench, %q: %w", line, err)
			}
			end := time.Unix(seconds, micros*1000)
			began = append(began, end.Add(-time.Duration(took)*time.Microsecond))
			if end.After(ended) {
				ended = end
			}
		}
	}
	if len(began) != warmUp+transactions {
		return 0, fmt.Errorf("pgbench logged %d transactions, not %d", len(began), warmUp+transactions)
	}
	slices.SortFunc(began, time.Time.Compare)
	return ended.Sub(began[warmUp]), nil
}

// psql runs a script and stops at the first error.
func (t tools) psql(ctx context.Context, db *database, script string) error {
	cmd := t.command(ctx, "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", "-", "--dbname", db.URL)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running psql: %w\n%s", err, out)
	}
	return nil
}
