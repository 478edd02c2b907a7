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

// Hostility is invalid webhook traffic that must be rejected while the provider's deliveries
// continue.
type hostility struct {
	*scenario
	processes []*process
	memory    []int // of each process at the start, in KiB
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

// expect sends a request to a random process and requires a status code.
func (h *hostility) expect(want int, route string, header http.Header, body []byte) error {
	if code, answer := h.send(h.processes[h.rand.IntN(len(h.processes))], route, header, body); code != want {
		return fmt.Errorf("%s with %v and %.100q returned %d, want %d: %s", route, header, body, code, want, answer)
	}
	return nil
}

// forge sends forged deliveries.
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
				case kind == 0: // no valid signature
					header = http.Header{}
				case kind == 1 && route != "unipile/v1": // a replay of a real one, much later or too early
					late := 6 * time.Minute
					if h.rand.IntN(2) == 0 {
						late = -late
					}
					header = l.header(time.Now().Add(-late))
				case kind == 2 && route != "unipile/v1": // a tampered real one
					body = bytes.Replace(body, []byte("acc_1"), []byte("acc_2"), 1)
				default: // a guessed signature
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

// guess changes one character of a signature. It avoids a change of case, which is equal in hex,
// and the last characters, which base64 may ignore.
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
		`{"n":1e99999}`, strings.Repeat("[", 20_000), `{"type":"account.status","timestamp":"yesterday","data":{"provider":"linkedin","account":"a","status":"removed"}}`}
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

// flood sends bodies that are too large, by one byte or endless.
func (h *hostility) flood() error {
	large := bytes.Repeat([]byte(" "), 64<<10+1)
	for range scale(5, 200) {
		for route := range words {
			if err := h.expect(http.StatusRequestEntityTooLarge, route, seal(route, "evt_large", time.Now(), large), large); err != nil {
				return err
			}
			p := h.processes[h.rand.IntN(len(h.processes))]
			// The response may be lost, because the server closes the connection while the client
			// still writes.
			code, answer := h.stream(p, route, seal(route, "evt_endless", time.Now(), nil), io.LimitReader(spaces{}, 64<<20))
			if code != http.StatusRequestEntityTooLarge && code != 0 {
				return fmt.Errorf("an endless body returned %d: %s", code, answer)
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

// checker requires that processes respond quickly, that slow clients were disconnected (at full
// size only, because it takes time), and that memory is bounded.
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
		h.figure("slow clients disconnected after %s", h.slow[0].took.Round(time.Second))
	}
	peak := 0
	for i, p := range h.processes {
		began := time.Now()
		require.True(h, p.isReady())
		require.Less(h, time.Since(began), 5*time.Second)
		require.Less(h, p.peak(), 96<<10, "KiB; at the start %d", h.memory[i])
		peak = max(peak, p.peak())
	}
	h.figure("peak memory %d MiB", peak>>10)
}

// peak returns the peak resident memory of the process in KiB.
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

// A slowBody is a client that sends one byte of its body per second until the server disconnects
// it.
type slowBody struct {
	conn  net.Conn
	ended chan struct{} // closed when the server has disconnected it; then took is set
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
	s.fault("bodies sent at one byte per second")
	return slow
}
