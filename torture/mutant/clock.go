package mutant

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Go binary asks no library what time it is, so a worker whose wall clock can be
// moved is one that was compiled with another source of package time: whole
// seconds are added to it, as many as a file says.
const (
	read = "sec, nsec, mono := runtimeNow()\n"
	jump = `package time

import (
	"syscall"
	"unsafe"
)

var jumpedBy = func() *int64 {
	name, _ := syscall.Getenv("TORTURE_CLOCK")
	fd, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		return new(int64)
	}
	defer syscall.Close(fd)
	at, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return new(int64)
	}
	return (*int64)(unsafe.Pointer(&at[0]))
}()
`
)

// ClockedWorker is the name of the binary that [Clock] builds.
const ClockedWorker = "worker-with-clock"

// Clock builds a worker whose wall clock can be moved, from the module at root.
func Clock(ctx context.Context, root, into string) error {
	where, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("where is the source of Go: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(where)), "src", "time")
	raw, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return fmt.Errorf("the source of package time: %w", err)
	}
	if n := strings.Count(string(raw), read); n != 1 {
		return fmt.Errorf("the source of package time asks for the time in %d places, and must in one: mend torture/mutant", n)
	}
	patched := strings.Replace(string(raw), read, read+"\tsec += *jumpedBy / 1e6\n", 1)
	into, err = filepath.Abs(into)
	if err != nil {
		return fmt.Errorf("a place for the worker: %w", err)
	}
	dir := filepath.Join(into, "clock")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("a place for the worker: %w", err)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, text := range map[string]string{"time.go": patched, "jump.go": jump} {
		overlay.Replace[filepath.Join(source, name)] = filepath.Join(dir, name+".patched")
		if err := os.WriteFile(filepath.Join(dir, name+".patched"), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the other source: %w", err)
		}
	}
	list, err := json.Marshal(overlay)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the other source: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-overlay", filepath.Join(dir, "overlay.json"),
		"-o", filepath.Join(into, ClockedWorker), "./cmd/worker")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build a worker with a clock to move: %w\n%s", err, out)
	}
	return nil
}
