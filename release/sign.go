package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The identity and the purpose that a signature is valid for. docs/install.md has the command that
// checks one.
const (
	signer    = "thaw-release"
	namespace = "thaw-release"
)

const checksumsFile = "SHA256SUMS"

// sign writes the checksums of all files and signs them with an SSH key, because ssh-keygen is
// everywhere. deploy/allowed_signers has the public keys that releases are signed with, so that
// users can get them from the repository and not from the place where they got the release.
func (r *release) sign(ctx context.Context, key string) error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, entry := range entries { // in the order of their names
		content, err := os.ReadFile(filepath.Join(r.out, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	if err := r.write(checksumsFile, sums.Bytes()); err != nil {
		return err
	}
	allowed := filepath.Join(r.source, "deploy", "allowed_signers")
	if key == "" {
		key = filepath.Join(r.stage, "key")
		if _, err := output(ctx, r.stage, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "snapshot", "-f", key); err != nil {
			return err
		}
		public, err := os.ReadFile(key + ".pub")
		if err != nil {
			return err
		}
		allowed = filepath.Join(r.stage, "allowed_signers")
		line := fmt.Sprintf("%s namespaces=%q %s", signer, namespace, public)
		if err := writeFile(allowed, []byte(line)); err != nil {
			return err
		}
	}
	checksums := filepath.Join(r.out, checksumsFile)
	if _, err := output(ctx, r.out, "ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", namespace, checksums); err != nil {
		return err
	}
	return verify(ctx, checksums, allowed)
}

// verify checks a signature as a user does.
func verify(ctx context.Context, checksums, allowed string) error {
	signed, err := os.Open(checksums)
	if err != nil {
		return err
	}
	defer signed.Close()
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "verify", "-f", allowed, "-I", signer, "-n", namespace, "-s", checksums+".sig")
	cmd.Stdin = signed
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the signature is not by a key in deploy/allowed_signers: %w: %s", err, bytes.TrimSpace(said))
	}
	return nil
}
