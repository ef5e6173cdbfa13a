package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/rtfm-si/gavel/internal/execution/process"
	"github.com/rtfm-si/gavel/internal/job"
)

// readPrograms reads the file of programs; no file is no programs.
func readPrograms(path string) (map[string]process.Program, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no file, no programs
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the programs: %w", err)
	}
	var entries map[string]struct {
		Argv []string `json:"argv"`
		Env  []string `json:"env"`
		Dir  string   `json:"dir"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&entries); err != nil {
		return nil, fmt.Errorf("read the programs: %s: %w; want {\"kind\": {\"argv\": [\"program\"]}}", path, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("read the programs: %s: something follows the object", path)
	}
	out := make(map[string]process.Program, len(entries))
	for kind, e := range entries {
		if err := job.CheckName("kind", kind, job.MaxName); err != nil {
			return nil, fmt.Errorf("read the programs: %s: %w", path, err)
		}
		out[kind] = process.Program{Argv: e.Argv, Env: e.Env, Dir: e.Dir}
	}
	return out, nil
}
