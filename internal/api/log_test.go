package api

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/job"
)

func TestTheLogIsReadWholeAndChecked(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	body := fieldsOf(t, get("/v1/audit/log?after=4-0&limit=2").on(d))
	require.Equal(t, []any{map[string]any{"id": "5-0", "fields": map[string]any{"n": "1", "act": "kill"}}}, body["entries"])
	require.Equal(t, "aa", body["head"].(map[string]any)["hash"])
	require.Equal(t, []string{"4-0"}, w.asked)

	for _, bad := range []string{"partition=1", "partition=-1", "partition=256", "after=x", "after=1-0%3B", "limit=0", "limit=501"} {
		require.Equal(t, typeInvalid, kind(t, get("/v1/audit/log?"+bad).on(d)), bad)
	}
}

// Who stopped a job, when and why is one question: the order over it is found
// through its record, for an order over many does not name them.
func TestTheAuditIsSearchedByEveryFilter(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	require.Equal(t, 200, get("/v1/audit?act=kill&actor=kim&since=2026-11-28T10:00:00Z&until=2026-11-28T11:00:00Z&job="+string(noJob)).on(d).Code)
	require.Equal(t, job.AuditQuery{
		Act: "kill", Actor: "kim", About: noJob,
		Since: time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 28, 11, 0, 0, 0, time.UTC),
	}, w.sought[0])
	stopped := w.jobs[overJob]
	stopped.Order = allOrder
	w.jobs[overJob] = stopped
	require.Equal(t, 200, get("/v1/audit?job="+string(overJob)).on(d).Code)
	require.Equal(t, job.AuditQuery{About: overJob, Order: allOrder}, w.sought[1])
	for _, bad := range []string{"since=yesterday", "until=x", "actor=a%20b", "act=a%20b", "job=x", "since=2026-11-28T10:00:00Z&until=2026-11-28T09:00:00Z", "who=kim"} {
		require.Equal(t, typeInvalid, kind(t, get("/v1/audit?"+bad).on(d)), bad)
	}
}

func TestTheClientReadsTheLog(t *testing.T) {
	srv := httptest.NewServer(open(t, newWorld()))
	defer srv.Close()
	c, err := client.New(srv.URL, client.WithKey("admin"))
	require.NoError(t, err)
	got, err := c.AuditLog(t.Context(), 0, "", 0)
	require.NoError(t, err)
	require.Equal(t, client.AuditLog{
		Fleet: "prod", Partitions: 1, Last: 1, Head: &client.AuditHead{N: 1, ID: "5-0", Hash: "aa"},
		Entries: []client.AuditRecord{{ID: "5-0", Fields: map[string]string{"n": "1", "act": "kill"}}},
	}, got)
}
