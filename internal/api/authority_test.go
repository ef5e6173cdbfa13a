package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// While Redis is known to have lost data nothing is admitted; whoever has to
// stop or to adopt gets through, and the probe keeps the door in the balancer.
func TestALossRefusesWhatStartsAndNotWhatStops(t *testing.T) {
	w := newWorld()
	w.losses = []job.Loss{{Partition: 0, Since: noon, Seen: "4.d", Found: "2.b"}}
	d := open(t, w)
	rec := call{method: "POST", path: "/v1/jobs", body: goodSubmit, as: "owner"}.on(d)
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.Equal(t, "authority-lost", kind(t, rec))
	require.NotEmpty(t, rec.Header().Get("Retry-After"))
	require.Equal(t, 202, call{method: "POST", path: "/v1/jobs/" + string(aliceJob) + "/kill", body: goodKill, as: "owner"}.on(d).Code)
	require.Equal(t, 202, call{method: "POST", path: "/v1/kill-all", body: goodAll, as: "admin"}.on(d).Code)

	rec = call{method: "GET", path: "/readyz"}.on(d)
	require.Equal(t, 200, rec.Code)
	require.Equal(t, "authority-lost", fieldsOf(t, rec)["status"])
	rec = call{method: "GET", path: "/v1/fleet", as: "operator"}.on(d)
	require.Equal(t, []any{map[string]any{"partition": 0.0, "since": "2026-11-23T12:00:00Z", "seen": "4.d", "found": "2.b"}}, fieldsOf(t, rec)["losses"])

	rec = call{method: "POST", path: "/v1/fleet/adopt", body: `{"reason":""}`, as: "admin"}.on(d)
	require.Equal(t, "invalid-input", kind(t, rec))
	require.Equal(t, "authority-lost", kind(t, call{method: "POST", path: "/v1/jobs", body: goodSubmit, as: "owner"}.on(d)))
	require.Equal(t, 200, call{method: "POST", path: "/v1/fleet/adopt", body: `{"reason":"restored the backup of noon"}`, as: "admin"}.on(d).Code)
	require.Equal(t, 1, w.logs.FilterMessage("adopt").Len())
	require.Equal(t, 202, call{method: "POST", path: "/v1/jobs", body: goodSubmit, as: "owner"}.on(d).Code)
}
