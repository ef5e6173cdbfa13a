package deliberation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rtfm-si/gavel/internal/job"
)

// ErrCheckpoint is wrapped by an error of [Executor.Execute] when the checkpoint
// it was to resume from is damaged, newer than this build, or of another input.
// The caller may offer an earlier one, or none to begin again.
var ErrCheckpoint = errors.New("checkpoint refused")

// checkpointVersion is the shape of a checkpoint and of the call ids in it.
const checkpointVersion = 1

// entry is one paid reply.
type entry struct {
	Text string `json:"text,omitempty"`
	// Fault says why the reply is no answer: it was refused, empty or endless.
	Fault     string       `json:"fault,omitempty"`
	Model     string       `json:"model"`
	Input     int          `json:"input_tokens"`
	Output    int          `json:"output_tokens"`
	Cost      job.MicroUSD `json:"cost_micro_usd"`
	Estimated bool         `json:"estimated,omitempty"`
}

// envelope is the outside of a checkpoint.
type envelope struct {
	Version int             `json:"version"`
	SHA256  string          `json:"sha256"`
	Body    json.RawMessage `json:"body"`
}

type body struct {
	// Input binds the checkpoint to what was asked.
	Input   string           `json:"input_sha256"`
	Entries map[string]entry `json:"entries"`
}

// journal records paid replies, one after the other, each durable before the
// next is accepted.
type journal struct {
	mu      sync.Mutex
	seq     uint64
	input   string
	entries map[string]entry
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// inputDigest does not mind how the input's JSON is laid out, so that it
// survives a store that formats anew.
func inputDigest(input []byte) (string, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, input); err != nil {
		return "", fmt.Errorf("read the input: %w", err)
	}
	return digest(compact.Bytes()), nil
}

// openJournal begins an empty journal, or goes on with that of a checkpoint.
func openJournal(input []byte, from *job.Checkpoint) (*journal, error) {
	sum, err := inputDigest(input)
	if err != nil {
		return nil, err
	}
	j := &journal{input: sum, entries: map[string]entry{}}
	if from == nil {
		return j, nil
	}
	j.seq = from.Seq
	var env envelope
	var b body
	switch err := json.Unmarshal(from.Data, &env); {
	case err != nil:
		return nil, fmt.Errorf("%w: checkpoint %d is not readable: %w", ErrCheckpoint, from.Seq, err)
	case env.Version != checkpointVersion:
		return nil, fmt.Errorf("%w: checkpoint %d has version %d and this build reads %d; resume it with the build that wrote it",
			ErrCheckpoint, from.Seq, env.Version, checkpointVersion)
	case digest(env.Body) != env.SHA256:
		return nil, fmt.Errorf("%w: checkpoint %d is damaged: its checksum does not match", ErrCheckpoint, from.Seq)
	}
	if err := json.Unmarshal(env.Body, &b); err != nil {
		return nil, fmt.Errorf("%w: checkpoint %d is not readable: %w", ErrCheckpoint, from.Seq, err)
	}
	if b.Input != j.input {
		return nil, fmt.Errorf("%w: checkpoint %d belongs to another input", ErrCheckpoint, from.Seq)
	}
	if b.Entries != nil {
		j.entries = b.Entries
	}
	return j, nil
}

// find returns the reply to a call that was recorded.
func (j *journal) find(id string) (entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.entries[id]
	return e, ok
}

// begun reports whether any reply under that prefix was recorded.
func (j *journal) begun(prefix string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id := range j.entries {
		if strings.HasPrefix(id, prefix) {
			return true
		}
	}
	return false
}

func (j *journal) size() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.entries)
}

// record adds a reply and returns once it is durable. Replies that arrive
// together are recorded one by one, each with a sequence number of its own.
func (j *journal) record(ctx context.Context, id string, e entry, save func(context.Context, job.Checkpoint) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries[id] = e
	data, err := j.encode()
	if err != nil {
		return err
	}
	j.seq++
	return save(ctx, job.Checkpoint{Seq: j.seq, Node: id, Data: data})
}

func (j *journal) encode() ([]byte, error) {
	inner, err := json.Marshal(body{Input: j.input, Entries: j.entries})
	if err != nil {
		return nil, fmt.Errorf("encode the checkpoint: %w", err)
	}
	data, err := json.Marshal(envelope{Version: checkpointVersion, SHA256: digest(inner), Body: inner})
	if err != nil {
		return nil, fmt.Errorf("encode the checkpoint: %w", err)
	}
	return data, nil
}
