package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/internal/webhook"
)

// TestMain lets scripts run this test binary as thaw.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"thaw": main})
}

// TestScripts runs each script in testdata/script on its own migrated, empty database.
// THAW_DATABASE_URL is the URL of the database, DIRECT_URL the same without the pooler (see package
// testdb), and ADDR an unused address. The clock of the database is set to the start of a tick, so
// that no tick ends while a script runs. The working directory has testdata/fleet.csv.
//
// The condition full is true at full size. By default a script stops after its main part, because
// each command is a process and has to connect.
//
// Additional commands:
//
//	emptydb                   switches to another database, without a schema
//	sql STATEMENT             runs a statement on the database and prints what it returns
//	sqluntil LINE QUERY       repeats a query until it returns this line
//	hold STATEMENT            runs a statement in a transaction that holds its locks until release
//	exits CODE COMMAND…       runs a program and requires this exit code
//	until WORDS COMMAND…      repeats a program until its output contains the words
//	httpget STATUS PATH       repeats a GET at ADDR until it returns this status, and prints the body
//	httppost STATUS PATH FILE posts a file to ADDR and prints the body. The request is signed with
//	                          "s3cret-of-the-scripts" for Unipile v1 and v2.
//	receive                   starts a server at the URL in RECEIVER; path /204 returns status 204, and so on
//	publish                   serves the files of the script at the URL in PUBLISHER; requires the token in RECORD_TOKEN
//	sigterm                   sends SIGTERM to the background programs
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setupScript,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Condition: func(name string) (bool, error) {
			if name == "full" {
				return testdb.Full(), nil
			}
			return false, fmt.Errorf("unknown condition %s", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"emptydb": emptyDB, "sql": sql, "sqluntil": sqlUntil, "hold": hold, "release": release, "exits": exits, "until": until, "httpget": httpGet, "httppost": httpPost, "receive": receive, "publish": publish, "sigterm": sigterm,
		},
	})
}

// Keys of the script environment: its testing.TB, and the connection of hold.
type (
	tbKey   struct{}
	heldKey struct{}
)

func setupScript(e *testscript.Env) error {
	t, ok := e.T().(testing.TB)
	if !ok {
		return errors.New("not run by go test")
	}
	e.Values[tbKey{}] = t
	e.Values[heldKey{}] = new(*pgx.Conn)
	db := testdb.New(t)
	db.Exec(t, "UPDATE thaw_test.clock SET ahead = thaw.tick(pg_catalog.now()) + '15 minutes' - pg_catalog.now()")
	e.Setenv("THAW_DATABASE_URL", db.URL)
	e.Setenv("DIRECT_URL", db.Direct)
	if db.PollOnly {
		e.Setenv("THAW_POLL_ONLY", "yes")
	}
	// By default the race detector sleeps for a second before a program exits.
	e.Setenv("GORACE", "atexit_sleep_ms=0")
	address, err := freeAddress()
	if err != nil {
		return err
	}
	e.Setenv("ADDR", address)
	fleet, err := os.ReadFile("testdata/fleet.csv")
	if err != nil {
		return err
	}
	for _, days := range []int{30, 90} {
		e.Setenv(fmt.Sprintf("IN_%d_DAYS", days), time.Now().UTC().AddDate(0, 0, days).Format("2006-01-02T15:04:05Z"))
	}
	return os.WriteFile(filepath.Join(e.WorkDir, "fleet.csv"), fleet, 0o600)
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func emptyDB(ts *testscript.TestScript, _ bool, _ []string) {
	empty := testdb.NewEmpty(ts.Value(tbKey{}).(testing.TB))
	ts.Setenv("THAW_DATABASE_URL", empty.URL)
	ts.Setenv("DIRECT_URL", empty.Direct)
}

func sql(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sql STATEMENT")
	}
	fmt.Fprint(ts.Stdout(), query(ts, args[0]))
}

func sqlUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sqluntil LINE QUERY")
	}
	wait(ts, args[0], func() bool { return query(ts, args[1]) == args[0]+"\n" })
}

// query returns the rows of a statement, one per line.
func query(ts *testscript.TestScript, statement string) string {
	ctx := context.Background()
	conn := connect(ts)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, statement)
	ts.Check(err)
	var lines strings.Builder
	for rows.Next() {
		values, err := rows.Values()
		ts.Check(err)
		fmt.Fprintln(&lines, values...)
	}
	ts.Check(rows.Err())
	return lines.String()
}

func connect(ts *testscript.TestScript) *pgx.Conn {
	conn, err := pgx.Connect(context.Background(), ts.Getenv("DIRECT_URL"))
	ts.Check(err)
	return conn
}

func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold STATEMENT")
	}
	conn := connect(ts)
	ts.Defer(func() { _ = conn.Close(context.Background()) })
	*ts.Value(heldKey{}).(**pgx.Conn) = conn
	_, err := conn.Exec(context.Background(), "BEGIN; "+args[0])
	ts.Check(err)
}

func release(ts *testscript.TestScript, neg bool, args []string) {
	conn := *ts.Value(heldKey{}).(**pgx.Conn)
	if neg || len(args) != 0 || conn == nil {
		ts.Fatalf("usage: hold STATEMENT, then release")
	}
	ts.Check(conn.Close(context.Background()))
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// patience is how long a script waits for a condition.
const patience = 30 * time.Second

// wait polls until look succeeds, and fails the script after patience.
func wait(ts *testscript.TestScript, what string, look func() bool) {
	deadline := time.Now().Add(patience)
	for !look() {
		if time.Now().After(deadline) {
			ts.Fatalf("%q not found within %s", what, patience)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until WORDS COMMAND…")
	}
	wait(ts, args[0], func() bool {
		ts.Check(ts.Exec(args[1], args[2:]...))
		return strings.Contains(ts.ReadFile("stdout"), args[0])
	})
}

func httpGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: httpget STATUS PATH")
	}
	wait(ts, "status "+args[0], func() bool {
		status, body, ok := request(ts, http.MethodGet, args[1], "")
		if !ok || status != args[0] {
			return false
		}
		fmt.Fprint(ts.Stdout(), body)
		return true
	})
}

func httpPost(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: httppost STATUS PATH FILE")
	}
	status, body, ok := request(ts, http.MethodPost, args[1], ts.ReadFile(args[2]))
	if !ok || status != args[0] {
		ts.Fatalf("status %s, want %s: %s", status, args[0], body)
	}
	fmt.Fprint(ts.Stdout(), body)
}

// request sends a request to ADDR. It returns ok false if there was no response.
func request(ts *testscript.TestScript, method, path, body string) (status, responseBody string, ok bool) {
	request, err := http.NewRequest(method, "http://"+ts.Getenv("ADDR")+path, strings.NewReader(body))
	ts.Check(err)
	request.Header.Set("Unipile-Auth", "s3cret-of-the-scripts")
	request.Header.Set("unipile-signature", webhook.SignUnipileV2("s3cret-of-the-scripts", time.Now(), []byte(body)))
	client := http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err.Error(), false
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	ts.Check(err)
	return strconv.Itoa(response.StatusCode), string(content), true
}

func receive(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: receive")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	ts.Defer(server.Close)
	ts.Setenv("RECEIVER", server.URL)
}

func publish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: publish")
	}
	files := http.FileServer(http.Dir(ts.Getenv("WORK")))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+recordToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		files.ServeHTTP(w, r)
	}))
	ts.Defer(server.Close)
	ts.Setenv("PUBLISHER", server.URL)
	ts.Setenv("RECORD_TOKEN", recordToken)
}

func sigterm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: sigterm")
	}
	for _, running := range ts.BackgroundCmds() {
		ts.Check(running.Process.Signal(syscall.SIGTERM))
	}
}
