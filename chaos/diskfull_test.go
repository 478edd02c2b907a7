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

// The disk of the whole server is full during heals, sweeps and signals, including the WAL, on
// which Postgres panics. Then space is freed.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	notByDefault(t)
	disk := newDisk(t, 256<<20)
	pg := startCluster(t, map[string]string{"min_wal_size": "32MB", "max_wal_size": "48MB"})
	pg.move(disk.folder)
	s := openOn(t, pg.url)
	s.fillUp(disk, pg, func() {
		// Another client writes until there is no space for the WAL.
		_, before := pg.log.counts()
		require.Eventually(s, func() bool {
			_, _ = s.pool.Exec(s.Context(), "SELECT pg_logical_emit_message(false, 'chaos', repeat('x', 1000000))")
			_, panics := pg.log.counts()
			return panics > before
		}, time.Minute, time.Millisecond, "Postgres did not panic")
	})
}

// Only the disk of the tables and indexes is full: statements that need space fail, and Postgres
// keeps running.
func TestFullTablespace(t *testing.T) {
	t.Parallel()
	notByDefault(t)
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

// fillUp fills the disk of a busy server, keeps it full for some time after the first error, and
// frees it again. more runs while the disk is full.
func (s *scenario) fillUp(disk *disk, pg *cluster, more func()) {
	s.Helper()
	traffic := s.traffic(scale(size{signaled: 3, healed: 1, silent: 1, prospects: 6000}, size{signaled: 12, healed: 2, silent: 5, prospects: 20_000}))
	options := []string{"--tick=2s", "--jitter=10s"}
	processes := []*process{s.serve(options...), s.serve(options...)}
	stop := traffic.begin(processes...)

	for range scale(1, 5) {
		s.pause(500 * time.Millisecond)
		before, _ := pg.log.counts()
		disk.fill()
		require.Eventually(s, func() bool { full, _ := pg.log.counts(); return full > before }, time.Minute, 5*time.Millisecond,
			"Postgres did not report a full disk")
		more()
		for end := time.Now().Add(scale(500*time.Millisecond, 20*time.Second)); time.Now().Before(end); s.pause(10 * time.Millisecond) {
			disk.fill() // space that others have freed
		}
		disk.free()
		s.fault("full disks")
		if pg.answers(5*time.Second) != nil {
			// Recovery failed too. Now that there is space, start the server again.
			pg.restart()
			s.fault("manual starts of Postgres")
		}
	}
	full, panics := pg.log.counts()
	s.faultN("statements failed on the full disk", full)
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

// give makes the server's user the owner of a folder.
func (c *cluster) give(folder string) {
	c.Helper()
	if c.owner != nil {
		require.NoError(c, os.Chown(folder, int(c.owner.Uid), int(c.owner.Gid)))
	}
}

// A disk is a small file system that exists until the test ends.
type disk struct {
	*testing.T
	folder  string
	ballast *os.File
}

// newDisk mounts a file system of this size in memory.
func newDisk(t *testing.T, bytes int64) *disk {
	t.Helper()
	folder, err := os.MkdirTemp("", "thaw-disk-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(folder)) })
	asRoot(t, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=0755,uid=%d,gid=%d", bytes, os.Getuid(), os.Getgid()), "tmpfs", folder)
	t.Cleanup(func() { asRoot(t, "umount", "--lazy", folder) })
	return &disk{T: t, folder: folder}
}

// asRoot runs a command as root, through sudo if necessary.
func asRoot(t *testing.T, command ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		command = append([]string{"sudo", "--non-interactive"}, command...)
	}
	output, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	require.NoError(t, err, "%s\nMounting a small disk requires root or passwordless sudo.\n%s", command, output)
}

// fill uses all remaining space.
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

// free frees the space that fill used.
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
