// Command release builds everything that a release consists of from a commit, into one folder:
//
//   - static binaries in archives, with the manual page and completions
//   - deb and rpm packages with a systemd unit
//   - an image for containers, as an archive in the OCI layout
//   - a Helm chart, a compose file
//   - for each binary, the list of its modules (SBOM, CycloneDX)
//   - the checksums of all of these, and a signature of the checksums
//
// Run it in a clone of the repository:
//
//	go run . --key ~/.ssh/thaw-release      # the version is the tag of the commit
//	go run . --snapshot                     # any commit, signed with a key for this build only
//
// The same commit gives the same bytes everywhere: times are those of the commit, the Go
// version is the one in .ci/go-version, and certificates and time zones come from pinned modules.
// Only the signature depends on the key. With --twice, all binaries are built a second time with an
// empty build cache, and must be equal.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var o options
	flag.StringVar(&o.out, "out", "dist", "folder for the files of the release; must not exist")
	flag.StringVar(&o.key, "key", os.Getenv("THAW_RELEASE_KEY"), "SSH private key that signs the checksums (THAW_RELEASE_KEY)")
	flag.BoolVar(&o.snapshot, "snapshot", false, "build a commit without a tag, signed with a new key")
	flag.BoolVar(&o.twice, "twice", false, "build all binaries twice and compare them")
	flag.Func("platforms", "platforms to build, for example linux/amd64,linux/arm64 (default all)", o.setPlatforms)
	flag.Parse()
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "release: %s\n", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	out, key        string
	snapshot, twice bool
	platforms       []platform
}

// A platform is an operating system and a processor, as Go names them.
type platform struct{ os, arch string }

var allPlatforms = []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}

func (p platform) String() string { return p.os + "/" + p.arch }

func (o *options) setPlatforms(list string) error {
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for _, p := range allPlatforms {
			if p.String() == name {
				o.platforms, found = append(o.platforms, p), true
			}
		}
		if !found {
			return fmt.Errorf("%q is not one of %v", name, allPlatforms)
		}
	}
	return nil
}

// A release is what all of its files share.
type release struct {
	source  string    // a clean checkout of the commit
	out     string    // folder of the finished files
	stage   string    // folder of files that go into several others
	version string    // without v; of a snapshot known when a binary is built
	commit  string    // full hash
	at      time.Time // of the commit
	goName  string    // toolchain, for example go1.26.11
	// binaries is the path of the binary by platform.
	binaries map[platform]string
}

func (o *options) run(ctx context.Context) error {
	if len(o.platforms) == 0 {
		o.platforms = allPlatforms
	}
	if o.snapshot == (o.key != "") {
		return errors.New("give either --key (or THAW_RELEASE_KEY), or --snapshot")
	}
	out, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	if _, err := os.Stat(out); err == nil {
		return fmt.Errorf("%s exists: remove it, or choose another folder with --out", out)
	}
	work, err := os.MkdirTemp("", "thaw-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	r := &release{source: filepath.Join(work, "source"), out: out, stage: filepath.Join(work, "stage"), binaries: map[platform]string{}}
	if err := r.checkOut(ctx, o.snapshot); err != nil {
		return err
	}
	for _, folder := range []string{r.out, r.stage} {
		if err := os.MkdirAll(folder, 0o750); err != nil {
			return err
		}
	}
	fmt.Printf("Thaw %s, commit %s, %s\n", cmp.Or(r.version, "snapshot"), r.commit, r.goName)
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"binaries", func(ctx context.Context) error { return r.build(ctx, o.platforms, o.twice) }},
		{"manual page and completions", r.writeHelp},
		{"archives", r.archives},
		{"packages", r.packages},
		{"image", r.image},
		{"chart and compose file", r.chart},
		{"module lists", r.moduleLists},
		{"checksums and signature", func(ctx context.Context) error { return r.sign(ctx, o.key) }},
	}
	for _, step := range steps {
		fmt.Printf("== %s\n", step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// releaseTag matches the tag of a release.
var releaseTag = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$`)

// checkOut clones the commit into a folder of its own, so that nothing of the work tree gets into
// the release.
func (r *release) checkOut(ctx context.Context, snapshot bool) error {
	root, err := output(ctx, ".", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if r.commit, err = output(ctx, root, "git", "rev-parse", "HEAD"); err != nil {
		return err
	}
	if _, err := output(ctx, root, "git", "clone", "--quiet", "--no-checkout", root, r.source); err != nil {
		return err
	}
	if _, err := output(ctx, r.source, "git", "checkout", "--quiet", "--detach", r.commit); err != nil {
		return err
	}
	seconds, err := output(ctx, r.source, "git", "show", "-s", "--format=%ct", "HEAD")
	if err != nil {
		return err
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return err
	}
	r.at = time.Unix(unix, 0).UTC()
	toolchain, err := os.ReadFile(filepath.Join(r.source, ".ci", "go-version"))
	if err != nil {
		return err
	}
	r.goName = strings.TrimSpace(string(toolchain))

	if snapshot {
		return nil // Go derives the version from the commit and the newest tag before it
	}
	tags, err := output(ctx, r.source, "git", "tag", "--points-at", "HEAD")
	if err != nil {
		return err
	}
	for tag := range strings.Lines(tags) {
		if tag = strings.TrimSpace(tag); releaseTag.MatchString(tag) {
			r.version = strings.TrimPrefix(tag, "v")
			return r.checkTag()
		}
	}
	return fmt.Errorf("commit %s has no tag like v1.2.3: tag it, or pass --snapshot", r.commit[:12])
}

// checkTag refuses a tag on a commit that does not release this version. A test of package schema
// then requires that all migrations of the commit are frozen.
func (r *release) checkTag() error {
	changelog, err := os.ReadFile(filepath.Join(r.source, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	if first := regexp.MustCompile(`(?m)^## (\S+)`).FindSubmatch(changelog); first == nil || string(first[1]) != "v"+r.version {
		return fmt.Errorf("the first section of CHANGELOG.md is not v%s: the tag is on a commit that does not release this version", r.version)
	}
	return nil
}

// output runs a program in a folder and returns what it prints, without the last line break.
func output(ctx context.Context, folder, name string, args ...string) (string, error) {
	return outputWith(ctx, folder, nil, name, args...)
}

func outputWith(ctx context.Context, folder string, environ []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), environ...)
	printed, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(failed.Stderr)))
	}
	return strings.TrimSuffix(string(printed), "\n"), err
}
