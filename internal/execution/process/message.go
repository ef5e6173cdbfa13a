package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rtfm-si/gavel/internal/job"
)

// Protocol is what a program names in its hello.
const Protocol = "gavel-exec/1"

// MaxLine is the longest line of the protocol, in bytes.
const MaxLine = 1 << 20

const maxCallID = 256

// said is one line of a program: the message's name in msg, and the fields of
// all messages beside it.
type said struct {
	Msg string `json:"msg"`

	Protocol string   `json:"protocol"` // hello
	Features []string `json:"features"`

	Seq      uint64          `json:"seq"` // event, checkpoint
	Type     string          `json:"type"`
	Audience string          `json:"audience"`
	Data     json.RawMessage `json:"data"` // event, checkpoint, result

	CallID       string       `json:"call_id"` // reserve, usage
	Model        string       `json:"model"`
	Max          job.MicroUSD `json:"max_micro_usd"`
	Cost         job.MicroUSD `json:"cost_micro_usd"`
	InputTokens  int          `json:"input_tokens"`
	OutputTokens int          `json:"output_tokens"`
	Estimated    bool         `json:"estimated"`

	Messages []job.Turn `json:"messages"` // usage, for the transcript
	Reply    string     `json:"reply"`
	Refusal  string     `json:"refusal"`
	Finish   string     `json:"finish"`
	Failure  string     `json:"error"`

	Node   string `json:"node"` // checkpoint
	Safe   *bool  `json:"safe"`
	Codec  string `json:"codec"`
	Sum    string `json:"sha256"`
	File   string `json:"file"`
	Reason string `json:"message"` // error
	Class  string `json:"class"`

	Questions json.RawMessage `json:"questions"` // need_input
}

// read takes a line apart. A name it does not know is no error: programs may be
// newer than workers.
func read(line []byte) (said, error) {
	var head struct {
		Msg *string `json:"msg"`
	}
	if err := json.Unmarshal(line, &head); err != nil || head.Msg == nil || *head.Msg == "" {
		return said{}, errors.New(`not a JSON object with a "msg"; what is not protocol belongs on stderr`)
	}
	check, known := map[string]func(said) error{
		"hello": said.anything, "progress": said.anything, "checkpoint": said.checkpoint, "event": said.event,
		"reserve": said.money, "usage": said.money, "need_input": said.ask, "result": said.result, "error": said.failure,
	}[*head.Msg]
	if !known {
		return said{Msg: *head.Msg}, nil
	}
	var m said
	if err := json.Unmarshal(line, &m); err != nil {
		return said{}, fmt.Errorf("%s: %w", *head.Msg, err)
	}
	if err := check(m); err != nil {
		return said{}, fmt.Errorf("%s: %w", *head.Msg, err)
	}
	return m, nil
}

func (m said) anything() error { return nil }

func (m said) event() error {
	switch {
	case m.Type == "" || len(m.Type) > job.MaxName:
		return fmt.Errorf("type is %q; want a dotted word", m.Type)
	case m.Audience != "" && m.Audience != "owner" && m.Audience != "admin":
		return fmt.Errorf("audience is %q; want owner or admin", m.Audience)
	case len(m.Data) > 0 && !isObject(m.Data) || len(m.Data) > 64<<10:
		return errors.New("data must be an object of at most 64 KiB")
	}
	return nil
}

func (m said) money() error {
	switch {
	case m.CallID == "" || len(m.CallID) > maxCallID:
		return fmt.Errorf("call_id has %d bytes; want 1 to %d", len(m.CallID), maxCallID)
	case m.Max < 0 || m.Cost < 0 || m.InputTokens < 0 || m.OutputTokens < 0:
		return errors.New("money and tokens cannot be negative")
	}
	return nil
}

func (m said) checkpoint() error {
	switch {
	case m.Seq == 0:
		return errors.New("seq is missing; count from 1, or on from the checkpoint in start")
	case (m.File == "") == (len(m.Data) == 0):
		return errors.New("want either data or file")
	case m.File != "" && m.Sum == "":
		return errors.New("a file needs its sha256")
	}
	return nil
}

func (m said) ask() error {
	if len(m.Questions) == 0 || m.Questions[0] != '[' && m.Questions[0] != '{' {
		return errors.New("questions must be a list or an object")
	}
	return nil
}

func (m said) result() error {
	if !isObject(m.Data) {
		return errors.New("data must be an object")
	}
	return nil
}

func (m said) failure() error {
	switch m.Class {
	case "retryable", "permanent", "budget", "cancelled":
		return nil
	}
	return fmt.Errorf("class is %q; want retryable, permanent, budget or cancelled", m.Class)
}

func isObject(data json.RawMessage) bool { return len(data) > 0 && data[0] == '{' }

// encode writes a line. What a program sent goes back to it byte for byte.
func encode(line any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(line); err != nil {
		return nil, fmt.Errorf("write a line of the protocol: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// The lines of the worker.
type (
	startLine struct {
		Msg       string            `json:"msg"`
		Job       string            `json:"job"`
		Owner     string            `json:"owner"`
		Kind      string            `json:"kind"`
		Labels    map[string]string `json:"labels,omitempty"`
		Attempt   int               `json:"attempt"`
		Deadline  string            `json:"deadline,omitempty"`
		Budget    money             `json:"budget"`
		Dir       string            `json:"dir"`
		Input     json.RawMessage   `json:"input,omitempty"`
		InputFile string            `json:"input_file,omitempty"`
		Tells     bool              `json:"transcript,omitempty"`
		Last      *stateLine        `json:"checkpoint,omitempty"`
	}
	money struct {
		Limit job.MicroUSD `json:"micro_usd"`
		Spent job.MicroUSD `json:"spent_micro_usd"`
	}
	stateLine struct {
		Seq   uint64          `json:"seq"`
		Node  string          `json:"node,omitempty"`
		Codec string          `json:"codec"`
		Sum   string          `json:"sha256"`
		Data  json.RawMessage `json:"data,omitempty"`
		File  string          `json:"file,omitempty"`
	}
	answersLine struct {
		Msg     string          `json:"msg"`
		Answers json.RawMessage `json:"answers"`
	}
	callLine struct {
		Msg    string `json:"msg"`
		CallID string `json:"call_id"`
		Reason string `json:"reason,omitempty"`
		Detail string `json:"detail,omitempty"`
	}
	ackLine struct {
		Msg    string `json:"msg"`
		Seq    uint64 `json:"seq"`
		Stored bool   `json:"stored"`
	}
	cancelLine struct {
		Msg   string `json:"msg"`
		Cause string `json:"cause"`
		Mode  string `json:"mode"`
		Grace int64  `json:"grace_ms"`
	}
)
