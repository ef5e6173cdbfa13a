package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/internal/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is the console in front of an API that says only that it was asked.
func page(t *testing.T) http.Handler {
	t.Helper()
	h, err := console.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, r.Method, " ", r.URL.Path)
	}))
	require.NoError(t, err)
	return h
}

func ask(h http.Handler, method, path string, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func TestEveryPathIsTheConsolesOrTheAPIs(t *testing.T) {
	h := page(t)
	for line, want := range map[string]int{
		"GET /":                         http.StatusFound,
		"GET /console":                  http.StatusFound,
		"HEAD /console/":                http.StatusOK,
		"GET /console/":                 http.StatusOK,
		"GET /console/app.js":           http.StatusOK,
		"GET /console/console.css":      http.StatusOK,
		"GET /console/icon.svg":         http.StatusOK,
		"GET /console/index.html":       http.StatusNotFound,
		"GET /console/nothing.js":       http.StatusNotFound,
		"GET /console/web/app.js":       http.StatusNotFound,
		"GET /console/../console.go":    http.StatusNotFound,
		"GET /console/%2e%2e/doc.go":    http.StatusNotFound,
		"POST /console/":                http.StatusMethodNotAllowed,
		"DELETE /console/app.js":        http.StatusMethodNotAllowed,
		"POST /":                        http.StatusMethodNotAllowed,
		"GET /consolex":                 http.StatusTeapot,
		"GET /v1/fleet":                 http.StatusTeapot,
		"POST /v1/kill-all":             http.StatusTeapot,
		"GET /healthz":                  http.StatusTeapot,
		"GET /v1/jobs/console/app.js":   http.StatusTeapot,
		"GET //console/":                http.StatusTeapot,
		"GET /console/app.js?x=1":       http.StatusOK,
		"GET /console/app.js/":          http.StatusNotFound,
		"OPTIONS /console/":             http.StatusMethodNotAllowed,
		"GET /console/APP.JS":           http.StatusNotFound,
		"GET /console/app.js%00.html":   http.StatusNotFound,
		"GET /console/?key=dev-admin":   http.StatusOK,
		"GET /console/jobs/some-job-id": http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(line, " ")
		require.Equal(t, want, ask(h, method, path).Code, line)
	}
	require.Equal(t, console.Path, ask(h, "GET", "/").Header().Get("Location"))
	require.Equal(t, "POST /v1/kill-all", ask(h, "POST", "/v1/kill-all").Body.String())
}

func TestEveryAnswerHasTheWholeSetOfHeaders(t *testing.T) {
	h := page(t)
	for _, path := range []string{"/", "/console/", "/console/app.js", "/console/nothing"} {
		head := ask(h, "GET", path).Header()
		policy := head.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"} {
			require.Contains(t, policy, want, path)
		}
		require.NotContains(t, policy, "unsafe")
		require.Equal(t, "nosniff", head.Get("X-Content-Type-Options"))
		require.Equal(t, "no-referrer", head.Get("Referrer-Policy"))
		require.Equal(t, "DENY", head.Get("X-Frame-Options"))
		require.Equal(t, "no-cache", head.Get("Cache-Control"))
	}
	require.Empty(t, ask(h, "GET", "/v1/fleet").Header().Get("Content-Security-Policy"), "what is not the console's is left alone")
}

func TestAFileIsSentAgainOnlyWhenItChanged(t *testing.T) {
	h := page(t)
	first := ask(h, "GET", "/console/app.js")
	require.Equal(t, "text/javascript; charset=utf-8", first.Header().Get("Content-Type"))
	tag := first.Header().Get("ETag")
	require.NotEmpty(t, tag)
	require.Equal(t, http.StatusNotModified, ask(h, "GET", "/console/app.js", "If-None-Match", tag).Code)
	require.Equal(t, http.StatusOK, ask(h, "GET", "/console/app.js", "If-None-Match", `"another"`).Code)
	require.Empty(t, ask(h, "HEAD", "/console/app.js").Body.String())
}

// The policy would stop it in the browser; here it is found without one.
func TestNothingIsInlineOrForeign(t *testing.T) {
	files, err := filepath.Glob("web/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	forbidden := map[string]*regexp.Regexp{
		"an inline script":         regexp.MustCompile(`<script(?:[^>]*)>[^<]`),
		"an inline style":          regexp.MustCompile(`<style|[ "']style=|setAttribute\('style'`),
		"an inline listener":       regexp.MustCompile(`<[^>]+ on[a-z]+=`),
		"text made into a program": regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`),
		"something from elsewhere": regexp.MustCompile(`https?://[^w]|https?://www\.[^w]|@import|url\(`),
		"a cookie":                 regexp.MustCompile(`document\.cookie`),
	}
	imports := regexp.MustCompile(`from '\./([a-z]+\.js)'`)
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		for what, pattern := range forbidden {
			require.Empty(t, pattern.FindString(string(raw)), "%s has %s", name, what)
		}
		require.LessOrEqual(t, strings.Count(string(raw), "\n"), 400, "%s holds more than one idea", name)
		for _, m := range imports.FindAllStringSubmatch(string(raw), -1) {
			require.FileExists(t, "web/"+m[1], "%s imports it", name)
		}
	}
}
