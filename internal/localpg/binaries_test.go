package localpg

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// simulatedHost returns a host with the given server versions by folder.
func simulatedHost(path string, versions map[string]string) host {
	root := fstest.MapFS{}
	for dir := range versions {
		root[strings.TrimPrefix(dir, "/")+"/initdb"] = &fstest.MapFile{Mode: 0o755}
		root[strings.TrimPrefix(dir, "/")+"/postgres"] = &fstest.MapFile{Mode: 0o755}
	}
	return host{os: "linux", root: root, path: path, versionOf: func(dir string) (version, error) {
		if versions[dir] == "broken" {
			return version{}, errors.New("exec format error")
		}
		return parseVersion(versions[dir])
	}}
}

func TestNewestBinaries(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		path     string
		versions map[string]string // by folder
		want     string
	}{
		{"in PATH", "/opt/pg/bin", map[string]string{"/opt/pg/bin": "16.2"}, "/opt/pg/bin"},
		{"Debian", "/usr/bin", map[string]string{"/usr/lib/postgresql/15/bin": "15.18"}, "/usr/lib/postgresql/15/bin"},
		{"RPM", "/usr/bin", map[string]string{"/usr/pgsql-17/bin": "17.1"}, "/usr/pgsql-17/bin"},
		{"Alpine", "/usr/bin", map[string]string{"/usr/libexec/postgresql17": "17.1"}, "/usr/libexec/postgresql17"},
		{"Homebrew", "", map[string]string{"/opt/homebrew/opt/postgresql@16/bin": "16.0"}, "/opt/homebrew/opt/postgresql@16/bin"},
		{"Homebrew on Intel", "", map[string]string{"/usr/local/opt/postgresql@16/bin": "16.0"}, "/usr/local/opt/postgresql@16/bin"},
		{
			"Postgres.app", "",
			map[string]string{"/Applications/Postgres.app/Contents/Versions/17/bin": "17.0"},
			"/Applications/Postgres.app/Contents/Versions/17/bin",
		},
		{
			"versions are compared as numbers", "",
			map[string]string{"/usr/lib/postgresql/15/bin": "15.9", "/usr/pgsql-15/bin": "15.10"},
			"/usr/pgsql-15/bin",
		},
		{
			"newer than the one in PATH", "/usr/bin",
			map[string]string{"/usr/bin": "15.3", "/usr/lib/postgresql/17/bin": "17.0"},
			"/usr/lib/postgresql/17/bin",
		},
		{
			"among equal versions the first in PATH", "/b:/a",
			map[string]string{"/a": "16.1", "/b": "16.1", "/usr/pgsql-16/bin": "16.1"},
			"/b",
		},
		{
			"old and broken versions are skipped", "/old:/broken",
			map[string]string{"/old": "9.6.24", "/broken": "broken", "/usr/pgsql-15/bin": "15.0"},
			"/usr/pgsql-15/bin",
		},
		{"a beta", "/beta", map[string]string{"/beta": "19beta1"}, "/beta"},
		{"PATH with relative and missing entries", ".::bin:/none:/pg/", map[string]string{"/pg": "15.0"}, "/pg"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := simulatedHost(tc.path, tc.versions).newestBinaries()
			require.NoError(t, err)
			require.Equal(t, tc.want, got.dir)
			require.Equal(t, tc.versions[tc.want], got.version.String())
		})
	}
}

func TestFolderInEnvironment(t *testing.T) {
	t.Parallel()
	h := simulatedHost("/usr/bin", map[string]string{"/usr/bin": "18.1", "/opt/pg/bin": "16.2"})
	h.only = "/opt/pg/bin"
	got, err := h.newestBinaries()
	require.NoError(t, err)
	require.Equal(t, "/opt/pg/bin", got.dir)
	for _, other := range []string{"/opt/none", "opt/pg/bin"} {
		h.only = other
		_, err = h.newestBinaries()
		require.ErrorIs(t, err, ErrNoBinaries)
		require.ErrorContains(t, err, `THAW_POSTGRES_BIN is "`+other+`"`)
	}
}

func TestNoBinaries(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		versions map[string]string
		want     []string // parts of the error
	}{
		{"none", nil, []string{"not found in PATH or the usual folders"}},
		{
			"too old",
			map[string]string{"/usr/lib/postgresql/13/bin": "13.4", "/usr/lib/postgresql/14/bin": "14.20"},
			[]string{"/usr/lib/postgresql/13/bin is version 13.4", "/usr/lib/postgresql/14/bin is version 14.20"},
		},
		{"broken", map[string]string{"/usr/pgsql-16/bin": "broken"}, []string{"/usr/pgsql-16/bin does not run (exec format error)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := simulatedHost("/usr/bin", tc.versions)
			h.root.(fstest.MapFS)["etc/os-release"] = &fstest.MapFile{Data: []byte("ID=alpine\n")}
			_, err := h.newestBinaries()
			require.ErrorIs(t, err, ErrNoBinaries)
			for _, part := range append(tc.want, "`sudo apk add postgresql`", "DATABASE_URL") {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

// Client packages install psql, and some install initdb, without the server.
func TestClientPackageIsNotAServer(t *testing.T) {
	t.Parallel()
	h := simulatedHost("/usr/bin", nil)
	h.root = fstest.MapFS{"usr/bin/initdb": {Mode: 0o755}, "usr/bin/psql": {Mode: 0o755}}
	_, err := h.newestBinaries()
	require.ErrorIs(t, err, ErrNoBinaries)
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]version{
		"15.18 (Debian 15.18-0+deb12u1)\n": {"15.18", 15, 18},
		"17.2\n":                           {"17.2", 17, 2},
		"9.6.24":                           {"9.6.24", 9, 6},
		"19devel":                          {"19devel", 19, 0},
	} {
		got, err := parseVersion(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "PostgreSQL 15", "99999999999999999999"} {
		_, err := parseVersion(text)
		require.Error(t, err, text)
	}
}

// The installed binaries print their version in the expected format.
func TestBinaryVersion(t *testing.T) {
	t.Parallel()
	bin, err := thisHost().newestBinaries()
	require.NoError(t, err)
	require.GreaterOrEqual(t, bin.version.major, minMajor)
	require.NotContains(t, bin.version.String(), " ")
}
