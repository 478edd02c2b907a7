package localpg

import (
	"os"
	"syscall"
)

const (
	// memoryFolder is where Linux mounts a file system in memory, by default with half of the memory.
	memoryFolder = "/dev/shm"
	tmpfsMagic   = 0x01021994
	// memoryNeeded is free in memoryFolder before a server is put there. The default of containers,
	// 64 MB, is not enough for one.
	memoryNeeded = 4 << 30
)

// tempDir returns the folder below which a server gets its own: one in memory if that is asked for
// and there is one with room, unless TMPDIR names another.
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
