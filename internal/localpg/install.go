package localpg

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// installHint describes how to install the server binaries on this system.
func (h host) installHint() string {
	if command := h.installCommand(); command != "" {
		return "install them with `" + command + "`"
	}
	return "install the PostgreSQL server with this system's package manager"
}

// installCommand returns the command line that installs Postgres 15 or later, or "" for an unknown
// system.
func (h host) installCommand() string {
	if h.os == "darwin" {
		return "brew install postgresql@17" // Homebrew does not run as root
	}
	if h.os != "linux" {
		return ""
	}
	sudo := "sudo "
	if h.superuser {
		sudo = ""
	}
	release := h.osRelease()
	// ID comes first, because ID_LIKE only names similar systems.
	for _, id := range slices.Concat([]string{release["ID"]}, strings.Fields(release["ID_LIKE"])) {
		switch id {
		case "debian", "ubuntu":
			update := sudo + "apt-get update && " + sudo + "apt-get install -y "
			if ownPostgresTooOld(release) {
				return update + "postgresql-common && " + sudo +
					"/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && " + sudo + "apt-get install -y postgresql-17"
			}
			return update + "postgresql"
		case "amzn":
			return sudo + "dnf install -y postgresql15-server"
		case "fedora", "rhel", "centos":
			if ownPostgresTooOld(release) {
				return sudo + "dnf module install -y postgresql:15/server"
			}
			return sudo + "dnf install -y postgresql-server"
		case "alpine":
			return sudo + "apk add postgresql"
		}
	}
	return ""
}

// firstRelease has the first release of a system whose default package is Postgres 15 or later, by
// the ID of the system. Other systems had it before this program existed, or do not number their
// releases like this.
var firstRelease = map[string]int{
	"debian": 12, "ubuntu": 23,
	"rhel": 10, "centos": 10, "rocky": 10, "almalinux": 10, "ol": 10,
}

func ownPostgresTooOld(release map[string]string) bool {
	major, _, _ := strings.Cut(release["VERSION_ID"], ".")
	number, err := strconv.Atoi(major)
	return err == nil && number < firstRelease[release["ID"]]
}

// osRelease reads the variables of the os-release file, which identifies a Linux system. The result
// is empty if there is no such file.
func (h host) osRelease() map[string]string {
	text, err := fs.ReadFile(h.root, "etc/os-release")
	if err != nil {
		text, _ = fs.ReadFile(h.root, "usr/lib/os-release")
	}
	release := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		release[name] = strings.Trim(value, `"'`)
	}
	return release
}
