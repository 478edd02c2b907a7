package chaos_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// Hostility is what comes to the webhooks and must be refused, while the mail of the provider goes on.
type hostility struct {
	*scenario
	processes []*process
	memory    []int // of each process before, in KiB
	slow      []*slowBody
}

func (s *scenario) hostility(processes []*process) *hostility {
	s.Helper()
	h := &hostility{scenario: s, processes: processes}
	for _, p := range processes {
		h.memory = append(h.memory, p.peak())
		for range scale(10, 50) {
			h.slow = append(h.slow, s.slowBody(p))
		}
	}
	return h
}

func (h *hostility) run() error {
	var group errgroup.Group
	group.Go(h.forge)
	group.Go(h.garble)
	group.Go(h.flood)
	return group.Wait()
}

// expect sends something to any process and requires an answer.
func (h *hostility) expect(want int, route string, header http.Header, body []byte) error {
	if code, answer := h.send(h.processes[h.rand.IntN(len(h.processes))], route, header, body); code != want {
		return fmt.Errorf("%s with %v and %.100q was answered %d instead of %d: %s", route, header, body, code, want, answer)
	}
	return nil
}

// forge sends what looks like a delivery of the provider and is not.
func (h *hostility) forge() error {
	const clients = 4
	var group errgroup.Group
	for range clients {
		group.Go(func() error {
			for range scale(300, 10_000) / clients {
				route := []string{"unipile/v1", "unipile/v2", "standard"}[h.rand.IntN(3)]
				l := letter{route, fmt.Sprintf("evt_%016x", h.rand.Uint64()), account(1), words[route]["removed"][0], time.Now()}
				header, body := l.header(time.Now()), l.body()
				switch kind := h.rand.IntN(4); {
				case kind == 0: // nothing proves anything
					header = http.Header{}
				case kind == 1 && route != "unipile/v1": // a real one, heard and sent again much later, or too early
					late := 6 * time.Minute
					if h.rand.IntN(2) == 0 {
						late = -late
					}
					header = l.header(time.Now().Add(-late))
				case kind == 2 && route != "unipile/v1": // a real one, changed on its way
					body = bytes.Replace(body, []byte("acc_1"), []byte("acc_2"), 1)
				default: // a guess
					for name := range header {
						header.Set(name, h.guess(header.Get(name)))
					}
				}
				if err := h.expect(http.StatusUnauthorized, route, header, body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	h.faultN("bad signatures", scale(300, 10_000))
	return group.Wait()
}

// guess changes one character: not into the same one in capitals, which is the same in hex, nor one of the last, which in
// base64 may say nothing.
func (h *hostility) guess(right string) string {
	i := h.rand.IntN(len(right) - 2)
	with := "0"
	if right[i] == with[0] {
		with = "1"
	}
	return right[:i] + with + right[i+1:]
}

// garble sends signed bodies that no delivery has, and some that are too large.
func (h *hostility) garble() error {
	bodies := []string{"", "{", "null", "[]", `"x"`, "{}", `{"type":1}`, `{"type":"account.status","data":[]}`, "{\"a\":\"\xff\"}",
		`{"AccountStatus":{"account_id":"\u0000","account_type":"L","message":"OK"}}`, `{"id":"","type":""}`,
		`{"n":1e99999}`, strings.Repeat("[", 20_000), `{"type":"account.status","timestamp":"yesterday","data":{"provider":"linkedin","account_id":"a","status":"removed"}}`}
	for range scale(2, 50) {
		for _, body := range bodies {
			for route := range words {
				if err := h.expect(http.StatusBadRequest, route, seal(route, "evt_garbled", time.Now(), []byte(body)), []byte(body)); err != nil {
					return err
				}
				h.fault("malformed bodies")
			}
		}
	}
	return nil
}

// flood sends bodies that are too large: by a byte, and without an end.
func (h *hostility) flood() error {
	large := bytes.Repeat([]byte(" "), 64<<10+1)
	for range scale(5, 200) {
		for route := range words {
			if err := h.expect(http.StatusRequestEntityTooLarge, route, seal(route, "evt_large", time.Now(), large), large); err != nil {
				return err
			}
			p := h.processes[h.rand.IntN(len(h.processes))]
			// The answer may be lost, because the server closes the connection while the client still writes.
			code, answer := h.stream(p, route, seal(route, "evt_endless", time.Now(), nil), io.LimitReader(spaces{}, 64<<20))
			if code != http.StatusRequestEntityTooLarge && code != 0 {
				return fmt.Errorf("a body without an end was answered %d: %s", code, answer)
			}
			h.faultN("oversized bodies", 2)
		}
	}
	return nil
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// checker requires that processes answer at once, that slow clients were let go (in full, which has the time), and that
// memory is bounded.
func (h *hostility) checker() {
	h.Helper()
	for _, slow := range h.slow {
		if !*full {
			_ = slow.conn.Close()
		}
		<-slow.ended
		require.Less(h, slow.took, 45*time.Second)
	}
	if *full {
		h.figure("slow ones let go after %s", h.slow[0].took.Round(time.Second))
	}
	peak := 0
	for i, p := range h.processes {
		began := time.Now()
		require.True(h, p.isReady())
		require.Less(h, time.Since(began), 5*time.Second)
		require.Less(h, p.peak(), 96<<10, "KiB; before it were %d", h.memory[i])
		peak = max(peak, p.peak())
	}
	h.figure("peak memory %d MiB", peak>>10)
}

// peak is the most memory that the process had, in KiB.
func (p *process) peak() int {
	p.s.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	require.NoError(p.s, err)
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(p.s, found)
	kib, err := strconv.Atoi(string(found[1]))
	require.NoError(p.s, err)
	return kib
}

// A slowBody is a client that sends a byte of its body each second, as long as the server lets it.
type slowBody struct {
	conn  net.Conn
	ended chan struct{} // closed when the server has ended it, after which took is set
	took  time.Duration
}

func (s *scenario) slowBody(p *process) *slowBody {
	s.Helper()
	conn, err := (&net.Dialer{}).DialContext(s.Context(), "tcp", strings.TrimPrefix(p.base, "http://"))
	require.NoError(s, err)
	s.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /webhooks/standard HTTP/1.1\r\nHost: chaos\r\nContent-Length: 1000\r\n\r\n")
	require.NoError(s, err)
	slow := &slowBody{conn: conn, ended: make(chan struct{})}
	began := time.Now()
	go func() {
		_, _ = io.Copy(io.Discard, bufio.NewReader(conn)) // until the server closes it
		slow.took = time.Since(began)
		close(slow.ended)
	}()
	go func() {
		for range 1000 {
			if _, err := conn.Write([]byte(" ")); err != nil {
				return
			}
			select {
			case <-slow.ended:
				return
			case <-time.After(time.Second):
			}
		}
	}()
	s.fault("bodies of a byte a second")
	return slow
}
