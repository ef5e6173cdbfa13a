package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/api"
	"github.com/rtfm-si/gavel/internal/audit"
	"github.com/rtfm-si/gavel/internal/budget"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/keyring"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// anyone lets ann in, whatever is presented.
type anyone struct{}

// Authenticate implements access.Authenticator.
func (anyone) Authenticate(context.Context, string, time.Time) (access.Actor, error) {
	return access.Actor{Subject: "ann", Owner: "ann", Roles: []access.Role{access.Owner}}, nil
}

// door is the real HTTP door of a dispatcher before a fleet.
func (f *fleet) door(name string) (http.Handler, error) {
	ps := rediskit.Partitions{Fleet: name, Count: 1}
	run := rediskit.Runner{Client: f.clients[0].Jobs, Profile: rediskit.Server}
	entries, err := audit.NewRedis(run, ps)
	if err != nil {
		return nil, err
	}
	keys, err := keyring.NewRedis(run, ps)
	if err != nil {
		return nil, err
	}
	books, err := budget.NewRedis(run, ps)
	if err != nil {
		return nil, err
	}
	return api.New(api.Config{
		Name: name, Partitions: 1, Auth: anyone{}, Jobs: f.road, Events: f.road, Orders: f.orders, Blocks: f.orders, Gate: f.orders, Drills: f.orders,
		Fleet: f.orders, Books: books, Raises: f.road, Checkpoints: f.road, Transcripts: f.road, Audit: entries, Keys: keys, CursorKey: make([]byte, 32), Kinds: map[string]func([]byte) error{kindBench: nil},
		Version: "bench", Log: zap.NewNop(), Now: time.Now,
	})
}

// post sends a kill and answers once the reply was read.
func post(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(`{"reason":"bench"}`)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer x")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s: %s", url, res.Status, body)
	}
	return err
}

// lane is a system with running jobs, and the way to kill one.
type lane struct {
	w    *waiter
	ids  []job.ID
	kill func(id job.ID) error
	took []time.Duration
}

// alternate kills the jobs of two lanes in turns, each kill from its issue to
// the cancelled context, so that what else the machine does hits both alike.
func alternate(a, b *lane) error {
	for i := range a.ids {
		for _, l := range []*lane{a, b} {
			at := time.Now()
			if err := l.kill(l.ids[i]); err != nil {
				return err
			}
			select {
			case end := <-l.w.end(l.ids[i]):
				l.took = append(l.took, end.Sub(at))
			case <-time.After(patience):
				return fmt.Errorf("job %s was never cancelled", l.ids[i])
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// killPaired measures single kills of Gavel and asynq in turns: called here, or
// over HTTP, through the dispatcher's door and through a handler for asynq that
// does nothing but call it.
func killPaired(ctx context.Context, url string, jobs int, overHTTP bool) (gavel, asynq []time.Duration, err error) {
	name := fmt.Sprintf("door%d", time.Now().UnixNano())
	ours, theirs := &lane{w: newWaiter(jobs)}, &lane{w: newWaiter(jobs)}
	f, err := startFleet(ctx, url, name, 1, jobs, ours.w)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.close() }()
	if ours.ids, err = fill(ctx, &gavelPeer{fleet: f}, ours.w, jobs); err != nil {
		return nil, nil, err
	}
	p, err := asynqPeer(url).open(ctx, 1, jobs, theirs.w)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = p.close() }()
	if theirs.ids, err = fill(ctx, p, theirs.w, jobs); err != nil {
		return nil, nil, err
	}
	ours.kill = func(id job.ID) error { _, err := f.kill(ctx, id); return err }
	theirs.kill = func(id job.ID) error { return p.kill(ctx, id) }
	if overHTTP {
		h, err := f.door(name)
		if err != nil {
			return nil, nil, err
		}
		door, bare := httptest.NewServer(h), httptest.NewServer(thin(p))
		defer door.Close()
		defer bare.Close()
		ours.kill = func(id job.ID) error { return post(ctx, door.URL+"/v1/jobs/"+string(id)+"/kill") }
		theirs.kill = func(id job.ID) error { return post(ctx, bare.URL+"/kill/"+string(id)) }
	}
	err = alternate(ours, theirs)
	return ours.took, theirs.took, err
}

func thin(p peer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /kill/{id}", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := p.kill(r.Context(), job.ID(r.PathValue("id"))); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
