// Package modules tests the modules as other programs get them: from a module proxy, without
// go.work.
package modules_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const (
	root     = "../.."
	thawPath = "github.com/thawline/thaw"
	jobsPath = thawPath + "/jobs"
	release  = "v0.99.0" // a version of the main module that is only in the proxy of this test
)

// The program can be installed at a version: go.mod has no replacement, and requires module jobs at
// a version that has every package.
func TestProgramIsInstallable(t *testing.T) {
	t.Parallel()
	p := publish(t)
	out := p.run(t, t.TempDir(), "install", "-n", thawPath+"/cmd/thaw@"+release) // loads all packages, builds nothing
	require.Contains(t, out, jobsPath+"@"+p.jobs)
}

// A program that imports jobs requires pgx, River and what these two require.
func TestProgramsThatImportJobs(t *testing.T) {
	t.Parallel()
	p := publish(t)
	folder := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	write("go.mod", fmt.Sprintf("module example.com/platform\n\ngo 1.26.0\n\nrequire %s %s\n", jobsPath, p.jobs))
	write("main.go", fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", jobsPath))
	p.run(t, folder, "mod", "tidy")
	for _, name := range strings.Fields(p.run(t, folder, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")) {
		known := name == "example.com/platform" || name == jobsPath
		for _, prefix := range []string{"github.com/jackc/", "github.com/riverqueue/river", "github.com/tidwall/", "golang.org/x/"} {
			known = known || strings.HasPrefix(name, prefix)
		}
		require.True(t, known, "a program that imports jobs contains module %s", name)
	}
	require.NotContains(t, p.run(t, folder, "list", "-m", "all"), thawPath+" ", "jobs requires the main module")
}

// A proxy is a folder with both modules as they are in the checkout, in the layout of a module
// proxy. Other modules come from the module cache and from the usual proxy.
type proxy struct {
	environ []string
	jobs    string // the version of jobs that the main module requires
}

func publish(t *testing.T) proxy {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	own, err := modfile.Parse("go.mod", content, nil)
	require.NoError(t, err)
	var p proxy
	for _, required := range own.Require {
		if required.Mod.Path == jobsPath {
			p.jobs = required.Mod.Version
		}
	}
	require.NotEmpty(t, p.jobs)

	folder := t.TempDir()
	var ofThaw, ofJobs []zip.File
	for _, path := range files(t) {
		top, below, _ := strings.Cut(path, "/")
		_, err := os.Stat(filepath.Join(root, top, "go.mod"))
		switch isModule := err == nil; {
		case top == "jobs":
			ofJobs = append(ofJobs, file{below, filepath.Join(root, path)})
		case !isModule:
			ofThaw = append(ofThaw, file{path, filepath.Join(root, path)})
		}
	}
	add(t, folder, module.Version{Path: thawPath, Version: release}, ofThaw, root)
	add(t, folder, module.Version{Path: jobsPath, Version: p.jobs}, ofJobs, filepath.Join(root, "jobs"))

	usual := strings.Fields(goOutput(t, nil, ".", "env", "GOMODCACHE", "GOPROXY"))
	p.environ = append(os.Environ(), "GOWORK=off", "GOSUMDB=off", "GOFLAGS=-modcacherw", "GOMODCACHE="+t.TempDir(),
		"GOPROXY=file://"+folder+",file://"+filepath.Join(usual[0], "cache", "download")+","+usual[1])
	return p
}

// files lists the files of the checkout that Git does not ignore.
func files(t *testing.T) (found []string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	command.Dir = root
	out, err := command.Output()
	require.NoError(t, err)
	for _, path := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(filepath.Join(root, path)); err == nil { // it may be deleted, but not yet in a commit
			found = append(found, path)
		}
	}
	return found
}

// add adds a module to a proxy.
func add(t *testing.T, proxy string, m module.Version, content []zip.File, folder string) {
	t.Helper()
	versions := filepath.Join(proxy, filepath.FromSlash(m.Path), "@v")
	require.NoError(t, os.MkdirAll(versions, 0o700))
	write := func(name string, content []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(versions, name), content, 0o600))
	}
	write("list", []byte(m.Version+"\n"))
	var archive bytes.Buffer
	require.NoError(t, zip.Create(&archive, m, content))
	write(m.Version+".zip", archive.Bytes())
	mod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	require.NoError(t, err)
	write(m.Version+".mod", mod)
	info, err := json.Marshal(map[string]any{"Version": m.Version, "Time": time.Unix(0, 0).UTC()})
	require.NoError(t, err)
	write(m.Version+".info", info)
}

func (p proxy) run(t *testing.T, folder string, args ...string) string {
	t.Helper()
	return goOutput(t, p.environ, folder, args...)
}

// goOutput runs the go command, and returns what it prints.
func goOutput(t *testing.T, environ []string, folder string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = folder
	command.Env = environ
	out, err := command.CombinedOutput()
	require.NoError(t, err, "go %s\n%s", strings.Join(args, " "), out)
	return string(out)
}

// A file of a module, for package zip.
type file struct{ name, path string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.path) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.path) }
