package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// host is the platform of this process, whose binary prints the manual page.
var host = platform{runtime.GOOS, runtime.GOARCH}

func (r *release) build(ctx context.Context, platforms []platform, twice bool) error {
	for _, p := range platforms {
		path := filepath.Join(r.stage, "bin", p.os+"_"+p.arch, "thaw")
		if err := r.buildOne(ctx, p, path); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		stamped, err := r.stampedVersion(path)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if r.version == "" {
			r.version = stamped
		}
		if r.version != stamped {
			return fmt.Errorf("%s: the binary says that it is version %s, not %s", p, stamped, r.version)
		}
		if twice {
			if err := r.buildAgain(ctx, p, path); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
		r.binaries[p] = path
	}
	return nil
}

// buildOne builds a static binary. Go stamps it with the tag and the commit of the checkout.
func (r *release) buildOne(ctx context.Context, p platform, path string, environ ...string) error {
	environ = append(environ, "GOTOOLCHAIN="+r.goName, "GOFLAGS=", "GOWORK=", "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch,
		"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=")
	_, err := outputWith(ctx, r.source, environ, "go", "build", "-buildvcs=true", "-trimpath", "-ldflags=-s -w", "-o", path, "./cmd/thaw")
	return err
}

// stampedVersion returns the version that Go took from the checkout, after it has checked that the
// binary is of this commit.
func (r *release) stampedVersion(path string) (string, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", err
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	if settings["vcs.modified"] != "false" || settings["vcs.revision"] != r.commit {
		return "", fmt.Errorf("built from commit %q (modified: %s), not from %s", settings["vcs.revision"], settings["vcs.modified"], r.commit)
	}
	return strings.TrimPrefix(info.Main.Version, "v"), nil
}

// buildAgain builds the binary in another folder, with an empty build cache, and compares it.
func (r *release) buildAgain(ctx context.Context, p platform, path string) error {
	folder, err := os.MkdirTemp("", "thaw-release-again-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	other := &release{source: filepath.Join(folder, "elsewhere"), commit: r.commit, goName: r.goName}
	if _, err := output(ctx, folder, "git", "clone", "--quiet", r.source, other.source); err != nil {
		return err
	}
	again := filepath.Join(folder, "thaw")
	if err := other.buildOne(ctx, p, again, "GOCACHE="+filepath.Join(folder, "cache")); err != nil {
		return err
	}
	first, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	second, err := os.ReadFile(again)
	if err != nil {
		return err
	}
	if !bytes.Equal(first, second) {
		return errors.New("two builds of the same commit differ")
	}
	fmt.Printf("%s: two builds are equal\n", p)
	return nil
}

// completions are the folders in which each shell finds completions, in an archive.
var completions = map[string]string{"bash": "thaw.bash", "zsh": "_thaw", "fish": "thaw.fish"}

// writeHelp asks the program for its manual page and completions.
func (r *release) writeHelp(ctx context.Context) error {
	path, ok := r.binaries[host]
	if !ok {
		path = filepath.Join(r.stage, "host", "thaw")
		if err := r.buildOne(ctx, host, path); err != nil {
			return err
		}
	}
	page, err := output(ctx, r.stage, path, "man")
	if err != nil {
		return err
	}
	compressed, err := gzipped([]byte(page + "\n"))
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(r.stage, "thaw.1.gz"), compressed); err != nil {
		return err
	}
	for shell, name := range completions {
		script, err := output(ctx, r.stage, path, "completion", shell)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(r.stage, name), []byte(script+"\n")); err != nil {
			return err
		}
	}
	return nil
}
