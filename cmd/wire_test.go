package cmd_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/worker"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// wire listens to what goes over a link.
type wire struct {
	mu       sync.Mutex
	commands [][]string
}

// listen overhears every request; it takes none.
func (w *wire) listen(l *redistest.Proxy) {
	l.HoldReplies(1, func(request []byte) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.commands = append(w.commands, wordsOf(request))
		return false
	})
}

func (w *wire) heard() [][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.commands)
}

// wordsOf takes a request apart: *n, and then $length and a word n times.
func wordsOf(request []byte) (out []string) {
	_, rest, _ := strings.Cut(string(request), "\r\n")
	for rest != "" {
		head, tail, _ := strings.Cut(rest, "\r\n")
		n, err := strconv.Atoi(strings.TrimPrefix(head, "$"))
		if err != nil || n < 0 || n > len(tail) {
			return out
		}
		out = append(out, tail[:n])
		rest = strings.TrimPrefix(tail[n:], "\r\n")
	}
	return out
}

// Whatever a fleet says to Redis, no word of it waits for longer than a second.
func TestNothingWaitsForEverOnTheWire(t *testing.T) {
	t.Parallel()
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	var w wire
	w.listen(f.link("wire"))
	unset := func(string) string { return "" }
	require.NoError(t, f.startDispatcher("dispatcher", unset, "via=wire"))
	require.NoError(t, f.startWorker("w1", unset, "via=wire"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	alice := f.as("alice")
	for _, input := range []string{`{"steps":3,"step_ms":100,"events":true,"checkpoint":true}`, `{"steps":1000,"step_ms":20}`} {
		done, err := alice.Submit(ctx, client.Submission{Kind: "canary", Input: rawJSON(input)})
		require.NoError(t, err)
		if strings.Contains(input, "1000") {
			_, err = alice.Kill(ctx, done.ID, client.Kill{Reason: "enough", Wait: 5 * time.Second})
			require.NoError(t, err)
		}
		_, err = alice.Wait(ctx, done.ID)
		require.NoError(t, err)
	}
	waits := map[string]int{}
	for _, c := range w.heard() {
		if name, most, ok := waitOf(c); ok {
			waits[name]++
			require.Greater(t, most, time.Duration(0), "%v waits for ever", c)
			require.LessOrEqual(t, most, time.Second, "%v", c)
		}
	}
	require.Positive(t, waits["xread"], "the control stream and the events are read so")
	require.Positive(t, waits["blpop"], "the road wakes so")
	require.Zero(t, waits["xreadgroup"], "the road is read inside grant alone")
}

// rawJSON is an input as it is written.
type rawJSON string

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// waitOf is for how long a command waits, if it is one that does.
func waitOf(c []string) (name string, most time.Duration, waits bool) {
	name = strings.ToLower(c[0])
	switch name {
	case "xread", "xreadgroup":
		i := slices.IndexFunc(c, func(w string) bool { return strings.EqualFold(w, "block") })
		if i < 0 {
			return name, 0, false
		}
		ms, err := strconv.Atoi(c[i+1])
		return name, time.Duration(ms) * time.Millisecond, err == nil
	case "blpop", "brpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax":
		s, err := strconv.ParseFloat(c[len(c)-1], 64)
		return name, time.Duration(s * float64(time.Second)), err == nil
	default:
		return name, 0, false
	}
}

// What a hundred idle workers on one road ask of Redis, with the timings of
// production. The figure is for people; only that it was seen is held to.
func TestAHundredIdleWorkersOnOneRoad(t *testing.T) {
	if !*nightly {
		t.Skip("it needs the machine for itself; make stories measures it")
	}
	const workers, window = 100, 4 * time.Second
	own := redistest.StartOwn(t, redistest.Options{})
	link := redistest.NewProxy(t, own.Addr())
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	for i := range workers {
		cfg, err := worker.Parse([]string{
			"--redis=" + link.URL(), "--fleet=" + own.Fleet, fmt.Sprint("--id=w", i), "--listen=", "--slots=2",
		}, nil, io.Discard)
		require.NoError(t, err)
		all.Go(func() {
			if err := worker.Run(ctx, cfg, nil, zap.NewNop()); err != nil {
				t.Error(err)
			}
		})
	}
	look := own.Client(t)
	table := "{" + own.Fleet + ":0}:workers"
	require.Eventually(t, func() bool { return look.ZCard(ctx, table).Val() == workers }, patience, 20*time.Millisecond)

	var w wire
	w.listen(link)
	from, before := time.Now(), link.Counts().Requests
	<-time.After(window)
	requests, took := link.Counts().Requests-before, time.Since(from).Seconds()
	kinds := map[string]int{}
	for _, c := range w.heard() {
		kinds[strings.ToLower(c[0])]++
	}
	require.Positive(t, requests)
	t.Logf("%d idle workers: %.0f commands/s, %.1f per worker and second, %d connections; of the kinds %v in %.1f s",
		workers, float64(requests)/took, float64(requests)/took/workers, link.Counts().Conns, kinds, took)
	stop()
	all.Wait()
	require.Zero(t, look.Exists(context.WithoutCancel(ctx), table).Val(), "all have left the table")
}
