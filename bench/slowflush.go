package bench

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// slowFlush is preloaded into the server. commit_delay is no substitute: it makes commits wait for
// each other, which is what is measured here.
//
//go:embed preload/slowflush.c
var slowFlush string

// preload returns the environment for a server whose WAL flushes are delayed. It needs Linux and a
// C compiler.
func preload(ctx context.Context, folder string, later time.Duration) ([]string, error) {
	if later == 0 {
		return nil, nil
	}
	if runtime.GOOS != "linux" {
		return nil, errors.New("--flush is supported on Linux only")
	}
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return nil, errors.New("--flush needs a C compiler: install cc, or omit --flush")
	}
	source, library := filepath.Join(folder, "slowflush.c"), filepath.Join(folder, "slowflush.so")
	if err := os.WriteFile(source, []byte(slowFlush), 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compiling slowflush.c: %w\n%s", err, out)
	}
	// The server may run as another user.
	if err := errors.Join(os.Chmod(folder, 0o755), os.Chmod(library, 0o755)); err != nil { //nolint:gosec // it contains nothing else
		return nil, err
	}
	return []string{"LD_PRELOAD=" + library, "THAW_BENCH_FLUSH_MICROS=" + strconv.FormatInt(later.Microseconds(), 10)}, nil
}
