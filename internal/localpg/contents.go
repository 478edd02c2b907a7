package localpg

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// Contents are what a private server contains when Start returns. The first server with given
// contents is filled. A copy of its data folder is kept in the user's cache folder, and later
// servers start with this copy, which takes a tenth of the time. If the copy can be neither written
// nor read, each server is filled.
type Contents struct {
	// Key identifies the contents: it changes with everything that Fill depends on, except the
	// version of Postgres.
	Key string
	// Fill fills a new server. It must close its connections.
	Fill func(ctx context.Context, server *Server) error
}

const (
	// keepCopies is how long an unused copy is kept after its last use.
	keepCopies = 3 * 24 * time.Hour
	// mostCopies is the maximum number of copies, of about 50 MB each. Every change of a migration
	// makes another one.
	mostCopies = 20
)

// startWith is like start. The server has the contents when it answers.
func (c *cluster) startWith(ctx context.Context, o Options) (version string, err error) {
	if o.Contents == nil {
		return c.start(ctx, o)
	}
	copied := c.copyFile(o.Contents.Key)
	if copied != "" && c.restore(copied) == nil {
		if version, err = c.run(ctx, o); err == nil || !errors.Is(err, errExited) {
			return version, err
		}
	}
	// Not copied yet, or a damaged copy.
	if err := os.RemoveAll(c.dataFolder()); err != nil {
		return "", fmt.Errorf("removing an incomplete data folder: %w", err)
	}
	if version, err = c.start(ctx, o); err != nil {
		return "", err
	}
	if err := o.Contents.Fill(ctx, &Server{connString: c.connString(), version: version, cluster: c}); err != nil {
		return "", fmt.Errorf("filling a new server: %w", err)
	}
	if copied == "" {
		return version, nil
	}
	// Only the data folder of a server that shut down in order can be copied.
	if err := c.postgres.Process.Signal(syscall.SIGINT); err != nil {
		return "", fmt.Errorf("shutting down postgres: %w", err)
	}
	<-c.exited
	_ = c.save(copied) // the next process fills its server itself
	return c.run(ctx, o)
}

// copyFile returns the file of a copy, or "" if there can be no copy: without a cache folder, or if
// the server has its own password.
func (c *cluster) copyFile(key string) string {
	folder, err := os.UserCacheDir()
	if err != nil || !c.onSocket() {
		return ""
	}
	name := sha256.Sum256([]byte(key + "\n" + c.bin.dir + "\n" + c.bin.version.String() + "\n" + runtime.GOARCH))
	return filepath.Join(folder, "thaw", "postgres", hex.EncodeToString(name[:8])+".tar")
}

// save writes the data folder to a file, which appears when it is complete.
func (c *cluster) save(name string) error {
	folder := filepath.Dir(name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	removeOldCopies(folder)
	file, err := os.CreateTemp(folder, "incomplete-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails after the file was renamed
	archive := tar.NewWriter(file)
	err = errors.Join(archive.AddFS(os.DirFS(c.dataFolder())), archive.Close(), file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

// removeOldCopies makes space for a new copy.
func removeOldCopies(folder string) {
	names, _ := filepath.Glob(filepath.Join(folder, "*")) // fails only for a malformed pattern
	used := map[string]time.Time{}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil { // another process may have removed it
			used[name] = info.ModTime()
		}
	}
	newestFirst := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return used[b].Compare(used[a]) })
	for i, name := range newestFirst {
		if i >= mostCopies-1 || time.Since(used[name]) > keepCopies {
			_ = os.Remove(name)
		}
	}
}

// restore creates the data folder from a file that this user wrote.
func (c *cluster) restore(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm() != 0o600 {
		return fmt.Errorf("%s: %w", name, fs.ErrPermission)
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // for removeOldCopies
	if err := os.Mkdir(c.dataFolder(), 0o700); err != nil {
		return err
	}
	folder, err := os.OpenRoot(c.dataFolder())
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := unpack(file, folder, c.runAs); err != nil {
		return err
	}
	if c.runAs == nil {
		return nil
	}
	return chown(c.dataFolder(), c.runAs)
}

// unpack writes the files of an archive to a folder, for another user unless owner is nil.
func unpack(file io.Reader, folder *os.Root, owner *user.User) error {
	archive := tar.NewReader(file)
	buffer := make([]byte, 256<<10)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(header.Name)
		if header.Typeflag == tar.TypeDir {
			if name != "." {
				err = folder.Mkdir(name, 0o700)
			}
		} else {
			err = unpackFile(archive, folder, name, buffer)
		}
		if err == nil && owner != nil {
			var uid, gid uint32
			if uid, gid, err = ids(owner); err == nil {
				err = folder.Lchown(name, int(uid), int(gid))
			}
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(from io.Reader, folder *os.Root, name string, buffer []byte) error {
	file, err := folder.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, from, buffer)
	return errors.Join(err, file.Close())
}
