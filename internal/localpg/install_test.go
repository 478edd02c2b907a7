package localpg

import (
	"cmp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestInstallCommand(t *testing.T) {
	t.Parallel()
	const fromPostgres = "sudo apt-get update && sudo apt-get install -y postgresql-common && " +
		"sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && sudo apt-get install -y postgresql-17"
	for _, tc := range []struct {
		name      string
		os        string // default linux
		osRelease string
		superuser bool
		want      string
	}{
		{name: "Debian 12", osRelease: "ID=debian\nVERSION_ID=\"12\"\n", want: "sudo apt-get update && sudo apt-get install -y postgresql"},
		{name: "Debian 12 as root", osRelease: "ID=debian\nVERSION_ID=\"12\"\n", superuser: true, want: "apt-get update && apt-get install -y postgresql"},
		{name: "Debian unstable", osRelease: "ID=debian\n", want: "sudo apt-get update && sudo apt-get install -y postgresql"},
		{name: "Debian 11 packages version 13", osRelease: "ID=debian\nVERSION_ID=\"11\"\n", want: fromPostgres},
		{name: "Ubuntu 22.04 packages version 14", osRelease: "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"22.04\"\n", want: fromPostgres},
		{name: "Ubuntu 24.04", osRelease: "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n", want: "sudo apt-get update && sudo apt-get install -y postgresql"},
		{name: "a child of Ubuntu", osRelease: "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"\n", want: "sudo apt-get update && sudo apt-get install -y postgresql"},
		{name: "Fedora", osRelease: "ID=fedora\nVERSION_ID=42\n", want: "sudo dnf install -y postgresql-server"},
		{name: "Rocky 9 has version 15 as a module", osRelease: "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n", want: "sudo dnf module install -y postgresql:15/server"},
		{name: "RHEL 10", osRelease: "ID=rhel\nID_LIKE=fedora\nVERSION_ID=\"10.0\"\n", want: "sudo dnf install -y postgresql-server"},
		{name: "Amazon Linux", osRelease: "ID=amzn\nID_LIKE=fedora\nVERSION_ID=\"2023\"\n", want: "sudo dnf install -y postgresql15-server"},
		{name: "Alpine", osRelease: "ID=alpine\nVERSION_ID=3.22.0\n", superuser: true, want: "apk add postgresql"},
		{name: "macOS", os: "darwin", superuser: true, want: "brew install postgresql@17"},
		{name: "unknown Linux", osRelease: "ID=plan9\n", want: ""},
		{name: "no os-release", want: ""},
		{name: "another system", os: "freebsd", osRelease: "ID=freebsd\n", want: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			root := fstest.MapFS{}
			if tc.osRelease != "" {
				root["etc/os-release"] = &fstest.MapFile{Data: []byte(tc.osRelease)}
			}
			h := host{os: cmp.Or(tc.os, "linux"), root: root, superuser: tc.superuser}
			require.Equal(t, tc.want, h.installCommand())
			if tc.want == "" {
				require.Contains(t, h.installHint(), "package manager")
			}
		})
	}
}

func TestOSReleaseInUsrLib(t *testing.T) {
	t.Parallel()
	h := host{os: "linux", root: fstest.MapFS{"usr/lib/os-release": {Data: []byte("# comment\nID='alpine'\n")}}}
	require.Equal(t, "sudo apk add postgresql", h.installCommand())
}
