package history

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// The types of an event.
const (
	Invoke = "invoke"
	OK     = "ok"
	Fail   = "fail"
	Info   = "info"
	Note   = "note" // something that was seen, not asked for
)

// Event is one line of a history.
type Event struct {
	Proc string `json:"proc"`
	Seq  uint64 `json:"seq"`
	Mono int64  `json:"mono_ns"`
	Wall int64  `json:"wall_us"`
	Type string `json:"type"`
	Op   string `json:"op"`
	// Act ties what came back to what was asked.
	Act uint64 `json:"act,omitempty"`

	Job    string `json:"job,omitempty"`
	Idem   string `json:"idem,omitempty"`
	Order  string `json:"order,omitempty"`
	Owner  string `json:"owner,omitempty"`
	Reason string `json:"reason,omitempty"`
	Worker string `json:"worker,omitempty"`
	// Status is that of HTTP, Class the type of a problem or the kind of error.
	Status int             `json:"status,omitempty"`
	Class  string          `json:"class,omitempty"`
	Args   json.RawMessage `json:"args,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// Read reads all events of a run, in the order of their times.
func Read(dir string) ([]Event, error) {
	files, err := filepath.Glob(filepath.Join(dir, "history", "*.jsonl"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("read the history in %s: %d files: %w", dir, len(files), errors.Join(err, os.ErrNotExist))
	}
	var all []Event
	for _, name := range files {
		if all, err = readFile(all, name); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b Event) int { return cmp.Compare(a.Mono, b.Mono) })
	return all, nil
}

func readFile(all []Event, name string) ([]Event, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReaderSize(f, 1<<16)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return all, nil
		}
		var e Event
		if jerr := json.Unmarshal(line, &e); jerr != nil {
			return nil, fmt.Errorf("read the history: line %d of %s: %w", n, name, jerr)
		}
		all = append(all, e)
	}
}
