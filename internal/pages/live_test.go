package pages_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watch opens the event stream and returns its event lines. The channel is closed when the stream
// ends.
func (d *dashboard) watch(t *testing.T) <-chan string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+"/live", nil)
	require.NoError(t, err)
	response, err := d.Web.Do(request)
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

// Every viewer is notified of a change, and open streams do not keep a process from stopping.
func TestViewersAreNotifiedUntilTheProcessStops(t *testing.T) {
	t.Parallel()
	d := setup(t)
	first := d.watch(t)
	select {
	case line := <-first:
		require.Equal(t, "event: change", line, "changes before the first check are announced too")
	case <-time.After(30 * time.Second):
		require.Fail(t, "no event after the first check: changes since the page was made would be missed")
	}
	viewers := []<-chan string{first, d.watch(t)}
	for i, viewer := range viewers {
		notified := false
		require.Eventually(t, func() bool {
			d.Exec(t, "SELECT thaw.safety_enter('an incident', 'ann'), thaw.safety_exit('it is over', 'ann')")
			select {
			case line := <-viewer:
				notified = line == "event: change"
			default:
			}
			return notified
		}, 30*time.Second, 50*time.Millisecond, "viewer %d was not notified", i)
	}
	d.Stop()
	for _, viewer := range viewers {
		for range viewer { // until the stream ends
		}
	}
}

// Open streams do not use up all connections of a process.
func TestViewersAreLimited(t *testing.T) {
	t.Parallel()
	d := setup(t)
	open := func() *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+"/live", nil)
		require.NoError(t, err)
		response, err := d.Web.Do(request)
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
