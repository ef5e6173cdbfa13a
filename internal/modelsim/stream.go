package modelsim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// stream is one answer on its way to the client.
type stream struct {
	server *Server
	rec    *Record
	ask    ask
	w      http.ResponseWriter
	sent   int // tokens
	// thought are the tokens that were billed before the first was sent.
	thought int
}

const (
	beatsPerSecond = 25 // how often a paced stream is flushed
	burst          = 16 // tokens in a chunk of an unpaced one
	runeTokenBytes = 6
)

// serve sends the text, or what the fault makes of it, and books it.
func (t *stream) serve(ctx context.Context, text string) {
	text, refusal := t.spoil(text)
	tokens, finish := split(text), "stop"
	thought := t.server.cfg.Think
	if most := t.ask.most(); most > 0 && len(tokens)+thought > most && t.rec.Fault != FaultEndless {
		thought = min(thought, most)
		tokens, finish = tokens[:min(len(tokens), most-thought)], "length"
	}
	if t.rec.Fault == FaultHang {
		<-ctx.Done()
		t.close(0, true)
		return
	}
	if t.ask.Stream {
		t.open()
	}
	if !t.pause(ctx, t.server.cfg.Latency) {
		t.close(len(tokens), true)
		return
	}
	t.thought = thought
	if !t.ask.Stream {
		t.whole(tokens, refusal, finish)
		return
	}
	t.flow(ctx, tokens, refusal, finish)
}

// open begins the response before there is anything to say, with the id that its
// bill is asked by.
func (t *stream) open() {
	t.w.Header().Set("Content-Type", "text/event-stream")
	t.w.Header().Set("Cache-Control", "no-store")
	t.w.Header().Set("X-Generation-Id", generation(t.rec.Seq))
	_ = http.NewResponseController(t.w).Flush()
}

// spoil changes the answer as the fault has it.
func (t *stream) spoil(text string) (spoilt, refusal string) {
	switch t.rec.Fault {
	case FaultEmpty:
		return "", ""
	case FaultRefuse:
		return "", label + "I would rather not answer that."
	case FaultGarbage:
		return label + `Certainly! {"synthesis": "half of an obj`, ""
	default:
		return text, ""
	}
}

// flow streams the tokens at the configured pace.
func (t *stream) flow(ctx context.Context, tokens []string, refusal, finish string) {
	step, pause := burst, time.Duration(0)
	if t.server.cfg.Pace > 0 {
		step = max(1, t.server.cfg.Pace/beatsPerSecond)
		pause = time.Duration(step) * time.Second / time.Duration(t.server.cfg.Pace)
	}
	half := len(tokens) / 2
	t.chunk(map[string]any{"role": "assistant", "content": ""}, nil)
	for t.sent < len(tokens) || t.rec.Fault == FaultEndless {
		if !t.pause(ctx, pause) {
			t.close(len(tokens), true)
			return
		}
		if t.sent >= half && t.breaks(ctx, len(tokens)) {
			return
		}
		from := t.sent % max(1, len(tokens)) // only an endless answer comes round again
		next := tokens[from:min(from+step, len(tokens))]
		t.chunk(map[string]any{"content": strings.Join(next, "")}, nil)
		t.sent += max(1, len(next))
	}
	if refusal != "" {
		t.chunk(map[string]any{"refusal": refusal}, nil)
	}
	t.chunk(map[string]any{}, finish)
	t.finish()
	t.close(len(tokens), false)
}

// breaks acts out a fault in mid-stream and reports whether the stream is over.
func (t *stream) breaks(ctx context.Context, all int) bool {
	switch t.rec.Fault {
	case FaultStall:
		<-ctx.Done()
		t.close(all, true)
		return true
	case FaultShort:
		t.close(all, false)
		return true
	case FaultCut:
		t.close(all, false)
		conn, _, err := http.NewResponseController(t.w).Hijack()
		if err == nil {
			_ = conn.Close() // it is being broken on purpose
		}
		return true
	default:
		return false
	}
}

// finish states the usage, if it was asked for, and ends the stream.
func (t *stream) finish() {
	if t.ask.StreamOptions.IncludeUsage && t.rec.Fault != FaultNoUsage {
		t.event(t.frame([]any{}, t.usage()))
	}
	_, _ = fmt.Fprint(t.w, "data: [DONE]\n\n") // the client may be gone
	_ = http.NewResponseController(t.w).Flush()
}

// whole answers a request that did not want a stream.
func (t *stream) whole(tokens []string, refusal, finish string) {
	t.sent = len(tokens)
	msg := map[string]any{"role": "assistant", "content": strings.Join(tokens, "")}
	if refusal != "" {
		msg["refusal"] = refusal
	}
	body := t.frame([]any{map[string]any{"index": 0, "message": msg, "finish_reason": finish}}, t.usage())
	body["object"] = "chat.completion"
	t.close(len(tokens), false)
	writeJSON(t.w, http.StatusOK, body)
}

func (t *stream) usage() map[string]any {
	in := t.input()
	return map[string]any{"prompt_tokens": in, "completion_tokens": t.thought + t.sent, "total_tokens": in + t.thought + t.sent}
}

func (t *stream) input() int {
	n := 0
	for _, m := range t.ask.Messages {
		n += 4 + len(m.Content)/4
	}
	return n
}

// close books the request: what was sent, or all of it for a provider that does
// not notice.
func (t *stream) close(all int, cut bool) {
	billed := t.thought + t.sent
	if t.server.cfg.BillWhole {
		billed = max(billed, t.thought+all)
	}
	t.server.leave(t.rec, func(r *Record) {
		r.Ended, r.Cut = time.Now(), cut
		r.InputTokens, r.OutputTokens = t.input(), billed
	})
}

func (t *stream) frame(choices []any, usage any) map[string]any {
	return map[string]any{
		"id": generation(t.rec.Seq), "object": "chat.completion.chunk",
		"created": t.rec.Arrived.Unix(), "model": t.ask.Model, "system_fingerprint": "gavel-simulated",
		"choices": choices, "usage": usage,
	}
}

func (t *stream) chunk(delta map[string]any, finish any) {
	t.event(t.frame([]any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}}, nil))
}

// event writes one frame. A client that has gone is noticed by its context.
func (t *stream) event(body map[string]any) {
	data, err := json.Marshal(body)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(t.w, "data: %s\n\n", data)
	_ = http.NewResponseController(t.w).Flush()
}

// pause waits, and reports whether the client is still there.
func (t *stream) pause(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// split cuts a text into pieces about as long as a tokenizer's: words with the
// space before them, long ones in parts.
func split(text string) []string {
	var out []string
	start := 0
	for i, r := range text {
		if i > start && (r == ' ' || r == '\n' || i-start >= runeTokenBytes) {
			out = append(out, text[start:i])
			start = i
		}
	}
	if start < len(text) && utf8.ValidString(text[start:]) {
		out = append(out, text[start:])
	}
	return out
}
