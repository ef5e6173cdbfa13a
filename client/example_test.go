package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// dispatcher stands for a fleet's dispatcher.
func dispatcher() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/jobs", answer(202, `{"id":"0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00","created":true}`))
	mux.HandleFunc("GET /v1/jobs/{id}", answer(200, `{"id":"0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00","state":"succeeded","spent_micro_usd":413200}`))
	mux.HandleFunc("GET /v1/jobs/{id}/events", stream(frame("1-0", "round.started"), frame("2-0", "job.succeeded")))
	mux.HandleFunc("POST /v1/jobs/{id}/kill", answer(200, `{"order":"o1","scope":{"kind":"job"},"stage":"quiesced","verdict":"stopped"}`))
	mux.HandleFunc("GET /v1/fleet", answer(200, `{"name":"prod","gate":{"frozen":true,"reason":"cost","head":"7.k3"}}`))
	mux.HandleFunc("POST /v1/fleet/thaw", refusal(409, client.ErrGateChanged, `,"head":"8.p1"`))
	return httptest.NewServer(mux)
}

func Example() {
	srv := dispatcher()
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	c, err := client.New(srv.URL, client.WithKey("gvl_…"), client.WithHTTPClient(srv.Client()))
	if err != nil {
		fmt.Println(err)
		return
	}
	job, err := c.Submit(ctx, client.Submission{
		Kind:   "deliberation",
		Input:  map[string]any{"problem": "Should we enter the Danish market?"},
		Labels: map[string]string{"team": "growth"},
		Budget: client.USD / 2,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for event, err := range c.Events(ctx, job.ID, "") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.Type)
	}
	done, err := c.Wait(ctx, job.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(done.State, done.Spent)
	// Output:
	// round.started
	// job.succeeded
	// succeeded 413200
}

func ExampleClient_Kill() {
	srv := dispatcher()
	defer srv.Close()
	c, err := client.New(srv.URL, client.WithKey("gvl_…"), client.WithHTTPClient(srv.Client()))
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := c.Kill(context.Background(), "0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00", client.Kill{
		Reason: "it goes round in circles",
		Wait:   10 * time.Second,
	})
	switch {
	case errors.Is(err, client.ErrNotFound):
		fmt.Println("no such job, or not mine")
	case err != nil:
		fmt.Println(err)
	case receipt.Stopped():
		fmt.Println("it has stopped:", receipt.Verdict)
	default:
		fmt.Println("it will not start again; its worker has not let go yet:", receipt.Verdict)
	}
	// Output: it has stopped: stopped
}

func ExampleClient_Thaw() {
	srv := dispatcher()
	defer srv.Close()
	c, err := client.New(srv.URL, client.WithKey("gvl_…"), client.WithHTTPClient(srv.Client()))
	if err != nil {
		fmt.Println(err)
		return
	}
	fleet, err := c.Fleet(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Thaw(context.Background(), fleet.Gate.Head, "the runaway import is gone")
	if errors.Is(err, client.ErrGateChanged) {
		fmt.Println("somebody changed the gate since; look again")
	}
	// Output: somebody changed the gate since; look again
}
