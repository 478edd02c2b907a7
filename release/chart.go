package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
)

// unreleased is the version in the chart and the compose file in the repository.
const unreleased = "0.0.0"

// chart writes the Helm chart and the compose file with the version of the release.
func (r *release) chart(context.Context) error {
	files, err := filesBelow(filepath.Join(r.source, "deploy", "helm", "thaw"), "thaw")
	if err != nil {
		return err
	}
	for i := range files {
		if path.Base(files[i].name) == "Chart.yaml" {
			files[i].content, err = r.withVersion(files[i].name, files[i].content)
			if err != nil {
				return err
			}
		}
	}
	if err := r.writeTarGz(fmt.Sprintf("thaw-%s.tgz", r.version), files); err != nil { // the name that Helm expects
		return err
	}
	compose, err := os.ReadFile(filepath.Join(r.source, "deploy", "compose", "compose.yaml"))
	if err != nil {
		return err
	}
	if compose, err = r.withVersion("compose.yaml", compose); err != nil {
		return err
	}
	return r.write(fmt.Sprintf("thaw_%s_compose.yaml", r.version), compose)
}

func (r *release) withVersion(name string, content []byte) ([]byte, error) {
	if !bytes.Contains(content, []byte(unreleased)) {
		return nil, fmt.Errorf("%s does not have the version %s", name, unreleased)
	}
	return bytes.ReplaceAll(content, []byte(unreleased), []byte(r.version)), nil
}
