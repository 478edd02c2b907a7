package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// isLicense matches the license files of a module.
var isLicense = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// The license text is the same for releases on all of these platforms.
var releases = []string{"linux/amd64", "linux/arm64", "darwin/arm64"}

// "thaw licenses" prints the licenses of exactly the modules in the binary, in the versions of
// go.mod.
func TestLicensesMatchModules(t *testing.T) {
	t.Parallel()
	modules := map[string]string{} // folder by module path and version
	for _, release := range releases {
		goos, goarch, _ := strings.Cut(release, "/")
		command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Module", ".")
		command.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
		out, err := command.Output()
		require.NoError(t, err)
		decoder := json.NewDecoder(strings.NewReader(string(out)))
		for {
			var listed struct {
				Module *struct {
					Path, Version, Dir string
					Main               bool
				}
			}
			err := decoder.Decode(&listed)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if m := listed.Module; m != nil && !m.Main {
				modules[m.Path+" "+m.Version] = m.Dir
			}
		}
	}
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)

	var text strings.Builder
	own, err := os.ReadFile("../../LICENSE")
	require.NoError(t, err)
	fmt.Fprintf(&text, "Thaw\n\n%s\n", own)
	text.WriteString("Thaw contains the Go modules below. The module riverqueue.com/riverui includes the JavaScript front end of River UI,\n" +
		"served at /jobs/. Its packages are listed in the repository of that module.\n")
	add := func(name, dir string) {
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		found := false
		for _, file := range files {
			if file.IsDir() || !isLicense.MatchString(file.Name()) {
				continue
			}
			found = true
			content, err := os.ReadFile(filepath.Join(dir, file.Name()))
			require.NoError(t, err)
			fmt.Fprintf(&text, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("-", 80), name, file.Name(), strings.TrimSpace(string(content)))
		}
		require.True(t, found, "%s has no license in %s", name, dir)
	}
	add("Go", strings.TrimSpace(string(goroot)))
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		add(name, modules[name])
	}
	got := strings.ReplaceAll(text.String(), "\r\n", "\n")
	if *update {
		require.NoError(t, os.WriteFile("licenses.txt", []byte(got), 0o600))
		return
	}
	if got != licenses {
		t.Fatal("licenses.txt is outdated: run go test ./cmd/thaw -run Licenses -update")
	}
	require.Greater(t, len(modules), 20)
}
