package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// ErrBadCanary is wrapped by every refusal of [ParseCanary]. The text says which
// field is wrong and what would be right.
var ErrBadCanary = errors.New("canary refused")

// Canary is the input of a job that does exactly what it is told: a drill, a
// story, a bench. The dispatcher checks it, execution/canary obeys it.
type Canary struct {
	// Steps are done one after the other; default 1. Step is how long each takes
	// beside its calls.
	Steps int
	Step  time.Duration
	// Calls are the paid calls of each step, Cost the price of each. CallURL, when
	// given, is sent a real POST for each, so that an outsider can count them.
	Calls   int
	Cost    MicroUSD
	CallURL string
	// Checkpoint and Events say what is written after every step.
	Checkpoint, Events bool
	// Deaf is how long cancellation is ignored once it came.
	Deaf time.Duration
	// Fail is "", "retryable", "permanent" or "panic", at the beginning of step
	// FailAt (default 1), in the first FailTimes attempts (0: in every one).
	Fail      string
	FailAt    int
	FailTimes int
	// ParkAt is the step before which the job parks for input, until it has
	// answers; 0 is never.
	ParkAt int
}

// Limits of a canary, stated in its errors.
const (
	MaxCanarySteps = 10_000
	maxCanaryCalls = 1_000
	maxCanaryCost  = 1_000 * USD
	maxCanaryMilli = int64(time.Hour / time.Millisecond)
)

// CheckCanary says whether [ParseCanary] would take the input.
func CheckCanary(data []byte) error {
	_, err := ParseCanary(data)
	return err
}

// ParseCanary reads a canary strictly: exact names, none twice, none unknown,
// nothing after the object.
func ParseCanary(data []byte) (Canary, error) {
	var c Canary
	var fail, callURL string
	n := map[string]*number{
		"steps":          {high: MaxCanarySteps, low: 1, value: 1},
		"step_ms":        {high: maxCanaryMilli},
		"calls_per_step": {high: maxCanaryCalls},
		"call_micro_usd": {high: int64(maxCanaryCost)},
		"deaf_ms":        {high: maxCanaryMilli},
		"fail_at":        {high: MaxCanarySteps, low: 1},
		"fail_times":     {high: maxCanaryCalls, low: 1},
		"park_at":        {high: MaxCanarySteps, low: 1},
	}
	fields := map[string]any{"checkpoint": &c.Checkpoint, "events": &c.Events, "fail": &fail, "call_url": &callURL}
	for name, num := range n {
		fields[name] = num
	}
	if err := readCanary(data, fields); err != nil {
		return Canary{}, err
	}
	c.Steps, c.Step = int(n["steps"].value), millis(n["step_ms"])
	c.Calls, c.Cost, c.CallURL = int(n["calls_per_step"].value), MicroUSD(n["call_micro_usd"].value), callURL
	c.Deaf = millis(n["deaf_ms"])
	c.Fail, c.FailAt, c.FailTimes = fail, int(n["fail_at"].value), int(n["fail_times"].value)
	c.ParkAt = int(n["park_at"].value)
	return c.settled()
}

// settled holds the fields against each other and fills in what follows.
func (c Canary) settled() (Canary, error) {
	switch {
	case !slices.Contains([]string{"", "retryable", "permanent", "panic"}, c.Fail):
		return Canary{}, badCanary("fail is %q; want retryable, permanent, panic, or leave it out", c.Fail)
	case c.Fail == "" && (c.FailAt != 0 || c.FailTimes != 0):
		return Canary{}, badCanary("fail_at and fail_times mean nothing without fail; say how it fails")
	case c.FailAt > c.Steps || c.ParkAt > c.Steps:
		return Canary{}, badCanary("fail_at is %d and park_at is %d, and there are only %d steps", c.FailAt, c.ParkAt, c.Steps)
	case c.CallURL != "" && c.Calls == 0:
		return Canary{}, badCanary("call_url means nothing without calls_per_step; say how many")
	}
	if c.Fail != "" {
		c.FailAt = max(c.FailAt, 1)
	}
	if c.CallURL == "" {
		return c, nil
	}
	u, err := url.Parse(c.CallURL)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return Canary{}, badCanary("call_url must be like http://127.0.0.1:8080/call, without user and fragment")
	}
	return c, nil
}

// number is a whole number that a canary may have.
type number struct{ low, high, value int64 }

func millis(n *number) time.Duration { return time.Duration(n.value) * time.Millisecond }

// readCanary takes the object apart. Unlike encoding/json alone it minds the
// case of names and refuses one that is given twice.
func readCanary(data []byte, fields map[string]any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return badCanary("the input is not a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return badCanary("the input is not valid JSON: %w", err)
		}
		name, _ := tok.(string)
		field, known := fields[name]
		switch {
		case !known:
			return badCanary("unknown field %q; known are: %s", clipped(name), strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		case seen[name]:
			return badCanary("the field %q is given twice", name)
		}
		seen[name] = true
		if err := readField(dec, name, field); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return badCanary("the input is not valid JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badCanary("there is more after the JSON object; remove it")
	}
	return nil
}

func readField(dec *json.Decoder, name string, field any) error {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return badCanary("%s is not valid JSON: %w", name, err)
	}
	num, isNumber := field.(*number)
	if isNumber {
		field = &num.value
	}
	err := json.Unmarshal(raw, field)
	switch {
	case err != nil && isNumber, isNumber && (num.value < num.low || num.value > num.high), string(raw) == "null" && isNumber:
		return badCanary("%s: want a whole number from %d to %d, got %s", name, num.low, num.high, clipped(string(raw)))
	case err != nil, string(raw) == "null":
		return badCanary("%s has the wrong type: %s", name, clipped(string(raw)))
	}
	return nil
}

func clipped(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func badCanary(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrBadCanary, fmt.Errorf(format, args...))
}
