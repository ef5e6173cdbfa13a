package cli

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
)

func TestKillShowsItsReceiptAndAStrangersIsRefused(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	id := w.submit(dev.Alice, "market-entry")
	w.running(dev.Alice, id)
	w.gavel(dev.Bob, "kill", id, "--reason", "it is in my way").fails(codeRefused, "gavel ps")
	w.gavel(dev.Alice, "kill", id).fails(codeUsage, "--reason")
	require.Contains(t, w.gavel(dev.Alice, "kill", id, "--reason", "wrong question", "--incident", "inc-1").ok(), "its worker confirmed")

	var orders []client.Receipt
	s := w.gavel(dev.Admin, "orders", "--json")
	s.ok()
	s.into(&orders)
	require.Len(t, orders, 1)
	require.Contains(t, w.gavel(dev.Admin, "orders").ok(), "job "+id)
	receipt := w.gavel(dev.Alice, "receipt", orders[0].Order).ok()
	for _, want := range []string{"wrong question", "inc-1", "stopped", "recorded at", "returned +", "killed"} {
		require.Contains(t, receipt, want)
	}
	w.gavel(dev.Bob, "receipt", orders[0].Order).fails(codeRefused)
	audit := w.gavel(dev.Admin, "audit", "--job", id).ok()
	require.Contains(t, audit, "denied (foreign)")
	require.Contains(t, audit, "allowed")
	w.gavel(dev.Alice, "audit").fails(codeRefused, "--key dev-admin")
}

func TestKillAllWantsTheFleetsName(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	id := w.submit(dev.Alice, "market-entry")
	w.running(dev.Alice, id)
	kill := []string{"kill-all", "--reason", "drill"}
	w.typed(t.Context(), strings.NewReader("prod\n"), dev.Admin, kill...).fails(codeUsage, "nothing was killed")
	w.gavel(dev.Admin, append(kill, "--yes", "prod")...).fails(codeRefused)
	w.gavel(dev.Admin, append(kill, "--json")...).fails(codeUsage, "--yes")
	w.gavel(dev.Alice, append(kill, "--yes", w.fleet.Name())...).fails(codeRefused, "dev-admin")
	w.running(dev.Alice, id)

	s := w.typed(t.Context(), strings.NewReader(w.fleet.Name()+"\n"), dev.Admin, kill...)
	for _, want := range []string{"This will kill every job of fleet " + w.fleet.Name() + " (1 running) and freeze it", "1 targeted = 1 stopped", "quiesced", "thaw --reason"} {
		require.Contains(t, s.ok(), want)
	}
	w.gavel(dev.Alice, "submit", "../../../examples/market-entry.json").fails(codeUnavailable, "drill", "gavel thaw", "--idempotency-key")
	require.Contains(t, w.gavel(dev.Admin, "fleet").ok(), "FROZEN by admin")
	w.gavel(dev.Alice, "thaw", "--reason", "mine").fails(codeRefused)
	w.gavel(dev.Admin, "thaw", "--reason", "mine", "--seen", "0.x").fails(codeRefused, "gavel fleet")
	require.Contains(t, w.gavel(dev.Admin, "thaw", "--reason", "over").ok(), "the fleet is open")
	require.Contains(t, w.gavel(dev.Admin, "thaw", "--reason", "over").ok(), "the fleet is open", "a fleet that is open needs no thaw")
	w.gavel(dev.Admin, "thaw", "--reason", "over", "--rate", "fast").fails(codeUsage, "10/s")
	w.gavel(dev.Admin, "thaw", "--reason", "over", "--for", "1m").ok()
	for rate, says := range map[string]string{"10/s": "no more than 10 start per second, until", "30/m": "no more than 30 start per minute, until", "6/h": "no more than 6 start per hour, until"} {
		require.Contains(t, w.gavel(dev.Admin, "thaw", "--reason", "slowly", "--rate", rate, "--for", "30m").ok(), says)
	}
	require.Contains(t, w.gavel(dev.Admin, "fleet").ok(), "no more than")
	require.NotContains(t, w.gavel(dev.Admin, "thaw", "--reason", "faster").ok(), "no more than")
}

func TestAdoptingWantsTheFleetsName(t *testing.T) {
	t.Parallel()
	w := newTown(t, quick())
	adopt := []string{"fleet", "adopt", "--reason", "restored"}
	w.typed(t.Context(), strings.NewReader("prod\n"), dev.Admin, adopt...).fails(codeUsage, "nothing was adopted")
	w.gavel(dev.Admin, append(adopt, "--yes", "prod")...).fails(codeRefused, "nothing was adopted", "gavel fleet")
	w.gavel(dev.Admin, append(adopt, "--json")...).fails(codeUsage, "--yes")
	require.NotContains(t, w.gavel(dev.Admin, "audit", "--act", "adopt").ok(), "restored")
	require.Contains(t, w.typed(t.Context(), strings.NewReader(w.fleet.Name()+"\n"), dev.Admin, adopt...).ok(), "lives again")
	w.gavel(dev.Admin, append(adopt, "--yes", w.fleet.Name(), "--json")...).ok()
	require.Contains(t, w.gavel(dev.Admin, "audit", "--act", "adopt").ok(), "restored")
}

func TestKillAllOfOneOwnerSparesTheOthers(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	hers, his := w.submit(dev.Alice, "market-entry"), w.submit(dev.Bob, "market-entry")
	w.running(dev.Alice, hers)
	w.running(dev.Bob, his)
	var r client.Receipt
	s := w.gavel(dev.Admin, "kill-all", "--reason", "loops", "--owner", "alice", "--yes", w.fleet.Name(), "--json")
	s.ok()
	s.into(&r)
	require.Equal(t, client.Quiesced, r.Stage)
	require.Equal(t, int64(1), r.Tally.Stopped)
	require.False(t, r.Freeze)
	w.running(dev.Bob, his)

	s = w.gavel(dev.Admin, "kill-all", "--reason", "all", "--no-freeze", "--yes", w.fleet.Name(), "--json")
	s.ok()
	s.into(&r)
	require.Equal(t, int64(1), r.Tally.Targeted)
	w.submit(dev.Bob, "market-entry")
	w.gavel(dev.Admin, "kill-all", "--reason", "tidy up", "--yes", w.fleet.Name()).ok()
}

func TestFreezeSaysWhyAndForWhichIncident(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	require.Contains(t, w.gavel(dev.Admin, "freeze", "--reason", "look first", "--incident", "inc-9").ok(), "FROZEN by admin")
	var f client.Fleet
	s := w.gavel(dev.Admin, "fleet", "--json")
	s.ok()
	s.into(&f)
	require.True(t, f.Gate.Frozen)
	require.Equal(t, "inc-9", f.Gate.Incident)
	require.Len(t, f.Workers, 2)
	var g client.Gate
	s = w.gavel(dev.Admin, "thaw", "--json", "--reason", "seen", "--seen", f.Gate.Head)
	s.ok()
	s.into(&g)
	require.False(t, g.Frozen)
	w.gavel(dev.Alice, "fleet").fails(codeRefused)
	w.gavel("nobody", "fleet").fails(codeRefused, "GAVEL_KEY")
}

func TestEmptyListsAreListsToScripts(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	for _, ask := range []string{"ps", "orders", "audit"} {
		require.Equal(t, "[]\n", w.gavel(dev.Admin, ask, "--json").ok(), ask)
		require.Contains(t, w.gavel(dev.Admin, ask).ok(), "no ", ask)
	}
	w.gavel(dev.Admin, "ps", "--limit", "0").fails(codeUsage)
	w.gavel(dev.Admin, "audit", "--limit", "-1").fails(codeUsage)
}

func TestErrorsInJSONAreOneObject(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	s := w.gavel("nobody", "ps", "--json")
	s.fails(codeRefused)
	s.out = s.err.Error()
	var f Failure
	s.into(&f)
	require.Equal(t, client.ErrUnauthenticated, f.Problem)
	require.Equal(t, codeRefused, f.Code)
	require.NotEmpty(t, f.Request)
}

// A freeze that some partitions did not take is not over.
func TestAnActThatPartitionsLackIsNotOver(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusAccepted)
		_, _ = rw.Write([]byte(`{"frozen":true,"reason":"r","actor":"kim","head":"1.a,","missing_partitions":[1,3]}`))
	}))
	t.Cleanup(srv.Close)
	for _, ask := range [][]string{{"freeze", "--reason", "r"}, {"thaw", "--reason", "r", "--seen", "1.a,"}} {
		var out bytes.Buffer
		outcome(t.Context(), t, Process{Out: &out, Err: &out}, append([]string{"--url", srv.URL, "--key", "k"}, ask...)...).
			fails(codeNotOver, "partitions 1, 3", "again")
		require.Contains(t, out.String(), "FROZEN by kim")
	}
}

func TestNoDispatcherIsUnavailableAndSaysWhatToStart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, ask := range [][]string{{"ps"}, {"watch", "x"}, {"kill", "x", "--reason", "r"}, {"fleet"}, {"freeze", "--reason", "r"}} {
		outcome(t.Context(), t, Process{Out: &out, Err: &out}, append([]string{"--url", "http://127.0.0.1:1"}, ask...)...).
			fails(codeUnavailable, "connection refused", "dev")
	}
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "--url", "ftp://x", "ps").fails(codeUsage, "--url")
}

// Of an order that was tried several times nobody knows that nothing was done,
// whatever the last try was answered; of a question it is true.
func TestAKillWithoutRedisDoesNotSayThatNothingWasDone(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/problem+json")
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = rw.Write([]byte(`{"type":"urn:gavel:problem:redis-unavailable","title":"Redis is unavailable","status":503}`))
	}))
	t.Cleanup(srv.Close)
	said := func(ask ...string) string {
		var out bytes.Buffer
		s := outcome(t.Context(), t, Process{Out: &out, Err: &out}, append([]string{"--url", srv.URL, "--key", "k"}, ask...)...)
		s.fails(codeUnavailable)
		return s.err.Error()
	}
	require.Contains(t, said("fleet"), "Nothing was done")
	for _, ask := range [][]string{{"kill", "x", "--reason", "r"}, {"kill-all", "--owner", "acme", "--reason", "r", "--token", "t"}} {
		hint := said(ask...)
		require.NotContains(t, hint, "Nothing was done", ask)
		require.Contains(t, hint, "to kill twice does no harm", ask)
	}
}
