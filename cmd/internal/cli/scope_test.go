package cli

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
)

// canary submits a job that does what it is told, and waits until it runs.
func (w town) canary(who string, labels map[string]string, input map[string]any) string {
	w.t.Helper()
	c, err := client.New(w.fleet.URL(), client.WithKey(who))
	require.NoError(w.t, err)
	got, err := c.Submit(w.t.Context(), client.Submission{Kind: "canary", Labels: labels, Input: input})
	require.NoError(w.t, err)
	w.running(who, got.ID)
	return got.ID
}

func long() map[string]any { return map[string]any{"steps": 1000, "step_ms": 50} }

func TestAScopeIsTheFleetAnOwnerOrASelector(t *testing.T) {
	for name, c := range map[string]struct {
		flags scopeFlags
		want  client.Scope
	}{
		"all":        {scopeFlags{}, client.Scope{Kind: "fleet"}},
		"owner":      {scopeFlags{Owner: "ann"}, client.Scope{Kind: "owner", Owner: "ann"}},
		"kind":       {scopeFlags{Kind: "k"}, client.Scope{Kind: "selector", Selector: &client.Selector{Kind: "k"}}},
		"submitter":  {scopeFlags{Submitter: "svc"}, client.Scope{Kind: "selector", Selector: &client.Selector{Submitter: "svc"}}},
		"model":      {scopeFlags{Model: "m/1:x"}, client.Scope{Kind: "selector", Selector: &client.Selector{Model: "m/1:x"}}},
		"owner+more": {scopeFlags{Owner: "ann", MinAge: time.Minute}, client.Scope{Kind: "selector", Selector: &client.Selector{Owner: "ann", MinAge: 60}}},
		"label":      {scopeFlags{Labels: map[string]string{"a": "b"}}, client.Scope{Kind: "selector", Selector: &client.Selector{Labels: map[string]string{"a": "b"}}}},
		"spend":      {scopeFlags{MinSpend: "2.50"}, client.Scope{Kind: "selector", Selector: &client.Selector{MinSpend: 2_500_000}}},
	} {
		got, err := c.flags.scope()
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	for _, bad := range []scopeFlags{{MinAge: -time.Second}, {MinAge: time.Millisecond}, {MinSpend: "much"}} {
		_, err := bad.scope()
		require.Error(t, err, "%+v", bad)
	}
}

func TestKillAllOfWhatASelectorAsksForIsPreviewedAndSparesTheRest(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	w.canary(dev.Alice, map[string]string{"batch": "night"}, long())
	w.canary(dev.Bob, map[string]string{"batch": "night"}, long())
	spared := w.canary(dev.Bob, map[string]string{"batch": "day"}, long())
	which := []string{"--label", "batch=night"}

	seen := w.gavel(dev.Admin, append([]string{"preview"}, which...)...).ok()
	for _, want := range []string{"every job with label batch=night", "2 jobs of 2 owners", "2 running", "2 canary", "Nothing was changed", "--token"} {
		require.Contains(t, seen, want)
	}
	w.gavel(dev.Alice, "preview").fails(codeRefused)
	var p client.Preview
	s := w.gavel(dev.Admin, append([]string{"preview", "--json"}, which...)...)
	s.ok()
	s.into(&p)
	require.Equal(t, int64(2), p.Jobs)

	kill := []string{"kill-all", "--reason", "it loops", "--incident", "inc-3"}
	w.gavel(dev.Admin, append(kill, "--token", p.Token, "--label", "batch=day")...).fails(codeRefused, "for the same jobs", "not given to you for this scope")
	w.gavel(dev.Admin, append(kill, append(which, "--freeze")...)...).fails(codeUsage, "block")
	w.typed(t.Context(), strings.NewReader("no\n"), dev.Admin, append(kill, which...)...).fails(codeUsage, "nothing was killed")
	out := w.typed(t.Context(), strings.NewReader(w.fleet.Name()+"\n"), dev.Admin, append(kill, which...)...).ok()
	for _, want := range []string{"2 jobs of 2 owners", "every job of fleet " + w.fleet.Name() + " with label batch=night (2 running)", "2 targeted = 2 stopped", "quiesced"} {
		require.Contains(t, out, want)
	}
	w.running(dev.Bob, spared)
	require.Contains(t, w.gavel(dev.Admin, "orders").ok(), "label batch=night")

	var r client.Receipt
	s = w.gavel(dev.Admin, append(kill, "--kind", "canary", "--token", w.token("--kind", "canary"), "--json")...)
	s.ok()
	s.into(&r)
	require.Equal(t, int64(1), r.Tally.Stopped, "the token of a preview is as good as a new one")
	require.Equal(t, "canary", r.Scope.Selector.Kind)
	checks := []string{}
	for _, e := range w.acts("--act", "kill-selector") {
		if e.Decision == "allowed" {
			checks = append(checks, e.Fields["check"]+" "+e.Fields["expected"])
		}
	}
	require.ElementsMatch(t, []string{"preview 1", "preview 2"}, checks)
}

func (w town) token(which ...string) string {
	w.t.Helper()
	var p client.Preview
	s := w.gavel(dev.Admin, append([]string{"preview", "--json"}, which...)...)
	s.ok()
	s.into(&p)
	return p.Token
}

// acts are entries of the audit.
func (w town) acts(filters ...string) (out []client.AuditEntry) {
	w.t.Helper()
	s := w.gavel(dev.Admin, append([]string{"audit", "--json"}, filters...)...)
	s.ok()
	s.into(&out)
	return out
}

func TestBreakGlassAsksNothingAndIsInTheAudit(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	w.canary(dev.Alice, nil, long())
	kill := []string{"kill-all", "--reason", "no time", "--break-glass"}
	w.gavel(dev.Admin, append(kill, "--yes", "prod")...).fails(codeRefused, "not named")
	w.gavel(dev.Admin, append(kill, "--token", "x")...).fails(codeUsage)
	var r client.Receipt
	s := w.gavel(dev.Admin, append(kill, "--json", "--no-freeze")...)
	s.ok()
	s.into(&r)
	require.Equal(t, client.Quiesced, r.Stage)
	require.False(t, r.Freeze)
	acts := w.acts("--act", "kill-fleet")
	require.Len(t, acts, 1)
	require.Equal(t, "break-glass", acts[0].Fields["check"])
	require.Contains(t, w.gavel(dev.Admin, append(kill, "--owner", "alice", "--freeze")...).ok(), "thaw --reason", "an owner's order freezes when told to")
}

func TestKillAllThatIsNotConfirmedEndsWithFourAndItsReceipt(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	deaf := w.canary(dev.Alice, nil, map[string]any{"steps": 1000, "step_ms": 50, "deaf_ms": 3000})
	var r client.Receipt
	s := w.gavel(dev.Admin, "kill-all", "--reason", "deaf", "--yes", w.fleet.Name(), "--wait", "300ms", "--json")
	s.fails(codeNotOver, "receipt ")
	s.into(&r)
	require.Equal(t, int64(1), r.Tally.Waiting)
	require.Equal(t, deaf, r.Open[0].Job)
	w.gavel(dev.Admin, "receipt", r.Order).fails(codeNotOver)
	again := w.gavel(dev.Admin, "receipt", r.Order, "--wait", "20s")
	require.Contains(t, again.ok(), "1 stopped")
}

// Where a proxy swallows the stream of events the order is looked at instead.
func TestAnOrderIsFollowedWithoutItsEvents(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	w.canary(dev.Alice, nil, map[string]any{"steps": 1000, "step_ms": 50, "deaf_ms": 1000})
	to, err := url.Parse(w.fleet.URL())
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	swallowed := make(chan struct{}, 16)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			swallowed <- struct{}{}
			http.Error(rw, "no streams here", http.StatusNotImplemented)
			return
		}
		proxy.ServeHTTP(rw, r)
	}))
	defer srv.Close()
	out := newTTY("")
	s := outcome(t.Context(), t, Process{In: strings.NewReader(""), Out: out, Err: out},
		"--url", srv.URL, "--key", dev.Admin, "kill-all", "--reason", "behind a proxy", "--yes", w.fleet.Name())
	require.Contains(t, s.ok(), "1 targeted = 1 stopped")
	require.Contains(t, s.out, "0 of 1 over", "progress is shown")
	require.NotEmpty(t, swallowed)
}

func TestBlocksStandUntilTheyAreLifted(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	require.Contains(t, w.gavel(dev.Admin, "blocks").ok(), "no blocks")
	require.Equal(t, "[]\n", w.gavel(dev.Admin, "blocks", "--json").ok())
	require.Contains(t, w.gavel(dev.Admin, "block", "--label", "batch=night", "--reason", "it loops").ok(), "label batch=night is blocked")
	var b client.Block
	s := w.gavel(dev.Admin, "block", "--owner", "alice", "--reason", "too dear", "--json")
	s.ok()
	s.into(&b)
	w.gavel(dev.Alice, "submit", "../../../examples/market-entry.json").fails(codeRefused, b.ID)
	list := w.gavel(dev.Admin, "blocks").ok()
	for _, want := range []string{"owner alice", "label batch=night", "too dear", b.ID} {
		require.Contains(t, list, want)
	}
	w.gavel(dev.Alice, "lift", b.ID, "--reason", "mine").fails(codeRefused)
	w.gavel(dev.Admin, "lift", b.ID, "--reason", "r", "--seen", "0.x").fails(codeRefused, "look")
	require.Contains(t, w.gavel(dev.Admin, "lift", b.ID, "--reason", "paid").ok(), "owner alice is not blocked any more")
	require.NotContains(t, w.gavel(dev.Admin, "blocks").ok(), "owner alice")
	w.submit(dev.Alice, "market-entry")
	for _, bad := range [][]string{{}, {"--owner", "a", "--kind", "b"}, {"--label", "x"}} {
		w.gavel(dev.Admin, append([]string{"block", "--reason", "r"}, bad...)...).fails(codeUsage)
	}
}

func TestTheAuditIsSearched(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	id := w.canary(dev.Alice, nil, long())
	began := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	w.gavel(dev.Alice, "thaw", "--reason", "mine", "--seen", "x").fails(codeRefused)
	w.gavel(dev.Admin, "kill-all", "--reason", "all of it", "--yes", w.fleet.Name()).ok()

	stopped := w.acts("--job", id)
	require.Len(t, stopped, 1, "the order that stopped a job is found by the job, though it names none")
	require.Equal(t, "all of it", stopped[0].Fields["reason"])
	require.Len(t, w.acts("--order", stopped[0].Fields["order"]), 1)
	require.Len(t, w.acts("--actor", "alice"), 1)
	require.Len(t, w.acts("--since", "1m"), 2)
	require.Len(t, w.acts("--since", began, "--actor", "admin"), 1)
	require.Empty(t, w.acts("--until", "1h"))
	text := w.gavel(dev.Admin, "audit", "--job", id).ok()
	for _, want := range []string{"all of it", "killed by admin", "stopped", "spent"} {
		require.Contains(t, text, want)
	}
	for _, bad := range [][]string{{"--since", "yesterday"}, {"--until", "-1h"}, {"--job", id, "--order", id}} {
		w.gavel(dev.Admin, append([]string{"audit"}, bad...)...).fails(codeUsage)
	}
}
