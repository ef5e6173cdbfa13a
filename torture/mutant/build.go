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

// Build builds the binaries of a mutant into a folder, from the module at root.
func (m Mutant) Build(ctx context.Context, root, into string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("the module: %w", err)
	}
	file, patched, err := m.patched(root)
	if err != nil {
		return err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	if err := os.MkdirAll(into, 0o750); err != nil {
		return fmt.Errorf("mutant %s: %w", m.Name, err)
	}
	overlay.Replace[file] = filepath.Join(into, filepath.Base(file)+".patched")
	raw, err := json.Marshal(overlay)
	if err == nil {
		err = os.WriteFile(overlay.Replace[file], []byte(patched), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(into, "overlay.json"), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("mutant %s: %w", m.Name, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-overlay", filepath.Join(into, "overlay.json"),
		"-o", into+string(filepath.Separator), "./cmd/dispatcher", "./cmd/worker", "./cmd/gavel")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the mutant %s: %w\n%s", m.Name, err, out)
	}
	return nil
}

// patched is the file that differs, and its text in this mutant.
func (m Mutant) patched(root string) (file, text string, err error) {
	file = filepath.Join(root, filepath.FromSlash(m.File))
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("mutant %s: %w", m.Name, err)
	}
	text = string(raw)
	for i := 0; i+1 < len(m.Patch); i += 2 {
		if n := strings.Count(text, m.Patch[i]); n != 1 {
			return "", "", fmt.Errorf("mutant %s: %q is in %s %d times, and must be there once: mend the list", m.Name, m.Patch[i], m.File, n)
		}
		text = strings.Replace(text, m.Patch[i], m.Patch[i+1], 1)
	}
	return file, text, nil
}
