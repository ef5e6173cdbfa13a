package modelsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Model is the name the server gives itself, and under which it has a price.
const Model = "simulated"

// The headers in which a client names the job and the call.
const (
	headerJob  = "X-Gavel-Job"
	headerCall = "X-Gavel-Call"
)

const (
	maxBody     = 4 << 20
	defaultKeep = 10_000
)

// Config says how the server behaves. The zero value answers at once and never
// fails; [Demo] behaves like a hosted model.
type Config struct {
	Seed uint64
	// Latency is how long the first token takes.
	Latency time.Duration
	// Pace is how many tokens follow per second; 0 is all at once.
	Pace int
	// Of a thousand requests, so many are answered with 429, with 503, not at all,
	// or half.
	ThrottlePerMille, ErrorPerMille, HangPerMille, CutPerMille int
	// RetryAfter is what a 429 asks for, in whole seconds; 0 does not say.
	RetryAfter time.Duration
	// Fault, when set, decides instead of the rates.
	Fault func(Asked) Fault
	// Think is how many tokens of every answer are thought, and billed, before the
	// first is written; an answer that may not have more than that is empty.
	Think int
	// BillWhole bills an answer that the client cut off as if it had been read.
	BillWhole bool
	// Log gets one JSON line for each request at its end.
	Log io.Writer
	// Keep is how many requests are remembered; default 10,000.
	Keep int
}

// Demo is a server with the latency and the pace of a hosted model.
func Demo(seed uint64) Config {
	return Config{Seed: seed, Latency: 200 * time.Millisecond, Pace: 200}
}

func (c Config) check() error {
	rates := []int{c.ThrottlePerMille, c.ErrorPerMille, c.HangPerMille, c.CutPerMille}
	sum := 0
	for _, r := range rates {
		if r < 0 {
			return errors.New("a fault rate of the simulated model server is negative; want 0 to 1000 per mille")
		}
		sum += r
	}
	switch {
	case sum > 1000:
		return fmt.Errorf("the fault rates of the simulated model server add up to %d per mille; want 1000 at most", sum)
	case c.Latency < 0 || c.Pace < 0 || c.RetryAfter < 0 || c.Keep < 0 || c.Think < 0:
		return errors.New("latency, pace, retry-after, think and keep of the simulated model server must not be negative")
	}
	return nil
}

// Server is a simulated model server. Its [Witness] says what it was asked.
type Server struct {
	*Witness
	cfg Config
	mux *http.ServeMux
}

// New makes a server; nothing listens until its [Server.Handler] is served.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Keep == 0 {
		cfg.Keep = defaultKeep
	}
	s := &Server{Witness: newWitness(cfg.Log, cfg.Keep), cfg: cfg, mux: http.NewServeMux()}
	s.mux.HandleFunc("POST /v1/chat/completions", s.complete)
	s.mux.HandleFunc("GET /v1/models", s.list)
	s.mux.HandleFunc("GET /v1/generation", s.bill)
	s.mux.HandleFunc("GET /witness", s.show)
	return s, nil
}

// Handler serves the protocol under /v1 and the witness under /witness.
func (s *Server) Handler() http.Handler { return s.mux }

// Err is the first failure to write the log.
func (s *Server) Err() error { return s.failure() }

// message is one turn of the conversation as it arrives.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// ask is the part of the protocol's request that matters here.
type ask struct {
	Model         string    `json:"model"`
	Messages      []message `json:"messages"`
	Stream        bool      `json:"stream"`
	Seed          int64     `json:"seed"`
	MaxTokens     int       `json:"max_tokens"`
	MaxCompletion int       `json:"max_completion_tokens"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

func (a ask) most() int {
	if a.MaxCompletion > 0 {
		return a.MaxCompletion
	}
	return a.MaxTokens
}

func (s *Server) complete(w http.ResponseWriter, req *http.Request) {
	rec := &Record{
		Job: req.Header.Get(headerJob), Call: req.Header.Get(headerCall),
		Arrived: time.Now(), Status: http.StatusOK,
	}
	var a ask
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxBody)).Decode(&a)
	if err == nil && (a.Model == "" || len(a.Messages) == 0) {
		err = errors.New("model and messages are required")
	}
	p := readPrompt(a.Messages)
	rec.Model, rec.Step = a.Model, p.step()
	before := s.arrive(rec)
	if err != nil {
		s.refuse(w, rec, http.StatusBadRequest, err.Error())
		return
	}
	s.mark(rec, s.cfg.strike(Asked{Job: rec.Job, Call: rec.Call, Step: rec.Step, Model: a.Model, Before: before}))
	reply := &stream{server: s, rec: rec, ask: a, w: w}
	switch rec.Fault {
	case FaultThrottle:
		if after := int(s.cfg.RetryAfter / time.Second); after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(after))
		}
		s.refuse(w, rec, http.StatusTooManyRequests, "simulated: too many requests")
	case FaultError:
		s.refuse(w, rec, http.StatusServiceUnavailable, "simulated: the model is overloaded")
	case FaultDeny:
		s.refuse(w, rec, http.StatusUnauthorized, "simulated: the key is not valid")
	case FaultPage:
		s.page(w, rec)
	default:
		reply.serve(req.Context(), answer(s.cfg.Seed, a, p))
	}
}

// refuse answers with the protocol's error object; nothing is billed.
func (s *Server) refuse(w http.ResponseWriter, rec *Record, status int, text string) {
	s.leave(rec, func(r *Record) { r.Status, r.Ended = status, time.Now() })
	writeJSON(w, status, map[string]any{
		"error": map[string]any{"message": text, "type": "simulated_error", "code": strconv.Itoa(status), "param": nil},
	})
}

func (s *Server) page(w http.ResponseWriter, rec *Record) {
	s.leave(rec, func(r *Record) { r.Ended = time.Now() })
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<html><body>simulated: a login page</body></html>") // the client may be gone
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"object": "list",
		"data":   []any{map[string]any{"id": Model, "object": "model", "created": 0, "owned_by": "gavel, simulated"}},
	})
}

func (s *Server) show(w http.ResponseWriter, req *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"totals":   s.Totals(),
		"requests": append([]Record{}, s.Records(req.URL.Query().Get("job"))...),
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
