package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// watching opens the fleet's event stream.
func watching(t *testing.T, base, who string) (*http.Response, func() (kind, data string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/fleet/events", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+who)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	return resp, func() (kind, data string) {
		for lines.Scan() {
			if v, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				kind = v
			}
			if v, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return kind, v
			}
		}
		return "end", ""
	}
}

// seen counts the looks at the fleet.
type seen struct {
	fakeFleet
	looks chan struct{}
}

func (s seen) View(ctx context.Context) (job.Fleet, error) {
	s.looks <- struct{}{}
	return s.fakeFleet.View(ctx)
}

func TestTheFleetIsWatchedByWhoMayReadIt(t *testing.T) {
	base, _ := serve(t, open(t, newWorld()))
	for who, want := range map[string]int{"stranger": 403, "owner": 403, "service": 403, "operator": 200, "admin": 200, "nobody": 401} {
		resp, _ := watching(t, base, who)
		require.Equal(t, want, resp.StatusCode, who)
	}
}

func TestManyWhoWatchTheFleetShareOneLook(t *testing.T) {
	w := newWorld()
	counted := seen{fakeFleet{w}, make(chan struct{}, 100)}
	base, _ := serve(t, open(t, w, func(c *Config) { c.Fleet = counted }))
	began := time.Now()
	const viewers = 8
	for range viewers {
		resp, next := watching(t, base, "admin")
		require.Equal(t, http.StatusOK, resp.StatusCode)
		kind, data := next()
		require.Equal(t, "fleet", kind)
		var news struct {
			At    time.Time
			Fleet struct{ Name string }
		}
		require.NoError(t, json.Unmarshal([]byte(data), &news))
		require.WithinDuration(t, time.Now(), news.At, 10*time.Second)
	}
	most := int(time.Since(began)/(glanceEvery*9/10)) + 1
	require.LessOrEqual(t, len(counted.looks), most, "%d watched", viewers)
}

func TestWhoWatchesIsToldOfTroubleAndOfItsEnd(t *testing.T) {
	w := newWorld()
	base, _ := serve(t, open(t, w))
	_, next := watching(t, base, "operator")
	kind, _ := next()
	require.Equal(t, "fleet", kind)
	w.set(func() { w.fail = job.ErrUnavailable })
	require.Eventually(t, func() bool {
		kind, data := next()
		return kind == "trouble" && strings.Contains(data, "redis-unavailable")
	}, 10*time.Second, time.Millisecond)
	w.set(func() { w.fail = nil })
	require.Eventually(t, func() bool { kind, _ := next(); return kind == "fleet" }, 10*time.Second, time.Millisecond)
}

func TestTheFleetThatCannotBeSeenIsAProblemAndNoStream(t *testing.T) {
	w := newWorld()
	w.fail = job.ErrUnavailable
	rec := call{method: "GET", path: "/v1/fleet/events", as: "admin"}.on(open(t, w))
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.Equal(t, typeRedisUnavailable, kind(t, rec))
}

func TestMeSaysWhatOneMayDoOnTheWholeFleet(t *testing.T) {
	for who, want := range map[string]string{
		"owner":    "",
		"service":  "",
		"operator": "read freeze block fleet-read",
		"admin":    "read kill-owner kill-fleet kill-selector freeze thaw block lift adopt drill fleet-read audit-read key-create key-revoke keys-read budget-set",
	} {
		rec := call{method: "GET", path: "/v1/me", as: who}.on(open(t, newWorld()))
		require.Equal(t, http.StatusOK, rec.Code)
		var v meView
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &v))
		require.Equal(t, strings.Fields(want), v.May, who)
		require.Equal(t, "prod", v.Fleet)
		require.NotEmpty(t, v.Subject)
	}
}
