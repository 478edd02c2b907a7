package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/CycloneDX/cyclonedx-gomod/pkg/generate/bin"
	"github.com/rs/zerolog"
)

// moduleLists writes for each binary which modules it contains, with their versions and checksums
// (SBOM). It reads what the Go toolchain recorded in the binary.
func (r *release) moduleLists(context.Context) error {
	for p, binary := range r.binaries {
		generator, err := bin.NewGenerator(binary, bin.WithIncludeStdlib(true), bin.WithLogger(zerolog.Nop()))
		if err != nil {
			return err
		}
		list, err := generator.Generate()
		if err != nil {
			return err
		}
		list.SerialNumber = "" // random
		list.Metadata.Timestamp = r.at.Format("2006-01-02T15:04:05Z")
		var written bytes.Buffer
		if err := cyclonedx.NewBOMEncoder(&written, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(list); err != nil {
			return err
		}
		if err := r.write(fmt.Sprintf("thaw_%s_%s_%s.cdx.json", r.version, p.os, p.arch), written.Bytes()); err != nil {
			return err
		}
	}
	return nil
}
