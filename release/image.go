package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// imageUser is not root, and a number, so that Kubernetes can check it.
const imageUser = "65532:65532"

// image writes an image for all platforms with Linux, as an archive in the OCI layout. It has only
// the program, certificates and time zones, and writes no file.
func (r *release) image(ctx context.Context) error {
	shared, err := r.sharedFiles(ctx)
	if err != nil {
		return err
	}
	var index v1.ImageIndex = empty.Index
	index = mutate.IndexMediaType(index, types.OCIImageIndex)
	for _, p := range allPlatforms { // in a fixed order
		binary, ok := r.binaries[p]
		if !ok || p.os != "linux" {
			continue
		}
		program, err := fileAt("usr/bin/thaw", binary)
		if err != nil {
			return err
		}
		image, err := r.imageOf(p, shared, []file{program})
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: &v1.Platform{OS: p.os, Architecture: p.arch}},
		})
	}
	if manifest, err := index.IndexManifest(); err != nil || len(manifest.Manifests) == 0 {
		return err // no platform with Linux
	}
	folder := filepath.Join(r.stage, "oci")
	// The outer index names the image; some tools load an archive only by its name.
	outer, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	name := map[string]string{"org.opencontainers.image.ref.name": r.version, "io.containerd.image.name": "thaw:" + r.version}
	if err := outer.AppendIndex(index, layout.WithAnnotations(name)); err != nil {
		return err
	}
	files, err := filesBelow(folder, "")
	if err != nil {
		return err
	}
	archive, err := tarOf(files, r.at)
	if err != nil {
		return err
	}
	return r.write(fmt.Sprintf("thaw_%s_oci.tar", r.version), archive)
}

// imageOf makes one layer per list of files. The first changes only with Go and the certificates.
func (r *release) imageOf(p platform, layers ...[]file) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, files := range layers {
		archive, err := tarOf(files, r.at)
		if err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil },
			tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: r.at}, CreatedBy: "thaw/release"}})
		if err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.os, p.arch, v1.Time{Time: r.at}
	config.Config = v1.Config{
		User:         imageUser,
		Entrypoint:   []string{"/usr/bin/thaw"},
		Cmd:          []string{"serve"},
		WorkingDir:   "/",
		Env:          []string{"PATH=/usr/bin", "THAW_ADDR=0.0.0.0:8080", "ZONEINFO=/usr/share/zoneinfo.zip"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title": "thaw", "org.opencontainers.image.version": r.version, "org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.source": "https://github.com/thawline/thaw", "org.opencontainers.image.licenses": "MIT",
		},
	}
	return mutate.ConfigFile(image, config)
}

// sharedFiles are the certificates of a pinned module, the time zones of the Go toolchain, and a
// user database for programs that look up the name of the user.
func (r *release) sharedFiles(ctx context.Context) ([]file, error) {
	var certificates bytes.Buffer
	for root := range bundle.Roots() {
		if err := pem.Encode(&certificates, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	goroot, err := outputWith(ctx, r.source, []string{"GOTOOLCHAIN=" + r.goName}, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	zones, err := os.ReadFile(filepath.Join(goroot, "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return nil, err
	}
	license, err := os.ReadFile(filepath.Join(r.source, "LICENSE"))
	if err != nil {
		return nil, err
	}
	id, _, _ := strings.Cut(imageUser, ":")
	return []file{
		{"etc/ssl/certs/ca-certificates.crt", certificates.Bytes(), 0o644},
		{"etc/passwd", []byte("thaw:x:" + imageUser + ":Thaw:/:/sbin/nologin\n"), 0o644},
		{"etc/group", []byte("thaw:x:" + id + ":\n"), 0o644},
		{"usr/share/zoneinfo.zip", zones, 0o644},
		{"usr/share/doc/thaw/copyright", license, 0o644},
	}, nil
}
