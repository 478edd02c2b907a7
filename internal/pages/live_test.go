package pages_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watch opens the stream of changes, and returns what it says, line by line. The channel is closed
// at its end.
func (d *desk) watch(t *testing.T) <-chan string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/live", nil)
	require.NoError(t, err)
	response, err := d.web.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			if line := scanner.Text(); strings.HasPrefix(line, "event: ") {
				select {
				case lines <- line:
				case <-t.Context().Done():
					return
				}
			}
		}
	}()
	return lines
}

// Everybody who looks is told of a change; and nobody who looks keeps a process from stopping.
func TestViewersAreToldUntilTheProcessStops(t *testing.T) {
	t.Parallel()
	d := setup(t)
	first := d.watch(t)
	select {
	case line := <-first:
		require.Equal(t, "event: change", line, "what changed before the first look, too")
	case <-time.After(30 * time.Second):
		require.Fail(t, "the first look told nothing: what changed since the page was made would stay unseen")
	}
	viewers := []<-chan string{first, d.watch(t)}
	for i, viewer := range viewers {
		told := false
		require.Eventually(t, func() bool {
			d.Exec(t, "SELECT thaw.safety_enter('an incident', 'ann'), thaw.safety_exit('it is over', 'ann')")
			select {
			case line := <-viewer:
				told = line == "event: change"
			default:
			}
			return told
		}, 30*time.Second, 50*time.Millisecond, "viewer %d was told nothing", i)
	}
	d.stop()
	for _, viewer := range viewers {
		for range viewer { // until its end
		}
	}
}

// Tabs that were left open do not take all connections of a process.
func TestViewersAreBounded(t *testing.T) {
	t.Parallel()
	d := setup(t)
	open := func() *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/live", nil)
		require.NoError(t, err)
		response, err := d.web.Do(request)
		require.NoError(t, err)
		return response
	}
	var streams []*http.Response
	for range 200 {
		stream := open() //nolint:bodyclose // closed below, all of them
		require.Equal(t, http.StatusOK, stream.StatusCode)
		streams = append(streams, stream) //nolint:bodyclose // as above
	}
	refused := open()
	require.NoError(t, refused.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
	require.Equal(t, http.StatusOK, d.get(t, "/safety").status)
	for _, stream := range streams {
		require.NoError(t, stream.Body.Close())
	}
	require.Eventually(t, func() bool {
		again := open()
		defer again.Body.Close()
		return again.StatusCode == http.StatusOK
	}, 30*time.Second, 10*time.Millisecond)
}
