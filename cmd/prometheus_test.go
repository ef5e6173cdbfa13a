package cmd_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/deployment"
)

// prometheus is a server's binary; make rules gives it.
var prometheus = flag.String("prometheus", "", "the binary of a Prometheus, to ask the rules and the dashboard of a fleet that runs")

// A Prometheus scrapes a fleet that works, pays and kills. Every rule is
// evaluated without an error, and every question of the dashboard that such a
// fleet can answer has an answer.
func TestRulesAndDashboardOfALiveFleet(t *testing.T) {
	if *prometheus == "" {
		t.Skip("make rules gives it a Prometheus")
	}
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	private := func(name string) string {
		return map[string]string{"GAVEL_PRIVATE_LISTEN": "127.0.0.1:0"}[name]
	}
	require.NoError(t, f.startDispatcher("dispatcher", private))
	require.NoError(t, f.startWorker("w1", private))
	at := f.scrape(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()

	for i := range 4 {
		done, err := f.as("alice").Submit(ctx, client.Submission{Kind: "canary", Input: map[string]any{
			"steps": 1 + i%2*5_000, "step_ms": 20, "calls_per_step": 1, "call_micro_usd": 100_000, "call_url": f.witness.url + "/call",
		}})
		require.NoError(t, err)
		require.True(t, f.witness.reached(done.ID, "s1-c1", 1))
	}
	_, err := f.as("adam").KillAll(ctx, client.KillAll{Reason: "to be measured", Confirm: f.name, Wait: 10 * time.Second})
	require.NoError(t, err)

	expressions, err := deployment.Expressions("../deploy/prometheus/rules.yml", "../deploy/grafana/gavel.json")
	require.NoError(t, err)
	expressions["what KEDA scales on"], err = deployment.Scaling("../deploy/helm/gavel/templates/worker/scale.yaml")
	require.NoError(t, err)
	// What a fleet answers only after a day, or when something is wrong.
	silent := map[string]bool{
		"panel Of its baseline A": true, "panel Spend by model B": true, "panel Drills: request to stopped, p99 A": true,
		"panel Taken back and refused A": true, "panel Script errors A": true, "panel Open orders, and how late orders arrive C": true, "rule gavel:usd_per_minute:baseline": true,
	}
	for where, expr := range expressions {
		alert := len(where) > 10 && where[:10] == "rule Gavel"
		require.NoError(t, eventually(func(ctx context.Context) error {
			n, err := ask(ctx, at, expr)
			if err == nil && n == 0 && !alert && !silent[where] {
				err = errors.New("no answer")
			}
			return err
		}), "%s asks %s", where, expr)
	}
	require.NoError(t, eventually(func(ctx context.Context) error { return healthy(ctx, at) }))
	require.NoError(t, eventually(func(ctx context.Context) error {
		n, err := ask(ctx, at, `ALERTS{alertname="GavelFrozenLong",alertstate="pending"}`)
		if err == nil && n != 1 {
			err = errors.New("the fleet is frozen, and no alert is on its way")
		}
		return err
	}))
}

// scrape starts a Prometheus with the rules of deploy, and returns its address
// when it has scraped both processes.
func (f *fleet) scrape(t *testing.T) string {
	t.Helper()
	targets := ""
	for name, p := range f.processes {
		addr, err := p.said("metrics, profiles and log level", "addr")
		require.NoError(t, err)
		targets += fmt.Sprintf("  - {job_name: %s, static_configs: [{targets: [%q]}]}\n", name, addr)
	}
	rules, err := filepath.Abs("../deploy/prometheus/rules.yml")
	require.NoError(t, err)
	config := filepath.Join(f.dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, []byte("global: {scrape_interval: 250ms, evaluation_interval: 250ms}\n"+
		"rule_files: ["+rules+"]\nscrape_configs:\n"+targets), 0o600))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := ln.Addr().String()
	require.NoError(t, ln.Close())
	p, err := launch("prometheus", *prometheus, []string{}, "--config.file="+config, "--storage.tsdb.path="+f.dir+"/tsdb", "--web.listen-address="+at)
	require.NoError(t, err)
	t.Cleanup(p.end)
	require.NoError(t, eventually(func(ctx context.Context) error {
		n, err := ask(ctx, at, "up == 1")
		if err == nil && n != len(f.processes) {
			err = fmt.Errorf("%d targets are up, want %d", n, len(f.processes))
		}
		return err
	}))
	return at
}

// ask asks a Prometheus, and says how many series it answers.
func ask(ctx context.Context, at, expr string) (int, error) {
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	err := fetch(ctx, "http://"+at+"/api/v1/query?query="+url.QueryEscape(expr), &answer)
	if err == nil && answer.Status != "success" {
		err = fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	return len(answer.Data.Result), err
}

// healthy says whether every rule has been evaluated without an error.
func healthy(ctx context.Context, at string) error {
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	if err := fetch(ctx, "http://"+at+"/api/v1/rules", &answer); err != nil {
		return err
	}
	n := 0
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if n == 0 {
		return errors.New("it has no rules")
	}
	return nil
}

func fetch(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return json.NewDecoder(resp.Body).Decode(into)
}
