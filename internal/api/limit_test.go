package api

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func submitAs(who string) call {
	return call{method: http.MethodPost, path: "/v1/jobs", as: who, body: `{"kind":"deliberation","input":{"problem":"x"},"owner":"acme"}`}
}

func killAs(who string) call {
	return call{method: http.MethodPost, path: "/v1/jobs/" + string(aliceJob) + "/kill", as: who, body: `{"reason":"enough"}`}
}

func readAs(who string) call {
	return call{method: http.MethodGet, path: "/v1/jobs/" + string(aliceJob), as: who}
}

// One who floods is refused; what others send, and what the same one kills or
// reads, is taken.
func TestEverySubjectHasItsShareOfEachKind(t *testing.T) {
	now := noon
	d := open(t, newWorld(), func(c *Config) {
		c.Now = func() time.Time { return now }
		c.Limits = Limits{Submits: Rate{1, 2}, Reads: Rate{1, 3}, Controls: Rate{1, 1}}
	})
	for range 2 {
		require.Less(t, submitAs("owner").on(d).Code, 300)
	}
	rec := submitAs("owner").on(d)
	require.Equal(t, http.StatusTooManyRequests, rec.Code)
	require.Contains(t, rec.Body.String(), `"urn:gavel:problem:rate-limited"`)
	require.Equal(t, "1", rec.Header().Get("Retry-After"))

	require.Equal(t, http.StatusOK, readAs("owner").on(d).Code, "reads have a share of their own")
	require.Less(t, killAs("owner").on(d).Code, 300, "kills have a share of their own")
	require.Equal(t, http.StatusTooManyRequests, killAs("owner").on(d).Code)
	require.Less(t, submitAs("service").on(d).Code, 300, "others have a share of their own")

	now = now.Add(time.Second)
	require.Less(t, submitAs("owner").on(d).Code, 300, "a share comes back")
	require.Equal(t, http.StatusTooManyRequests, submitAs("owner").on(d).Code)
}

// The last key in the safe opens, however often.
func TestBreakGlassControlsHaveNoLimit(t *testing.T) {
	d := open(t, newWorld(), func(c *Config) { c.Limits = Limits{Controls: Rate{0.001, 1}, Reads: Rate{0.001, 1}} })
	for range 5 {
		require.Less(t, killAs("break-glass").on(d).Code, 300)
	}
	require.Less(t, killAs("admin").on(d).Code, 300)
	require.Equal(t, http.StatusTooManyRequests, killAs("admin").on(d).Code)
}

// slow is a door's jobs that answer when they are let go.
type slow struct {
	Jobs

	came chan struct{}
	goOn chan struct{}
}

func (s slow) Job(ctx context.Context, id job.ID) (job.Job, error) {
	s.came <- struct{}{}
	<-s.goOn
	return s.Jobs.Job(ctx, id)
}

// A dispatcher that is busy sheds reads and submits, and takes every kill.
func TestABusyDispatcherTakesKills(t *testing.T) {
	s := slow{came: make(chan struct{}), goOn: make(chan struct{})}
	d := open(t, newWorld(), func(c *Config) {
		s.Jobs, c.Limits = c.Jobs, Limits{InFlight: 2}
		c.Jobs = s
	})
	done := make(chan int, 2)
	for range 2 {
		go func() { done <- readAs("owner").on(d).Code }()
		<-s.came
	}
	for _, c := range []call{readAs("admin"), submitAs("owner")} {
		rec := c.on(d)
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.Contains(t, rec.Body.String(), `"urn:gavel:problem:overloaded"`)
		require.NotEmpty(t, rec.Header().Get("Retry-After"))
	}
	require.Less(t, killAs("owner").on(d).Code, 300)
	all := call{method: http.MethodPost, path: "/v1/kill-all", as: "admin", body: `{"scope":"fleet","reason":"x","confirm":"prod"}`}
	require.Less(t, all.on(d).Code, 300)
	require.Equal(t, http.StatusOK, call{method: http.MethodGet, path: "/healthz"}.on(d).Code)
	close(s.goOn)
	for range 2 {
		require.Equal(t, http.StatusOK, <-done)
	}
	require.Less(t, submitAs("owner").on(d).Code, 300, "there is room again")
}

// Whoever tries credentials by the thousand is told less and fills no log; a
// good one from the same address is taken at once.
func TestTryingCredentialsIsLimited(t *testing.T) {
	w := newWorld()
	d := open(t, w, func(c *Config) { c.Limits = Limits{Refused: Rate{1, 3}} })
	for i := range 10 {
		want := http.StatusUnauthorized
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		require.Equal(t, want, readAs(fmt.Sprint("guess-", i)).on(d).Code, i)
	}
	require.Equal(t, http.StatusOK, readAs("owner").on(d).Code)
	require.Equal(t, http.StatusUnauthorized, call{method: http.MethodGet, path: "/v1/jobs"}.on(d).Code, "who shows none has guessed none")
	require.Equal(t, 3, w.logs.FilterMessage("not authenticated").Len())
}

func TestLimitsThatLimitNothingOrAllAreRefused(t *testing.T) {
	for _, r := range []Rate{{-1, 1}, {1, 0}, {0, 5}} {
		cfg := config(newWorld())
		cfg.Limits = Limits{Submits: r}
		_, err := New(cfg)
		require.ErrorContains(t, err, "Config.Limits", "%+v", r)
	}
}

// Every route that a person on call needs is a control, whatever is added.
func TestWhatStopsIsAControl(t *testing.T) {
	for _, path := range []string{
		"/v1/jobs/{id}/kill", "/v1/kill-all", "/v1/orders", "/v1/orders/preview", "/v1/freeze", "/v1/thaw", "/v1/blocks", "/v1/blocks/{id}/lift", "/v1/fleet/adopt",
	} {
		require.Equal(t, controls, classOf(http.MethodPost, path), path)
	}
	require.Equal(t, submits, classOf(http.MethodPost, "/v1/jobs"))
	require.Equal(t, submits, classOf(http.MethodPost, "/v1/jobs/{id}/resume"))
	require.Equal(t, reads, classOf(http.MethodGet, "/v1/jobs"))
}
