package cmd_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What an operator asks a process for is on its private port and on no other, and
// the log's level changes while it runs.
func TestThePrivatePortIsNotTheDoor(t *testing.T) {
	t.Parallel()
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	private := []string{"GAVEL_PRIVATE_LISTEN=127.0.0.1:0", "GAVEL_LOG_LEVEL=info"}
	require.NoError(t, f.startDispatcher("dispatcher", unset, private...))
	require.NoError(t, f.startWorker("w1", unset, private...))
	health, err := f.processes["w1"].said("worker listens for probes", "addr")
	require.NoError(t, err)
	ports := map[string]string{} // the private one by the public one
	for name, public := range map[string]string{"dispatcher": f.base, "w1": "http://" + health} {
		addr, err := f.processes[name].said("metrics, profiles and log level", "addr")
		require.NoError(t, err)
		ports[public] = "http://" + addr
	}
	for public, private := range ports {
		for path, says := range map[string]string{"/metrics": "gavel_build_info", "/debug/pprof/": "goroutine", "/debug/pprof/cmdline": "", "/log-level": `"info"`} {
			code, text := asks(t, http.MethodGet, private+path, "")
			require.Equal(t, http.StatusOK, code, private+path)
			require.Contains(t, text, says)
			code, _ = asks(t, http.MethodGet, public+path, "")
			require.Contains(t, []int{http.StatusNotFound, http.StatusUnauthorized}, code, public+path)
		}
		code, _ := asks(t, http.MethodGet, private+"/v1/fleet", "")
		require.Equal(t, http.StatusNotFound, code)
	}

	c, level := &traced{fleet: f, t: t}, ports["http://"+health]+"/log-level"
	started := func(id string) *regexp.Regexp { return regexp.MustCompile(`"msg":"job started".*` + id) }
	code, _ := asks(t, http.MethodPut, level, `{"level":"error"}`)
	require.Equal(t, http.StatusOK, code)
	silent := c.submit(`{"steps":1}`)
	f.becomes(t, silent, "succeeded")
	code, text := asks(t, http.MethodPut, level, `{"level":"loud"}`)
	require.Equal(t, http.StatusBadRequest, code, text)
	code, _ = asks(t, http.MethodPut, level, `{"level":"info"}`)
	require.Equal(t, http.StatusOK, code)
	told := c.submit(`{"steps":1}`)
	_, err = f.processes["w1"].logged(started(told))
	require.NoError(t, err)
	require.NotRegexp(t, started(silent), f.processes["w1"].log.text())
}

func asks(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(raw)
}
