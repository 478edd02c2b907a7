package chaos_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// A wire is the state shared by relays: which transaction's response to withhold, and which relay
// withholds it.
type wire struct {
	armed atomic.Pointer[string]
	held  chan *relay

	mu   sync.Mutex
	seen map[string]int // committed transactions, by the name of their first statement
}

func newWire() *wire { return &wire{held: make(chan *relay, 1), seen: map[string]int{}} }

// arm withholds the response to the next COMMIT of a transaction with this name: it is committed,
// and the process does not know.
func (w *wire) arm(transaction string) { w.armed.Store(&transaction) }

// disarm disarms and reports whether nothing was withheld.
func (w *wire) disarm() bool { return w.armed.Swap(nil) != nil }

// committed is called for each COMMIT before the process gets the response. It reports whether to
// withhold it.
func (w *wire) committed(transaction string) bool {
	w.mu.Lock()
	w.seen[transaction]++
	w.mu.Unlock()
	armed := w.armed.Load()
	return armed != nil && *armed == transaction && w.armed.CompareAndSwap(armed, nil)
}

// A relay is one process's connection to Postgres. It parses the protocol only to see transactions
// end.
type relay struct {
	url  string
	wire *wire

	network, address string
	listener         net.Listener
}

// relay starts a relay until the test ends.
func (s *scenario) relay(w *wire) *relay {
	s.Helper()
	to, err := pgx.ParseConfig(s.url)
	require.NoError(s, err)
	r := &relay{wire: w}
	r.network, r.address = pgconn.NetworkAddress(to.Host, to.Port)
	r.listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s, err)
	s.Cleanup(func() { _ = r.listener.Close() })
	from := url.URL{
		Scheme: "postgres", User: url.UserPassword(to.User, to.Password), Host: r.listener.Addr().String(), Path: "/" + to.Database,
		RawQuery: "sslmode=disable",
	}
	r.url = from.String()
	go func() {
		for {
			client, err := r.listener.Accept()
			if err != nil {
				return
			}
			go r.serve(client)
		}
	}()
	return r
}

// A session is one connection through a relay.
type session struct {
	relay *relay
	// statements maps names of prepared statements to their text.
	statements map[string]string
	// begun is true between BEGIN and the end of the transaction, reads if it only reads. Only the
	// direction from the client uses them.
	begun, reads bool
	// transaction is the name of the first statement since BEGIN, or of a single-statement
	// transaction.
	transaction atomic.Pointer[string]
	// isWhole is true if the last statement is a transaction: its response is also that of a
	// COMMIT.
	isWhole atomic.Bool
}

func (r *relay) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(r.network, r.address)
	if err != nil {
		return
	}
	defer server.Close()
	s := &session{relay: r, statements: map[string]string{}}
	go func() {
		if !s.fromServer(server, client) {
			client.Close()
		}
	}()
	s.fromClient(client, server)
}

// fromClient returns when the client has disconnected, and then disconnects the server.
func (s *session) fromClient(client, server net.Conn) {
	in, out := bufio.NewReader(client), bufio.NewWriter(server)
	// The first message has no type.
	for first := true; ; first = false {
		kind, body, err := forward(in, out, first)
		if err != nil {
			return
		}
		if sql, runs := s.statement(kind, body); runs {
			s.sent(sql)
		}
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
}

// nameOfQuery finds the name of a query of the program, or the function that a sender calls.
var nameOfQuery = regexp.MustCompile(`-- name: (\w+)|thaw\.(claim_actions|reserve|start|settle)\(`)

// wholeTransactions are the queries that the program sends as single-statement transactions, found
// by the calls of [store.Store.Trip] in its source. Other statements without a BEGIN only read, or
// are River's.
var wholeTransactions = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, pattern := range []string{"../*/*.go", "../internal/*/*.go", "../cmd/*/*.go"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			content, _ := os.ReadFile(file)
			for _, call := range callOfTrip.FindAllSubmatch(content, -1) {
				names[string(call[1])] = true
			}
		}
	}
	return names
})

var callOfTrip = regexp.MustCompile(`\.Trip\(\)\.(\w+)\(`)

// sent is called for each statement that the program runs. It reports whether it commits.
func (s *session) sent(sql string) (commits bool) {
	var name string
	if found := nameOfQuery.FindStringSubmatch(sql); found != nil {
		name = found[1] + found[2]
	}
	switch command := strings.ToUpper(sql); {
	case strings.HasPrefix(command, "BEGIN"):
		s.begun, s.reads = true, strings.Contains(command, "READ ONLY")
		s.isWhole.Store(false)
		s.transaction.Store(nil)
	case command == "COMMIT", command == "ROLLBACK":
		s.begun = false
		return command == "COMMIT"
	case s.begun:
		if name != "" && !s.reads && s.transaction.Load() == nil {
			s.transaction.Store(&name)
		}
	default:
		s.isWhole.Store(wholeTransactions()[name])
		s.transaction.Store(nil)
		if s.isWhole.Load() {
			s.transaction.Store(&name)
		}
		return s.isWhole.Load()
	}
	return false
}

// name returns the name of the transaction, or "" for one that is not the program's.
func (s *session) name() string {
	if name := s.transaction.Load(); name != nil {
		return *name
	}
	return ""
}

// isCommit reports whether the tag of a CommandComplete is that of a commit. The server sends the
// response to a statement without a BEGIN after committing it.
func (s *session) isCommit(tag []byte) bool { return s.isWhole.Load() || string(tag) == "COMMIT\x00" }

// fromServer returns when the server has disconnected, or true as soon as it withholds a response.
// Then it forwards nothing more.
func (s *session) fromServer(server, client net.Conn) (held bool) {
	in, out := bufio.NewReader(server), bufio.NewWriter(client)
	for {
		header, err := in.Peek(5)
		if err != nil {
			return false
		}
		if header[0] == 'C' { // CommandComplete
			message, err := in.Peek(1 + int(binary.BigEndian.Uint32(header[1:])))
			if err == nil && s.isCommit(message[5:]) && s.name() != "" && s.relay.wire.committed(s.name()) {
				_ = out.Flush()
				s.relay.wire.held <- s.relay
				return true
			}
		}
		if _, _, err := forward(in, out, false); err != nil {
			return false
		}
		if in.Buffered() == 0 && out.Flush() != nil {
			return false
		}
	}
}

// forward passes on one message and returns it.
func forward(in io.Reader, out io.Writer, untyped bool) (kind byte, body []byte, err error) {
	var header [5]byte // the type, and the length including itself
	used := header[:]
	if untyped {
		used = header[1:]
	}
	if _, err := io.ReadFull(in, used); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(header[1:])-4)
	if _, err := io.ReadFull(in, body); err != nil {
		return 0, nil, err
	}
	if _, err := out.Write(used); err != nil {
		return 0, nil, err
	}
	_, err = out.Write(body)
	return header[0], body, err
}
