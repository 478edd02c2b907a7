package localpg

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// footprint has all files, processes and shared memory of a running server.
type footprint struct {
	files []string // its folder, and on Linux its shared memory files
	pids  []int    // the postmaster and all of its children
}

// traces returns the footprint of a running server.
func traces(t *testing.T, conn *pgx.Conn, folder string, postmaster int) footprint {
	t.Helper()
	f := footprint{files: []string{folder}, pids: []int{postmaster}}
	rows, err := conn.Query(t.Context(), "SELECT pid::int FROM pg_stat_activity")
	require.NoError(t, err)
	children, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(t, err)
	require.Greater(t, len(children), 1, "our own backend and the background processes")
	f.pids = append(f.pids, children...)

	// The mapped files of the postmaster include its segments in /dev/shm. Empty without /proc.
	maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", postmaster))
	for _, word := range strings.Fields(string(maps)) {
		if strings.HasPrefix(word, "/dev/shm/") {
			f.files = append(f.files, word)
		}
	}
	return f
}

// left returns the parts of the footprint that still exist.
func (f footprint) left() []string {
	var left []string
	for _, name := range f.files {
		if _, err := os.Stat(name); err == nil {
			left = append(left, name)
		}
	}
	for _, s := range sharedMemory() {
		if slices.Contains(f.pids, s.creator) {
			left = append(left, fmt.Sprintf("shared memory %d", s.id))
		}
	}
	for _, pid := range f.pids {
		if running(pid) {
			left = append(left, fmt.Sprintf("process %d", pid))
		}
	}
	return left
}

// running reports whether a process exists and is not a zombie. In a container without an init
// process zombies remain forever.
func running(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !os.IsNotExist(err) || !hasProc()
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// segment is a System V shared memory segment. Each server has one.
type segment struct {
	id       int
	creator  int   // process id
	attached int   // number of processes
	created  int64 // Unix time, seconds
}

// sharedMemory lists the System V shared memory segments of the host. Empty without /proc.
func sharedMemory() []segment {
	table, _ := os.ReadFile("/proc/sysvipc/shm")
	var segments []segment
	for line := range strings.Lines(string(table)) {
		// key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime …
		var s segment
		var skip, size, atime, dtime int64
		if n, _ := fmt.Sscan(line, &skip, &s.id, &skip, &size, &s.creator, &skip, &s.attached,
			&skip, &skip, &skip, &skip, &atime, &dtime, &s.created); n == 14 {
			segments = append(segments, s)
		}
	}
	return segments
}

func hasProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}
