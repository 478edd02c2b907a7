package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // registers the format
	_ "github.com/goreleaser/nfpm/v2/rpm" // registers the format
)

// packages writes a deb and an rpm for each platform with Linux, as deploy/nfpm.yaml says.
func (r *release) packages(context.Context) error {
	// The time of the build.
	if err := os.Setenv("SOURCE_DATE_EPOCH", strconv.FormatInt(r.at.Unix(), 10)); err != nil {
		return err
	}
	for p, binary := range r.binaries {
		if p.os != "linux" {
			continue
		}
		values := map[string]string{
			"VERSION": r.version, "ARCH": p.arch, "BINARY": binary, "STAGE": r.stage, "SOURCE": r.source, "TIME": r.at.Format("2006-01-02T15:04:05Z"),
		}
		description, err := os.ReadFile(filepath.Join(r.source, "deploy/nfpm.yaml"))
		if err != nil {
			return err
		}
		// nfpm itself fills in variables in some fields only.
		config, err := nfpm.Parse(strings.NewReader(os.Expand(string(description), func(name string) string { return values[name] })))
		if err != nil {
			return err
		}
		for _, format := range []string{"deb", "rpm"} {
			info, err := config.Get(format)
			if err != nil {
				return err
			}
			packager, err := nfpm.Get(format)
			if err != nil {
				return err
			}
			info = nfpm.WithDefaults(info)
			var built bytes.Buffer
			if err := packager.Package(info, &built); err != nil {
				return fmt.Errorf("%s of %s: %w", format, p, err)
			}
			if err := r.write(packager.ConventionalFileName(info), built.Bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}
