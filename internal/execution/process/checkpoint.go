package process

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rtfm-si/gavel/internal/job"
)

const (
	// maxInline is the largest state, and maxInput the largest input, that start
	// carries itself; a larger one is a file in the job's directory.
	maxInline = 128 << 10
	maxInput  = 512 << 10
)

// header precedes a program's state in a checkpoint, so that the next attempt
// gets it back as it was written.
type header struct {
	Protocol string `json:"protocol"`
	Codec    string `json:"codec"`
}

// room is the job's directory. What a program names in it cannot lead out.
type room struct {
	path string
	root *os.Root
}

func newRoom(scratch string) (*room, error) {
	path, err := os.MkdirTemp(scratch, "gavel-job-")
	if err != nil {
		return nil, fmt.Errorf("make the job's directory: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		_ = os.Remove(path)
		return nil, fmt.Errorf("open the job's directory: %w", err)
	}
	return &room{path, root}, nil
}

func (d *room) remove() error {
	_ = d.root.Close()
	if err := os.RemoveAll(d.path); err != nil {
		return fmt.Errorf("remove the job's directory: %w", err)
	}
	return nil
}

func (d *room) write(name string, data []byte) error {
	if err := d.root.WriteFile(name, data, 0o600); err != nil {
		return fmt.Errorf("write %s into the job's directory: %w", name, err)
	}
	return nil
}

// read reads a plain file of at most limit bytes.
func (d *room) read(name string, limit int64) ([]byte, error) {
	if name != filepath.Base(name) {
		return nil, fmt.Errorf("file %q: want a name in the job's directory", name)
	}
	info, err := d.root.Lstat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("file %q: %w", name, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("file %q is no plain file", name)
	case info.Size() > limit:
		return nil, fmt.Errorf("file %q has %d bytes; at most %d are allowed", name, info.Size(), limit)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", name, err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("has more than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", name, err)
	}
	return data, nil
}

// pack makes a checkpoint of what the program sent.
func (d *room) pack(m said, limit int64) (job.Checkpoint, error) {
	codec := m.Codec
	if codec == "" {
		codec = "json"
	}
	state, err := d.state(m, codec, limit)
	if err != nil {
		return job.Checkpoint{}, err
	}
	if sum := sha256.Sum256(state); m.Sum != "" && m.Sum != hex.EncodeToString(sum[:]) {
		return job.Checkpoint{}, errors.New("the sha256 is not that of the state: it must be taken of the bytes that data or the file hold")
	}
	if codec == "json" {
		var b bytes.Buffer
		if err := json.Compact(&b, state); err != nil {
			return job.Checkpoint{}, fmt.Errorf("codec json: %w", err)
		}
		state = b.Bytes()
	}
	head, err := json.Marshal(header{Protocol, codec})
	if err != nil {
		return job.Checkpoint{}, fmt.Errorf("write the checkpoint's header: %w", err)
	}
	data := append(append(head, '\n'), state...)
	if int64(len(data)) > limit {
		return job.Checkpoint{}, fmt.Errorf("the state has %d bytes; at most %d are allowed", len(data), limit)
	}
	return job.Checkpoint{Seq: m.Seq, Node: m.Node, Data: data}, nil
}

// state is the program's bytes: a JSON value as it stands, or the content of a
// text, of base64, of a file.
func (d *room) state(m said, codec string, limit int64) ([]byte, error) {
	if m.File != "" {
		return d.read(m.File, limit)
	}
	if codec == "json" {
		return m.Data, nil
	}
	var text string
	if err := json.Unmarshal(m.Data, &text); err != nil {
		return nil, fmt.Errorf("codec %q wants data to be a string", codec)
	}
	if codec != "base64" {
		return []byte(text), nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("data is not base64: %w", err)
	}
	return raw, nil
}

// unpack is how the state goes back to the program, by the codec it came with.
func (d *room) unpack(c job.Checkpoint) (*stateLine, error) {
	var head header
	first, state, ok := bytes.Cut(c.Data, []byte("\n"))
	if err := json.Unmarshal(first, &head); err != nil || !ok || head.Protocol != Protocol {
		return nil, fmt.Errorf("checkpoint %d was not taken by a program that speaks %s", c.Seq, Protocol)
	}
	sum := sha256.Sum256(state)
	line := &stateLine{Seq: c.Seq, Node: c.Node, Codec: head.Codec, Sum: hex.EncodeToString(sum[:])}
	switch {
	case len(state) > maxInline:
		line.File = "checkpoint"
		return line, d.write(line.File, state)
	case head.Codec == "json":
		line.Data = state
		return line, nil
	}
	text := string(state)
	if head.Codec == "base64" {
		text = base64.StdEncoding.EncodeToString(state)
	}
	data, err := json.Marshal(text)
	if err != nil {
		return nil, fmt.Errorf("write the checkpoint for the program: %w", err)
	}
	line.Data = data
	return line, nil
}
