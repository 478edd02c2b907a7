package process

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/thawline/thaw/internal/testdb"
	"github.com/thawline/thaw/schema"
)

// A client that sends its request byte by byte is disconnected at the read timeout, so that it
// cannot make the shutdown of a process time out, which would be an error.
func TestSlowClientDoesNotKeepAProcessFromStopping(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	arrived := make(chan struct{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	stopping, stop := context.WithCancel(t.Context())
	var group errgroup.Group
	serve(t.Context(), stopping, &group, listener, handler, 200*time.Millisecond, 30*time.Second)

	client, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	_, err = io.WriteString(client, "POST / HTTP/1.1\r\nHost: thaw\r\nContent-Length: 1000000\r\n\r\n")
	require.NoError(t, err)
	go func() {
		for every := time.Tick(10 * time.Millisecond); ; <-every {
			if _, err := client.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
	<-arrived
	stop()
	require.NoError(t, group.Wait())
}

// A process that was asked to stop reports it to load balancers and asks clients to connect
// elsewhere, while it serves requests for the time of the delay.
func TestShutdownDelay(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	migrator, err := schema.NewMigrator(db.Pool, schema.Name, testdb.Logger(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = migrator.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	queue, err := pgxpool.NewWithConfig(t.Context(), db.Pool.Config())
	require.NoError(t, err)
	t.Cleanup(queue.Close)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{
			Pools:       Pools{Webhooks: db.Pool, Queue: queue, Reads: db.Pool},
			RiverSchema: schema.Name, Migrator: migrator, DrainFor: 30 * time.Second, Logger: testdb.Logger(t),
			Web: &Web{Listener: listener, ShutdownDelay: 3 * time.Second},
		})
	}()
	get := func(path string) (status int, closes bool, body string) {
		response, err := http.Get("http://" + listener.Addr().String() + path)
		require.NoError(t, err)
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, response.Close, string(content)
	}
	status, closes, _ := get("/readyz")
	require.Equal(t, http.StatusOK, status)
	require.False(t, closes)

	stop()
	status, closes, body := get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.JSONEq(t, `{"ready":false,"checks":{"process":"stopping: send requests to another process"}}`, body)
	require.True(t, closes)
	status, closes, _ = get("/")
	require.Equal(t, http.StatusOK, status)
	require.True(t, closes)
	require.NoError(t, <-ended)
	_, err = net.Dial("tcp", listener.Addr().String())
	require.Error(t, err)
}

// A process stops with one error if its schema is rolled back, instead of failing job by job. A
// newer schema is a rolling upgrade and does not stop it.
func TestStopsWhenTheSchemaIsRolledBack(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	migrator, err := schema.NewMigrator(db.Pool, "", testdb.Logger(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = migrator.Close() })
	db.Exec(t, "INSERT INTO thaw.goose_db_version (version_id, is_applied) VALUES (9999, true)")
	require.ErrorIs(t, migrator.Check(t.Context()), schema.ErrNewer)

	ended := make(chan error, 1)
	go func() { ended <- watchSchema(t.Context(), migrator, time.Millisecond, testdb.Logger(t)) }()
	select {
	case err := <-ended:
		t.Fatalf("a newer schema stopped the process: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	db.Exec(t, "INSERT INTO thaw.goose_db_version (version_id, is_applied) SELECT max(version_id), false FROM thaw.goose_db_version WHERE version_id < 9999")
	err = <-ended
	require.ErrorIs(t, err, schema.ErrPending)
	require.ErrorContains(t, err, "rolled back below the version that this process needs")
}
