package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/thawline/thaw/internal/localpg"
)

// These tests check the files of a finished release for the platform on which they run, as the
// tools see them that users have.
var dist = flag.String("dist", "../dist", "folder that the program wrote")

// only returns the one file that matches a pattern.
func only(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(*dist, pattern))
	require.NoError(t, err)
	require.Len(t, found, 1, "%s in %s: write it with just release --snapshot", pattern, *dist)
	path, err := filepath.Abs(found[0])
	require.NoError(t, err)
	return path
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	printed, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", name, args, printed)
	return string(printed)
}

func TestChecksumsAndSignature(t *testing.T) {
	t.Parallel()
	checksums := only(t, checksumsFile)
	cmd := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", filepath.Base(checksums))
	cmd.Dir = filepath.Dir(checksums)
	printed, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", printed)

	// A release that was signed with another key is refused.
	folder := t.TempDir()
	key := filepath.Join(folder, "key")
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	public, err := os.ReadFile(key + ".pub")
	require.NoError(t, err)
	allowed := filepath.Join(folder, "allowed")
	require.NoError(t, os.WriteFile(allowed, fmt.Appendf(nil, "%s %s", signer, public), 0o600))
	require.ErrorContains(t, verify(t.Context(), checksums, allowed), "not by a key in deploy/allowed_signers")
}

// The binary is static and says what it was built from.
func TestBinarySaysItsVersion(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	run(t, "tar", "-xzf", only(t, "thaw_*_linux_"+runtime.GOARCH+".tar.gz"), "-C", folder, "--strip-components", "1")
	var build struct {
		Version, Commit, Date, Go string
		Schema                    int
	}
	require.NoError(t, json.Unmarshal([]byte(run(t, filepath.Join(folder, "thaw"), "version", "--json")), &build))
	require.Contains(t, only(t, "thaw_*_linux_"+runtime.GOARCH+".tar.gz"), strings.TrimPrefix(build.Version, "v"))
	require.Regexp(t, `^[0-9a-f]{40}$`, build.Commit)
	require.NotEmpty(t, build.Date)
	require.Positive(t, build.Schema)
	toolchain, err := os.ReadFile("../.ci/go-version")
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(toolchain)), build.Go)
	interpreter, err := exec.CommandContext(t.Context(), "ldd", filepath.Join(folder, "thaw")).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(interpreter), "not a dynamic executable")
}

func TestUnitIsHardened(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	run(t, "dpkg-deb", "-x", only(t, "thaw_*_"+runtime.GOARCH+".deb"), folder)
	unit := filepath.Join(folder, "usr/lib/systemd/system/thaw.service")
	run(t, "systemd-analyze", "security", "--offline=true", "--threshold=19", unit) // tenths: at most 1.9
}

func TestPackagesHaveTheSameFiles(t *testing.T) {
	t.Parallel()
	want := []string{
		"/etc/thaw/thaw.env", "/usr/bin/thaw", "/usr/lib/systemd/system/thaw.service", "/usr/share/bash-completion/completions/thaw",
		"/usr/share/doc/thaw/copyright", "/usr/share/fish/vendor_completions.d/thaw.fish", "/usr/share/man/man1/thaw.1.gz",
	}
	var files []string
	for line := range strings.Lines(run(t, "dpkg-deb", "-c", only(t, "thaw_*_"+runtime.GOARCH+".deb"))) {
		if fields := strings.Fields(line); !strings.HasPrefix(line, "d") {
			require.Equal(t, "root/root", fields[1])
			files = append(files, strings.TrimPrefix(fields[5], "."))
		}
	}
	require.ElementsMatch(t, append(want, "/usr/share/zsh/vendor-completions/_thaw"), files)
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	require.ElementsMatch(t, append(want, "/usr/share/zsh/site-functions/_thaw"),
		strings.Fields(run(t, "rpm", "-qpl", only(t, "thaw-*."+arch+".rpm"))))
}

// unpacked writes the files of the image into a folder, as a container runtime does, and returns
// its configuration.
func unpacked(t *testing.T, folder string) *v1.ConfigFile {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "layout")
	require.NoError(t, os.Mkdir(archive, 0o755))
	run(t, "tar", "-xf", only(t, "thaw_*_oci.tar"), "-C", archive)
	outer, err := layout.ImageIndexFromPath(archive)
	require.NoError(t, err)
	manifest, err := outer.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	platforms, err := index.IndexManifest()
	require.NoError(t, err)
	for _, one := range platforms.Manifests {
		if one.Platform.Architecture != runtime.GOARCH {
			continue
		}
		image, err := index.Image(one.Digest)
		require.NoError(t, err)
		config, err := image.ConfigFile()
		require.NoError(t, err)
		files := mutate.Extract(image)
		defer files.Close()
		require.NoError(t, extract(files, folder))
		return config
	}
	t.Fatalf("the image has no platform for %s", runtime.GOARCH)
	return nil
}

func extract(archive io.Reader, folder string) error {
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(folder, filepath.FromSlash(header.Name))
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var content []byte
			if content, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(path, content, header.FileInfo().Mode())
			}
		}
		if err != nil {
			return err
		}
	}
}

// The image runs in a container: read-only, as an ordinary user without capabilities, and with only
// what is in the image. It serves its pages on a database that it migrates itself.
func TestImageRuns(t *testing.T) {
	t.Parallel()
	database := overTCP(t)
	bundle := t.TempDir()
	require.NoError(t, os.Chmod(bundle, 0o755))
	root := filepath.Join(bundle, "rootfs")
	for _, folder := range []string{root, filepath.Join(root, "proc")} {
		require.NoError(t, os.Mkdir(folder, 0o755))
	}
	config := unpacked(t, root)
	require.Equal(t, imageUser, config.Config.User)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())

	start := func(id string, environ []string, args ...string) *exec.Cmd {
		spec := containerSpec(append(config.Config.Env, environ...), append(config.Config.Entrypoint, args...))
		content, err := json.Marshal(spec)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(bundle, "config.json"), content, 0o600))
		cmd := exec.CommandContext(t.Context(), "runc", "--root", filepath.Join(bundle, "state"), "run", "--bundle", bundle, id)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // runc passes it on
		cmd.WaitDelay = time.Minute
		return cmd
	}
	name := fmt.Sprintf("thaw-%d", os.Getpid())
	printed, err := start(name+"-version", nil, "version").CombinedOutput()
	require.NoError(t, err, "%s", printed)
	require.Contains(t, string(printed), "schema version ")

	var log bytes.Buffer
	cmd := start(name+"-serve", []string{"THAW_DATABASE_URL=" + database, "THAW_ADDR=" + address, "THAW_ADMIN_PASSWORD=correct horse"}, "serve", "--migrate")
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.After(2 * time.Minute)
	for get(t.Context(), "http://"+address+"/readyz", "") != http.StatusOK {
		select {
		case err := <-ended:
			t.Fatalf("the container ended: %v\n%s", err, log.String())
		case <-deadline:
			t.Fatalf("the container is not ready\n%s", log.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	require.Equal(t, http.StatusUnauthorized, get(t.Context(), "http://"+address+"/", ""))
	require.Equal(t, http.StatusOK, get(t.Context(), "http://"+address+"/", "correct horse"))
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, <-ended, "%s", log.String())
}

// overTCP starts a private Postgres and returns its URL. The server itself listens on a socket that
// only its user can open, which does not exist in a container.
func overTCP(t *testing.T) string {
	t.Helper()
	server, err := localpg.Start(t.Context(), localpg.Options{InMemory: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	config, err := pgx.ParseConfig(server.URL("postgres"))
	require.NoError(t, err)
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go forward(client, network, address)
		}
	}()
	return fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=disable", config.User, config.Password, listener.Addr())
}

func forward(client net.Conn, network, address string) {
	defer client.Close()
	server, err := net.Dial(network, address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// get returns the status of a page, 0 if there is no response.
func get(ctx context.Context, url, password string) int {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	if password != "" {
		request.SetBasicAuth("admin", password)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// containerSpec is an OCI runtime configuration with the strictest settings that Kubernetes and
// Docker offer. The network is that of the host, where the database is.
func containerSpec(environ, args []string) map[string]any {
	type object = map[string]any
	return object{
		"ociVersion": "1.0.2",
		"process": object{
			"user": object{"uid": 65532, "gid": 65532}, "args": args, "env": environ, "cwd": "/", "noNewPrivileges": true,
			"capabilities": object{"bounding": []string{}, "effective": []string{}, "permitted": []string{}, "inheritable": []string{}},
		},
		"root":   object{"path": "rootfs", "readonly": true},
		"mounts": []object{{"destination": "/proc", "type": "proc", "source": "proc"}},
		"linux": object{
			"namespaces":    []object{{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}},
			"maskedPaths":   []string{"/proc/kcore", "/proc/keys"},
			"readonlyPaths": []string{"/proc/sys"},
		},
	}
}

// The chart and the compose file name the version of the release.
func TestChartAndComposeHaveTheVersion(t *testing.T) {
	t.Parallel()
	chart := only(t, "thaw-*.tgz")
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(chart), "thaw-"), ".tgz")
	described := run(t, "tar", "-xzOf", chart, "thaw/Chart.yaml")
	require.Regexp(t, `(?m)^version: `+regexp.QuoteMeta(version)+`$`, described)
	require.Regexp(t, `(?m)^appVersion: `+regexp.QuoteMeta(version)+`$`, described)
	compose, err := os.ReadFile(only(t, "thaw_*_compose.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(compose), "thaw:"+version+"}")
}
