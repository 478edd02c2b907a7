package process

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// serveHere serves handler with the limits of a process until the test ends.
func serveHere(t *testing.T, handler http.Handler) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	stopping, stop := context.WithCancel(t.Context())
	var group errgroup.Group
	serve(context.WithoutCancel(t.Context()), stopping, &group, listener, handler, readTimeout, 30*time.Second)
	t.Cleanup(func() {
		stop()
		require.NoError(t, group.Wait())
	})
	return listener.Addr().String()
}

func get(t *testing.T, address string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

// A client that opens the maximum number of connections and never finishes its headers does not
// block others. Its oldest connection is closed.
func TestUnfinishedHeadersDoNotBlockOthers(t *testing.T) {
	t.Parallel()
	address := serveHere(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var first net.Conn
	for i := range 2 * maxConnections {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: thaw\r\nX-Slow: "+strings.Repeat("x", 100))
		require.NoError(t, err)
		if i == 0 {
			first = conn
		}
	}
	require.Equal(t, http.StatusOK, get(t, address))
	require.NoError(t, first.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err := first.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	var timeout net.Error
	require.False(t, asTimeout(err, &timeout), "the oldest connection is closed: %v", err)
}

func asTimeout(err error, into *net.Error) bool {
	found, ok := err.(net.Error) //nolint:errorlint // what Read returns, as it is
	*into = found
	return ok && found.Timeout()
}

func TestLongHeadersAreRefused(t *testing.T) {
	t.Parallel()
	address := serveHere(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	go func() {
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: thaw\r\n")
		for i := range 200 {
			if _, err := fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	}()
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "431")
}

// A new connection does not close one with a running request.
func TestRunningRequestsAreKept(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	bounded := boundConnections(listener, 2)
	arrived, end := make(chan struct{}, 2), make(chan struct{})
	web := &http.Server{ConnContext: bounded.context, ConnState: bounded.answered, Handler: bounded.marking(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-end
	}))}
	var serving errgroup.Group
	serving.Go(func() error { return web.Serve(bounded) })
	var asking errgroup.Group
	for range 2 {
		asking.Go(func() error {
			response, err := http.Get("http://" + listener.Addr().String())
			if err == nil {
				_ = response.Body.Close()
			}
			return err
		})
	}
	<-arrived
	<-arrived
	third, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer third.Close()
	close(end)
	require.NoError(t, asking.Wait())
	require.NoError(t, web.Shutdown(t.Context()))
	require.ErrorIs(t, serving.Wait(), http.ErrServerClosed)
}
