package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet is a dispatcher whose canaries do as a test says: those of deaf never
// end, those of fenced end without their worker's word.
type fleet struct {
	mu           sync.Mutex
	deaf, fenced map[string]bool
	queued       bool // nothing starts
	submitted    int
	killed       map[string]chan struct{}
	selectors    []map[string]string
	drills       []client.Drill
	gone         chan struct{}
}

func serve(t *testing.T, f *fleet) *client.Client {
	t.Helper()
	f.killed, f.gone = map[string]chan struct{}{}, make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/fleet", func(w http.ResponseWriter, _ *http.Request) {
		say(w, client.Fleet{Workers: []client.Worker{{ID: "w0", Slots: 2}, {ID: "w1", Slots: 2}, {ID: "away", Slots: 9, Draining: true}}})
	})
	mux.HandleFunc("POST /v1/jobs", f.submit)
	mux.HandleFunc("GET /v1/jobs/{id}", f.job)
	mux.HandleFunc("GET /v1/jobs/{id}/events", f.events)
	mux.HandleFunc("POST /v1/jobs/{id}/kill", func(w http.ResponseWriter, r *http.Request) {
		f.kill(r.PathValue("id"))
		say(w, client.Receipt{})
	})
	mux.HandleFunc("POST /v1/orders/preview", func(w http.ResponseWriter, _ *http.Request) { say(w, client.Preview{Token: "t"}) })
	mux.HandleFunc("POST /v1/orders", f.issue)
	mux.HandleFunc("POST /v1/drills", func(w http.ResponseWriter, r *http.Request) {
		var d client.Drill
		raw, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(raw, &d)
		f.drills = append(f.drills, d)
		say(w, client.DrillResult{Canaries: len(d.Canaries)})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(f.gone) })
	c, err := client.New(srv.URL, client.WithKey("k"), client.WithRetries(1, 0))
	require.NoError(t, err)
	return c
}

func say(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (f *fleet) submit(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := fmt.Sprintf("c%d", f.submitted)
	f.submitted++
	f.killed[id] = make(chan struct{})
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(client.Accepted{ID: id, Created: true})
}

func (f *fleet) kill(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.killed[id]:
	default:
		close(f.killed[id])
	}
}

func (f *fleet) over(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.killed[id]:
		return !f.deaf[id]
	default:
		return false
	}
}

func (f *fleet) job(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	j := client.Job{ID: id, State: client.Running, Worker: fmt.Sprintf("w%d", id[len(id)-1]&1)}
	switch {
	case f.queued:
		j.State, j.Worker = client.Queued, ""
	case f.over(id) && f.fenced[id]:
		j.State, j.Verdict = client.Killed, client.Fenced
	case f.over(id):
		j.State, j.Verdict = client.Killed, client.Stopped
	}
	say(w, j)
}

func (f *fleet) events(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprint(w, "id: 1-0\ndata: {\"type\":\"job.queued\"}\n\n")
	w.(http.Flusher).Flush()
	f.mu.Lock()
	killed := f.killed[id]
	f.mu.Unlock()
	select {
	case <-killed:
	case <-f.gone:
	case <-r.Context().Done():
	}
	if f.deaf[id] {
		select {
		case <-f.gone:
		case <-r.Context().Done():
		}
		return
	}
	_, _ = fmt.Fprint(w, "id: 2-0\ndata: {\"type\":\"job.killed\"}\n\n")
}

func (f *fleet) issue(w http.ResponseWriter, r *http.Request) {
	var o struct{ Selector client.Selector }
	raw, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(raw, &o)
	f.mu.Lock()
	f.selectors = append(f.selectors, o.Selector.Labels)
	n := f.submitted
	f.mu.Unlock()
	for i := range n {
		if i%2 == 1 || o.Selector.Labels[label+"-by"] == "" {
			f.kill(fmt.Sprintf("c%d", i))
		}
	}
	say(w, client.Receipt{})
}

func drilling(c *client.Client) Config {
	return Config{Admin: c, Submitter: c, Reason: "test", Patience: time.Second}
}

func TestADrillMeasuresEveryCanaryFromItsKillToItsEnd(t *testing.T) {
	f := &fleet{}
	r, err := Run(t.Context(), drilling(serve(t, f)))
	require.NoError(t, err)
	require.Empty(t, r.Missed)
	require.Equal(t, 4, f.submitted, "two for each worker that takes jobs")
	require.Len(t, f.drills, 1)
	require.Equal(t, 2, f.drills[0].Workers)
	scopes := map[string]int{}
	for _, c := range f.drills[0].Canaries {
		require.True(t, c.Stopped)
		require.Positive(t, c.Took)
		scopes[c.Scope]++
	}
	require.Equal(t, map[string]int{"job": 2, "selector": 2}, scopes)
	require.Len(t, f.selectors, 1)
	require.NotEmpty(t, f.selectors[0][label], "the selector reaches this drill's canaries only")
}

// What was not confirmed is not called stopped, and is written down all the same.
func TestACanaryThatDoesNotStopIsNamedAndWrittenDown(t *testing.T) {
	f := &fleet{deaf: map[string]bool{"c0": true}, fenced: map[string]bool{"c1": true}}
	r, err := Run(t.Context(), drilling(serve(t, f)))
	require.NoError(t, err)
	require.Len(t, r.Missed, 2)
	require.Equal(t, "c0", r.Missed[0].Job)
	require.Equal(t, client.Waiting, r.Missed[0].Verdict)
	require.Equal(t, client.Fenced, r.Missed[1].Verdict)
	require.Len(t, f.drills, 1)
	stopped := 0
	for _, c := range f.drills[0].Canaries {
		if c.Stopped {
			stopped++
		}
	}
	require.Equal(t, 2, stopped)
}

func TestADrillLeavesNoCanaryBehind(t *testing.T) {
	f := &fleet{queued: true}
	_, err := Run(t.Context(), drilling(serve(t, f)))
	require.ErrorIs(t, err, ErrNotStarted)
	require.Empty(t, f.drills)
	require.Len(t, f.selectors, 1, "those that never started are killed")
	require.Empty(t, f.selectors[0][label+"-by"])

	f = &fleet{queued: true}
	ctx, cancel := context.WithCancel(t.Context())
	cfg := drilling(serve(t, f))
	cfg.Tell = func(string) { cancel() }
	_, err = Run(ctx, cfg)
	require.Error(t, err)
	require.LessOrEqual(t, len(f.selectors), 1)
}
