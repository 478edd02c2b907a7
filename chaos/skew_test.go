package chaos_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// A process reads the kernel's clock directly, without a call that could be intercepted. So the
// program is built with a modified standard library in which a file sets the offset of time.Now,
// effective immediately. Timers and durations use the monotonic clock, which is correct, as on a
// host whose clock was set wrongly.
const (
	clockEnv = "CHAOS_CLOCK" // names the file with the offset in seconds, as 8 bytes

	// The scheduler calls Now too, which must not make a system call. That is why it uses shared
	// memory.
	clockAdded = `
var chaosClock = openChaosClock()

func openChaosClock() *int64 {
	name, _ := syscall.Getenv("` + clockEnv + `")
	file, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return new(int64)
	}
	defer syscall.Close(file)
	memory, err := syscall.Mmap(file, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*int64)(unsafe.Pointer(&memory[0]))
}

func chaosAhead() int64 {
	if chaosClock == nil { // before the package is initialized
		return 0
	}
	return atomic.LoadInt64(chaosClock)
}
`
)

// skewedProgram returns the path of the program with an adjustable clock. The first build takes a
// minute or two, because everything depends on package time; later builds use the go command's
// cache.
var skewedProgram = sync.OnceValues(func() (string, error) {
	path, err := program()
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(path)
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("asking for GOROOT: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	text := string(source)
	for _, edit := range [][2]string{
		{"import (\n", "import (\n\t\"sync/atomic\"\n\t\"syscall\"\n\t\"unsafe\"\n"},
		{"func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n", "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\tsec += chaosAhead()\n"},
	} {
		if strings.Count(text, edit[0]) != 1 {
			return "", errors.New("time.Now has changed in this version of Go: update clockAdded")
		}
		text = strings.Replace(text, edit[0], edit[1], 1)
	}
	changed, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, []byte(text+clockAdded), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return "", err
	}
	skewed := filepath.Join(dir, "thaw-skewed")
	if output, err := exec.Command("go", "build", "-overlay", overlay, "-o", skewed, "github.com/thawline/thaw/cmd/thaw").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building thaw with another clock: %w\n%s", err, output)
	}
	return skewed, nil
})

// A skewed process has its own clock.
type skewed struct {
	*process
	clock string // the file
}

// serveSkewed starts thaw serve with a clock that is ahead, or behind if ahead is negative. It
// returns when the process works and listens.
func (s *scenario) serveSkewed(ahead time.Duration, options ...string) *skewed {
	s.Helper()
	path, err := skewedProgram()
	require.NoError(s, err)
	p := &skewed{clock: filepath.Join(s.TempDir(), "clock")}
	p.set(s, ahead)
	p.process = s.begin(launch{program: path, options: options, env: []string{clockEnv + "=" + p.clock}})
	p.listening()
	return p
}

// set makes the clock jump.
func (p *skewed) set(s *scenario, ahead time.Duration) {
	s.Helper()
	file, err := os.OpenFile(p.clock, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(s, err)
	defer file.Close()
	_, err = file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(ahead/time.Second)), 0)
	require.NoError(s, err)
}

// aheadOf returns by how much a process's clock is ahead of the harness's, in seconds, according to
// the process.
func (s *scenario) aheadOf(p *process) time.Duration {
	s.Helper()
	response, err := web.Get(p.base + "/healthz")
	require.NoError(s, err)
	require.NoError(s, response.Body.Close())
	says, err := http.ParseTime(response.Header.Get("Date"))
	require.NoError(s, err)
	return time.Until(says).Round(10 * time.Second)
}
