package history

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Dump is all that Redis held, by key, without a word about what it means.
type Dump map[string]Value

// Value is what one key held. One of the fields is set.
type Value struct {
	Type   string            `json:"type"`
	Text   string            `json:"text,omitempty"`
	Hash   map[string]string `json:"hash,omitempty"`
	List   []string          `json:"list,omitempty"`
	Scores map[string]string `json:"scores,omitempty"`
	Stream []Entry           `json:"stream,omitempty"`
	// Pending is how many entries of a stream its groups have not acknowledged.
	Pending int64 `json:"pending,omitempty"`
}

// Entry is one of a stream.
type Entry struct {
	ID     string            `json:"id"`
	Fields map[string]string `json:"fields"`
}

// Write writes the dump of a run.
func (d Dump) Write(dir string) error {
	raw, err := json.Marshal(d)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "dump.json"), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the dump: %w", err)
	}
	return nil
}

// ReadDump reads the dump of a run.
func ReadDump(dir string) (Dump, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "dump.json"))
	if err != nil {
		return nil, fmt.Errorf("read the dump: %w", err)
	}
	var d Dump
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("read the dump: %w", err)
	}
	return d, nil
}
