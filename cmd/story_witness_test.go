package cmd_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/modelsim"
)

// witness is the outsider: it answers the paid calls of canaries, and the
// model calls of deliberations, and knows when each arrived.
type witness struct {
	url   string
	model *modelsim.Server

	mu      sync.Mutex
	calls   []call
	held    map[string]chan struct{}
	changed chan struct{}
}

type call struct {
	job, id string
	at      time.Time
}

func newWitness(t testing.TB) *witness {
	t.Helper()
	model, err := modelsim.New(modelsim.Config{Seed: 1})
	require.NoError(t, err)
	w := &witness{model: model, held: map[string]chan struct{}{}, changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /call", w.answer)
	mux.Handle("/v1/", model.Handler())
	server := httptest.NewServer(mux)
	w.url = server.URL
	t.Cleanup(func() {
		w.letGo()
		server.Close()
	})
	return w
}

func (w *witness) answer(_ http.ResponseWriter, r *http.Request) {
	c := call{job: r.Header.Get("X-Gavel-Job"), id: r.Header.Get("X-Gavel-Call"), at: time.Now()}
	w.mu.Lock()
	w.calls = append(w.calls, c)
	close(w.changed)
	w.changed = make(chan struct{})
	held := w.held[c.id]
	w.mu.Unlock()
	if held == nil {
		return
	}
	select {
	case <-held:
	case <-r.Context().Done():
	}
}

// hold keeps the answers to a call back, whichever job makes it, until they are
// let go.
func (w *witness) hold(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[id] = make(chan struct{})
}

// letGo answers the held calls, and holds no more.
func (w *witness) letGo() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, held := range w.held {
		close(held)
		delete(w.held, id)
	}
}

// of are the calls of a job, in order of arrival.
func (w *witness) of(job string) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.calls), func(c call) bool { return c.job != job })
}

// reached waits until a call has arrived so often.
func (w *witness) reached(job, id string, times int) bool {
	late := time.After(patience)
	for {
		w.mu.Lock()
		n, changed := 0, w.changed
		for _, c := range w.calls {
			if c.job == job && c.id == id {
				n++
			}
		}
		w.mu.Unlock()
		if n >= times {
			return true
		}
		select {
		case <-changed:
		case <-late:
			return false
		}
	}
}
