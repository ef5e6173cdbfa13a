package modelsim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Record is one request as the server saw it.
type Record struct {
	Seq  int    `json:"seq"`
	Job  string `json:"job,omitempty"`
	Call string `json:"call,omitempty"`
	// Step is what was asked for, as far as the prompt says so.
	Step    string    `json:"step,omitempty"`
	Model   string    `json:"model"`
	Arrived time.Time `json:"arrived"`
	Ended   time.Time `json:"ended,omitzero"`
	Status  int       `json:"status"`
	Fault   Fault     `json:"fault,omitempty"`
	// InputTokens and OutputTokens are what was billed.
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`
	// Cut: the client closed the connection before the answer was complete, at Ended.
	Cut bool `json:"cut,omitempty"`
	// Told: what was billed was asked for, and told.
	Told bool `json:"told,omitempty"`
}

// Open reports whether the request is still in flight.
func (r Record) Open() bool { return r.Ended.IsZero() }

// Totals count all requests since the server was made.
type Totals struct {
	Requests     int       `json:"requests"`
	InFlight     int       `json:"in_flight"`
	Completed    int       `json:"completed"`
	Cut          int       `json:"cut"`
	Refused      int       `json:"refused"`
	InputTokens  int       `json:"input_tokens"`
	OutputTokens int       `json:"output_tokens"`
	LastArrival  time.Time `json:"last_arrival,omitzero"`
}

// Witness keeps what the server was asked. It is safe for concurrent use.
type Witness struct {
	log  io.Writer
	keep int

	mu      sync.Mutex
	totals  Totals
	records []*Record // the last ones, in order of arrival
	asked   map[string]int
	changed chan struct{}
	err     error
}

func newWitness(log io.Writer, keep int) *Witness {
	return &Witness{log: log, keep: keep, asked: map[string]int{}, changed: make(chan struct{})}
}

// Totals are the counts of this instant.
func (w *Witness) Totals() Totals {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.totals
}

// Records are the requests of a job in order of arrival, or of all jobs if job
// is empty; of very many only the last ones.
func (w *Witness) Records(job string) []Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Record
	for _, r := range w.records {
		if job == "" || r.Job == job {
			out = append(out, *r)
		}
	}
	return out
}

// Await returns when the totals satisfy want, or with ctx's cause.
func (w *Witness) Await(ctx context.Context, want func(Totals) bool) error {
	for {
		w.mu.Lock()
		totals, changed := w.totals, w.changed
		w.mu.Unlock()
		if want(totals) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("await the model server at %+v: %w", totals, context.Cause(ctx))
		}
	}
}

// arrive records a request and says how often its call was asked before.
func (w *Witness) arrive(r *Record) (before int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.Requests++
	w.totals.InFlight++
	w.totals.LastArrival = r.Arrived
	r.Seq = w.totals.Requests
	if w.records = append(w.records, r); len(w.records) > w.keep {
		w.records = slices.Delete(w.records, 0, max(1, w.keep/10))
	}
	key := r.Job + " " + r.Call
	before = w.asked[key]
	w.asked[key]++
	w.signal()
	return before
}

// mark records the fault that a request is answered with.
func (w *Witness) mark(r *Record, fault Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Fault = fault
}

// leave records how a request ended. Refused ones have a status of 400 or more.
func (w *Witness) leave(r *Record, end func(*Record)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	end(r)
	w.totals.InFlight--
	switch {
	case r.Status >= 400:
		w.totals.Refused++
	case r.Cut:
		w.totals.Cut++
	default:
		w.totals.Completed++
	}
	w.totals.InputTokens += r.InputTokens
	w.totals.OutputTokens += r.OutputTokens
	if w.log != nil && w.err == nil {
		w.err = json.NewEncoder(w.log).Encode(r)
	}
	w.signal()
}

func (w *Witness) signal() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Witness) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return fmt.Errorf("write the model server's log: %w", w.err)
	}
	return nil
}
