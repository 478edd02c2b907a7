package localpg

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// ErrNoBinaries is returned by Start if the server binaries of Postgres 15 or later are not
// installed. The wrapping error says what was found, and how to install them on this system.
var ErrNoBinaries = errors.New("no server binaries of Postgres 15 or later")

// installFolders are the folders outside PATH where packages install the server binaries.
var installFolders = []string{
	"usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"usr/pgsql-*/bin",                                   // RPMs of postgresql.org
	"usr/libexec/postgresql*",                           // Alpine
	"opt/homebrew/opt/postgresql@*/bin",                 // Homebrew on Apple silicon
	"usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
	"home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew on Linux
	"Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
}

// folderVariable names the folder with the server binaries to use, whatever else is installed.
const folderVariable = "THAW_POSTGRES_BIN"

// binaries is a folder with initdb and postgres.
type binaries struct {
	dir     string
	version version
}

// host is the input of the search, so that tests can simulate any host.
type host struct {
	os        string // as runtime.GOOS
	root      fs.FS  // the file system from "/"
	path      string // the PATH variable
	only      string // the folder in THAW_POSTGRES_BIN, or empty
	superuser bool   // installing needs no sudo
	// versionOf returns the version of the server binary in an absolute folder.
	versionOf func(dir string) (version, error)
}

func thisHost() host {
	return host{
		os:        runtime.GOOS,
		root:      os.DirFS("/"),
		path:      os.Getenv("PATH"),
		only:      os.Getenv(folderVariable),
		superuser: os.Geteuid() == 0,
		versionOf: binaryVersion,
	}
}

// newestBinaries returns the newest installed version. Among equal versions the first in PATH wins.
// If the environment names a folder, only that folder counts.
func (h host) newestBinaries() (binaries, error) {
	if h.only != "" && len(h.binaryFolders()) == 0 {
		return binaries{}, fmt.Errorf("%w: %s is %q, which is not an absolute folder with initdb and postgres", ErrNoBinaries, folderVariable, h.only)
	}
	var found []binaries
	var problems []string
	for _, dir := range h.binaryFolders() {
		v, err := h.versionOf(dir)
		switch {
		case err != nil:
			problems = append(problems, fmt.Sprintf("%s does not run (%v)", dir, err))
		case v.major < minMajor:
			problems = append(problems, fmt.Sprintf("%s is version %s", dir, v))
		default:
			found = append(found, binaries{dir: dir, version: v})
		}
	}
	if len(found) > 0 {
		slices.SortStableFunc(found, func(a, b binaries) int { return b.version.compare(a.version) })
		return found[0], nil
	}
	if len(problems) == 0 {
		problems = []string{"not found in PATH or the usual folders"}
	}
	return binaries{}, fmt.Errorf("%w (%s): %s; or set DATABASE_URL to a running server",
		ErrNoBinaries, strings.Join(problems, "; "), h.installHint())
}

// binaryFolders returns the absolute folders that contain both initdb and postgres, without
// duplicates, those in PATH first.
func (h host) binaryFolders() []string {
	var candidates []string
	for _, dir := range filepath.SplitList(cmp.Or(h.only, h.path)) {
		if path.IsAbs(dir) {
			candidates = append(candidates, strings.TrimPrefix(path.Clean(dir), "/"))
		}
	}
	if h.only == "" {
		for _, pattern := range installFolders {
			matches, _ := fs.Glob(h.root, pattern) // fails only for a malformed pattern
			candidates = append(candidates, matches...)
		}
	}
	var dirs []string
	for _, dir := range candidates {
		abs := "/" + dir
		if !slices.Contains(dirs, abs) && h.isFile(path.Join(dir, "initdb")) && h.isFile(path.Join(dir, "postgres")) {
			dirs = append(dirs, abs)
		}
	}
	return dirs
}

func (h host) isFile(name string) bool {
	info, err := fs.Stat(h.root, name)
	return err == nil && info.Mode().IsRegular()
}

// version is a version of Postgres, for example "15.18" or "19beta1", with its numbers.
type version struct {
	text         string
	major, minor int
}

var versionPattern = regexp.MustCompile(`^(\d+)(?:\.(\d+))?`)

// parseVersion parses the version at the beginning of a text.
func parseVersion(text string) (version, error) {
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return version{}, fmt.Errorf("%q does not begin with a version of Postgres", text)
	}
	text, _, _ = strings.Cut(text, " ") // the suffix of the package follows
	v := version{text: strings.TrimSpace(text)}
	var err error
	if v.major, err = strconv.Atoi(m[1]); err != nil {
		return version{}, fmt.Errorf("major version: %w", err)
	}
	if m[2] != "" {
		if v.minor, err = strconv.Atoi(m[2]); err != nil {
			return version{}, fmt.Errorf("minor version: %w", err)
		}
	}
	return v, nil
}

// binaryVersion runs the server binary in dir, which prints "postgres (PostgreSQL) 15.18 (…)".
func binaryVersion(dir string) (version, error) {
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return version{}, err
	}
	_, after, _ := strings.Cut(string(out), ") ")
	return parseVersion(after)
}

func (v version) String() string { return v.text }

func (v version) compare(w version) int {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor))
}
