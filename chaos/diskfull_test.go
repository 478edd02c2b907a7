package chaos_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The disk of the whole server is full during heals, sweeps and signals, its log of transactions too, on which Postgres panics;
// then there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := newDisk(t, 256<<20)
	pg := startCluster(t, map[string]string{"min_wal_size": "32MB", "max_wal_size": "48MB"})
	pg.move(disk.folder)
	s := openOn(t, pg.url)
	s.fillUp(disk, pg, func() {
		// Somebody else writes too, until there is no room for the log.
		_, before := pg.log.counts()
		require.Eventually(s, func() bool {
			_, _ = s.pool.Exec(s.Context(), "SELECT pg_logical_emit_message(false, 'chaos', repeat('x', 1000000))")
			_, panics := pg.log.counts()
			return panics > before
		}, time.Minute, time.Millisecond, "Postgres does not panic")
	})
}

// The disk of the tables and indexes alone is full: each statement that needs room fails, and Postgres lives on.
func TestFullTablespace(t *testing.T) {
	t.Parallel()
	disk := newDisk(t, 128<<20)
	pg := startCluster(t, nil)
	s := openOn(t, pg.url)
	pg.give(disk.folder)
	s.exec("CREATE TABLESPACE small LOCATION '" + disk.folder + "'")
	s.exec(`
		DO $$
		DECLARE
			r record;
		BEGIN
			FOR r IN SELECT c.oid::regclass AS name, CASE c.relkind WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END AS kind
				FROM pg_class AS c WHERE c.relnamespace = 'thaw'::regnamespace AND c.relkind IN ('r', 'i')
			LOOP
				EXECUTE format('ALTER %s %s SET TABLESPACE small', r.kind, r.name);
			END LOOP;
		END;
		$$`)
	s.fillUp(disk, pg, func() {})
	_, panics := pg.log.counts()
	require.Zero(s, panics)
}

// fillUp fills the disk of a server that is at work until somebody has met it, and longer, and makes room again. more is done
// while it is full.
func (s *scenario) fillUp(disk *disk, pg *cluster, more func()) {
	s.Helper()
	traffic := s.traffic(scale(size{flock: 3, herd: 1, stray: 1, prospects: 6000}, size{flock: 12, herd: 2, stray: 5, prospects: 20_000}))
	options := []string{"--tick=2s", "--jitter=10s"}
	processes := []*process{s.serve(options...), s.serve(options...)}
	stop := traffic.begin(processes...)

	for range scale(1, 5) {
		s.pause(500 * time.Millisecond)
		before, _ := pg.log.counts()
		disk.fill()
		require.Eventually(s, func() bool { full, _ := pg.log.counts(); return full > before }, time.Minute, 5*time.Millisecond,
			"Postgres does not notice that its disk is full")
		more()
		for end := time.Now().Add(scale(500*time.Millisecond, 20*time.Second)); time.Now().Before(end); s.pause(10 * time.Millisecond) {
			disk.fill() // what somebody else has given back
		}
		disk.free()
		s.fault("times disk full")
		if pg.answers(5*time.Second) != nil {
			// It could not even recover. Now that there is room, somebody starts it again.
			pg.restart()
			s.fault("starts of Postgres by hand")
		}
	}
	full, panics := pg.log.counts()
	s.faultN("statements without room", full)
	s.faultN("panics of Postgres", panics)
	stop()
	s.expedite()
	traffic.resumeAll()
	s.alive(processes...)
	s.checker(traffic.lost)
}

// move moves the data folder to another disk.
func (c *cluster) move(folder string) {
	c.Helper()
	c.crash()
	data := filepath.Join(folder, "data")
	output, err := exec.Command("cp", "-a", c.data, data).CombinedOutput()
	require.NoError(c, err, "%s", output)
	for i, word := range c.command {
		if word == c.data {
			c.command[i] = data
		}
	}
	c.data = data
	c.give(folder)
	c.start()
}

// give makes the server the owner of a folder.
func (c *cluster) give(folder string) {
	c.Helper()
	if c.owner != nil {
		require.NoError(c, os.Chown(folder, int(c.owner.Uid), int(c.owner.Gid)))
	}
}

// A disk is a small file system, until the test ends.
type disk struct {
	*testing.T
	folder  string
	ballast *os.File
}

// newDisk mounts one of so many bytes in memory.
func newDisk(t *testing.T, bytes int64) *disk {
	t.Helper()
	folder, err := os.MkdirTemp("", "thaw-disk-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(folder)) })
	asRoot(t, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=0755,uid=%d,gid=%d", bytes, os.Getuid(), os.Getgid()), "tmpfs", folder)
	t.Cleanup(func() { asRoot(t, "umount", "--lazy", folder) })
	return &disk{T: t, folder: folder}
}

// asRoot runs a command as root, which may take sudo.
func asRoot(t *testing.T, command ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		command = append([]string{"sudo", "--non-interactive"}, command...)
	}
	output, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	require.NoError(t, err, "%s\nA small disk needs root, or sudo without a password.\n%s", command, output)
}

// fill takes all the room that is left.
func (d *disk) fill() {
	d.Helper()
	if d.ballast == nil {
		var err error
		d.ballast, err = os.Create(filepath.Join(d.folder, "ballast"))
		require.NoError(d, err)
	}
	_, err := io.Copy(d.ballast, zeros{})
	require.True(d, errors.Is(err, syscall.ENOSPC), "filling the disk: %v", err)
}

// free gives back the room that was taken.
func (d *disk) free() {
	d.Helper()
	require.NoError(d, d.ballast.Close())
	require.NoError(d, os.Remove(d.ballast.Name()))
	d.ballast = nil
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
