package modelsim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// generation is the id that a request's bill is asked by.
func generation(seq int) string { return fmt.Sprintf("simulated-%d", seq) }

// bill says what a request was billed, once it has ended: GET /v1/generation?id=,
// as OpenRouter has it. It is free, and no request of the protocol: the totals do
// not count it.
func (s *Server) bill(w http.ResponseWriter, req *http.Request) {
	r, ok := s.told(req.URL.Query().Get("id"))
	if !ok {
		writeJSON(w, http.StatusNotFound, map[string]any{"error": map[string]any{"code": http.StatusNotFound, "message": "no such generation, or not ended yet"}})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{
		"id": generation(r.Seq), "model": r.Model, "streamed": true, "cancelled": r.Cut,
		"tokens_prompt": r.InputTokens, "tokens_completion": r.OutputTokens,
		"native_tokens_prompt": r.InputTokens, "native_tokens_completion": r.OutputTokens,
	}})
}

// told finds an ended request by its id, and notes that its bill was told.
func (w *Witness) told(id string) (Record, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.records, func(r *Record) bool { return strings.EqualFold(generation(r.Seq), id) })
	if i < 0 || w.records[i].Open() {
		return Record{}, false
	}
	w.records[i].Told = true
	return *w.records[i], true
}
