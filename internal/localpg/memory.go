package localpg

import (
	"os"
	"syscall"
)

const (
	// memoryFolder is the file system in memory on Linux. Its default size is half of the memory.
	memoryFolder = "/dev/shm"
	tmpfsMagic   = 0x01021994
	// memoryNeeded is the free space in bytes that a server in memoryFolder requires. The default
	// size in containers, 64 MB, is too small.
	memoryNeeded = 4 << 30
)

// tempDir returns the parent of a server's folder: with inMemory a folder in memory, if there is
// one with enough space and TMPDIR is not set.
func tempDir(inMemory bool) string {
	if !inMemory || os.Getenv("TMPDIR") != "" {
		return os.TempDir()
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memoryFolder, &fs); err != nil || fs.Type != tmpfsMagic {
		return os.TempDir()
	}
	if fs.Bavail*uint64(fs.Bsize) < memoryNeeded {
		return os.TempDir()
	}
	return memoryFolder
}
