package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// A file of an archive, an image or a chart.
type file struct {
	name    string // with slashes
	content []byte
	mode    fs.FileMode
}

// fileAt reads a file of the disk. Only whether it is executable is taken from its mode.
func fileAt(name, source string) (file, error) {
	content, err := os.ReadFile(source)
	if err != nil {
		return file{}, err
	}
	info, err := os.Stat(source)
	if err != nil {
		return file{}, err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return file{name, content, mode}, nil
}

// filesBelow reads all files below a folder, and names them with a prefix.
func filesBelow(folder, prefix string) (files []file, err error) {
	err = filepath.WalkDir(folder, func(source string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, source)
		if err != nil {
			return err
		}
		f, err := fileAt(path.Join(prefix, filepath.ToSlash(name)), source)
		files = append(files, f)
		return err
	})
	return files, err
}

// tarOf returns an archive of files that root owns, in the order of their names, with the folders
// that contain them. It depends on nothing else.
func tarOf(files []file, at time.Time) ([]byte, error) {
	entries := map[string]file{}
	for _, f := range files {
		entries[f.name] = f
		for folder := path.Dir(f.name); folder != "."; folder = path.Dir(folder) {
			entries[folder] = file{name: folder + "/", mode: fs.ModeDir | 0o755}
		}
	}
	sorted := make([]file, 0, len(entries))
	for _, f := range entries {
		sorted = append(sorted, f)
	}
	slices.SortFunc(sorted, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range sorted {
		header := &tar.Header{
			Name: f.name, Size: int64(len(f.content)), Mode: int64(f.mode.Perm()), ModTime: at, Typeflag: tar.TypeReg,
			Uname: "root", Gname: "root", Format: tar.FormatPAX,
		}
		if f.mode.IsDir() {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// gzipped compresses without a name and a time.
func gzipped(content []byte) ([]byte, error) {
	var compressed bytes.Buffer
	w, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return compressed.Bytes(), nil
}

// writeTarGz writes a compressed archive to the folder of the release.
func (r *release) writeTarGz(name string, files []file) error {
	archive, err := tarOf(files, r.at)
	if err != nil {
		return err
	}
	compressed, err := gzipped(archive)
	if err != nil {
		return err
	}
	return r.write(name, compressed)
}

func (r *release) write(name string, content []byte) error {
	fmt.Printf("%s: %.1f MB\n", name, float64(len(content))/1e6)
	return writeFile(filepath.Join(r.out, name), content)
}

// writeFile writes a file with mode 0644: it goes into an archive or a package.
func writeFile(path string, content []byte) error {
	return os.WriteFile(path, content, 0o644) //nolint:gosec // see above
}

// archives writes one archive per platform, with all that is needed to install Thaw by hand.
func (r *release) archives(context.Context) error {
	for p, binary := range r.binaries {
		folder := fmt.Sprintf("thaw_%s_%s_%s", r.version, p.os, p.arch)
		sources := map[string]string{
			"thaw": binary, "thaw.1.gz": filepath.Join(r.stage, "thaw.1.gz"),
			"LICENSE": filepath.Join(r.source, "LICENSE"), "CHANGELOG.md": filepath.Join(r.source, "CHANGELOG.md"),
			"thaw.service": filepath.Join(r.source, "deploy/systemd/thaw.service"), "thaw.env": filepath.Join(r.source, "deploy/systemd/thaw.env"),
			"alerts.yml": filepath.Join(r.source, "deploy/prometheus/alerts.yml"), "dashboard.json": filepath.Join(r.source, "deploy/grafana/thaw.json"),
		}
		for _, name := range completions {
			sources["completions/"+name] = filepath.Join(r.stage, name)
		}
		var files []file
		for name, source := range sources {
			f, err := fileAt(path.Join(folder, name), source)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		if err := r.writeTarGz(folder+".tar.gz", files); err != nil {
			return err
		}
	}
	return nil
}
