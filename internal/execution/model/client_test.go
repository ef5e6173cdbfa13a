package model

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a client of a server that answers with the handler.
func served(t *testing.T, h http.HandlerFunc, tune ...func(*Config)) *Client {
	t.Helper()
	web := httptest.NewServer(h)
	cfg := Config{BaseURL: web.URL + "/v1"}
	for _, f := range tune {
		f(&cfg)
	}
	c, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); web.CloseClientConnections(); web.Close() })
	return c
}

func stream(w http.ResponseWriter, frames ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, f := range frames {
		_, _ = fmt.Fprintf(w, "data: %s\n\n", f)
		_ = http.NewResponseController(w).Flush()
	}
}

func word(s string) string {
	return fmt.Sprintf(`{"choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`, s)
}

const (
	stop  = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	usage = `{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}`
	done  = "[DONE]"
)

func ask(text string) Request {
	return Request{Model: "m", MaxTokens: 50, Messages: []Message{{System, "be brief"}, {User, text}}, Seed: 3, Job: "j1", Call: "c1"}
}

func yes() error { return nil }

func TestChatStreamsTheAnswerAndItsUsage(t *testing.T) {
	var got *http.Request
	var body string
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got, body = r, string(data)
		stream(w, word("Hello"), word(" there"), stop, usage, done)
	}, func(c *Config) { c.Key = "sk-test" })
	alive := 0
	req := ask("hi")
	req.Alive = func() { alive++ }
	reply, err := c.Chat(t.Context(), req, yes)
	require.NoError(t, err)
	require.Equal(t, Reply{
		Text: "Hello there", Finish: "stop", Sent: true, Reported: true,
		InputTokens: 12, OutputTokens: 5, Received: 11, Chunks: 3,
	}, reply)
	require.Equal(t, 4, alive)
	require.Equal(t, "/v1/chat/completions", got.URL.Path)
	require.Equal(t, "Bearer sk-test", got.Header.Get("Authorization"))
	require.Equal(t, "j1", got.Header.Get(HeaderJob))
	require.Equal(t, "c1", got.Header.Get(HeaderCall))
	require.JSONEq(t, `{"model":"m","max_tokens":50,"seed":3,"stream":true,"stream_options":{"include_usage":true},
		"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]}`, body)
}

func TestChatNeverReadsSecretsFromTheEnvironment(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-from-the-environment")
	t.Setenv("OPENAI_BASE_URL", "http://192.0.2.1/v1")
	var auth string
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		auth = r.Header.Get("Authorization")
		stream(w, word("x"), stop, done)
	})
	_, err := c.Chat(t.Context(), ask("hi"), yes)
	require.NoError(t, err)
	require.Equal(t, "Bearer none", auth)
}

func TestBeforeIsTheLastThingAndMayRefuse(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			var requests, bytes atomic.Int64
			web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				stream(w, word("x"), stop, usage, done)
			}))
			web.Listener = countingListener{web.Listener, &bytes}
			if web.Start(); secure {
				web.Close()
				web = httptest.NewUnstartedServer(web.Config.Handler)
				web.Listener = countingListener{web.Listener, &bytes}
				web.StartTLS()
			}
			c, err := New(Config{BaseURL: web.URL + "/v1"})
			require.NoError(t, err)
			if secure {
				c.transport.TLSClientConfig = &tls.Config{RootCAs: web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
			}
			t.Cleanup(func() { c.Close(); web.CloseClientConnections(); web.Close() })

			no := errors.New("no money")
			for range 3 { // on a new connection, and on one that was refused
				reply, err := c.Chat(t.Context(), ask("hi"), func() error { return no })
				require.ErrorIs(t, err, no)
				require.False(t, reply.Sent)
				require.False(t, Retryable(err))
			}
			_, err = c.Chat(t.Context(), ask("hi"), yes)
			require.NoError(t, err)
			before := bytes.Load()
			reply, err := c.Chat(t.Context(), ask("hi"), func() error { return no }) // on one that was in use
			require.ErrorIs(t, err, no)
			require.Equal(t, before, bytes.Load(), "not one byte")
			require.False(t, reply.Sent)
			require.Equal(t, int64(1), requests.Load(), "the server saw nothing of those that were refused")
		})
	}
}

type countingListener struct {
	net.Listener
	n *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, l.n}, err
}

type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestNothingIsSentAndNothingOwedWhenTheServerIsOutOfReach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	c, err := New(Config{BaseURL: "http://" + l.Addr().String()})
	require.NoError(t, err)
	asked := false
	reply, err := c.Chat(t.Context(), ask("hi"), func() error { asked = true; return nil })
	require.Error(t, err)
	require.True(t, Retryable(err))
	require.False(t, reply.Sent)
	require.False(t, asked, "before is asked when a connection is up, and there is none")
}

func TestAConnectionIsUsedAgainAndADeadOneIsReplaced(t *testing.T) {
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		stream(w, word("x"), stop, usage, done)
	}))
	var opened atomic.Int64
	web.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	web.Start()
	c, err := New(Config{BaseURL: web.URL})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); web.Close() })
	asked := 0
	for range 3 {
		_, err := c.Chat(t.Context(), ask("hi"), func() error { asked++; return nil })
		require.NoError(t, err)
	}
	require.Equal(t, int64(1), opened.Load())
	require.Equal(t, 3, asked)

	web.CloseClientConnections()
	// Whether the client has seen the hang-up yet is a matter of luck. If it writes
	// first, what became of the request cannot be known, and Chat does not guess.
	reply, err := c.Chat(t.Context(), ask("hi"), yes)
	if err != nil {
		require.True(t, Retryable(err))
		require.True(t, reply.Sent)
		_, err = c.Chat(t.Context(), ask("hi"), yes)
	}
	require.NoError(t, err)
	require.Equal(t, int64(2), opened.Load())
}

func TestAServerThatDoesNotCloseItsFinishedStreamIsLeft(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		stream(w, word("x"), stop, usage, done)
		<-r.Context().Done()
	})
	begin := time.Now()
	reply, err := c.Chat(t.Context(), ask("hi"), yes)
	require.NoError(t, err)
	require.Less(t, time.Since(begin), 10*time.Second)
	require.Equal(t, "x", reply.Text)
	require.True(t, reply.Reported)
}

func TestEveryWayOfFailingHasItsError(t *testing.T) {
	long := strings.Repeat("word ", 4000)
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		is    error
		retry bool
		sent  int // bytes received
	}{
		"cut without an end": {func(w http.ResponseWriter, _ *http.Request) { stream(w, word("half")) }, ErrCut, true, 4},
		"connection broken": {func(w http.ResponseWriter, _ *http.Request) {
			stream(w, word("half"))
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		}, ErrCut, true, 4},
		"error in mid-stream": {func(w http.ResponseWriter, _ *http.Request) {
			stream(w, word("half"), `{"error":{"message":"overloaded"}}`)
		}, ErrCut, true, 4},
		"garbage in the stream": {func(w http.ResponseWriter, _ *http.Request) { stream(w, word("half"), `{"choi`) }, ErrCut, true, 4},
		"a web page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		}, ErrProtocol, false, 0},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, ErrProtocol, false, 0},
		"silence": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, ErrStalled, true, 0},
		"silence in mid-stream": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			stream(w, word("half"))
			<-r.Context().Done()
		}, ErrStalled, true, 4},
		"too much text": {func(w http.ResponseWriter, r *http.Request) { stream(w, word(long), stop) }, ErrTooLong, false, len(long)},
		"a line without end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: ")
			for line := strings.Repeat("x", 64<<10); r.Context().Err() == nil; {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		}, ErrTooLong, false, 0},
		"too much of nothing": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, ": keep-alive\n\n"); err != nil {
					return
				}
			}
		}, ErrTooLong, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			client := served(t, c.serve, func(c *Config) { c.Silence = 150 * time.Millisecond })
			reply, err := client.Chat(t.Context(), ask("hi"), yes)
			require.ErrorIs(t, err, c.is)
			require.Equal(t, c.retry, Retryable(err))
			require.True(t, reply.Sent)
			require.Equal(t, c.sent, reply.Received)
			require.False(t, reply.Reported)
		})
	}
}

// What a server bills for an answer that was cut it tells whoever asks, after a
// while; where it does not, nothing is made up.
func TestABillIsAskedForWhenAnAnswerIsCut(t *testing.T) {
	t.Parallel()
	named := strings.Replace(word("half"), "{", `{"id":"gen-1",`, 1)
	for name, c := range map[string]struct {
		frames []string
		header string
		bills  []string // one per time it is asked; the last again and again
		off    bool
		want   [2]int // zero: not reported
	}{
		"at once":                {[]string{named}, "", []string{`{"data":{"tokens_prompt":9,"tokens_completion":3}}`}, false, [2]int{9, 3}},
		"when it has them":       {[]string{named}, "", []string{"", "", `{"data":{"tokens_prompt":9,"tokens_completion":3}}`}, false, [2]int{9, 3}},
		"what it bills by":       {[]string{named}, "", []string{`{"data":{"tokens_prompt":9,"tokens_completion":3,"native_tokens_prompt":11,"native_tokens_completion":0}}`}, false, [2]int{11, 0}},
		"before the first chunk": {nil, "gen-1", []string{`{"data":{"tokens_prompt":9,"tokens_completion":0}}`}, false, [2]int{9, 0}},
		"never":                  {[]string{named}, "", []string{""}, false, [2]int{}},
		"nonsense":               {[]string{named}, "", []string{`{"data":{"tokens_prompt":-9,"tokens_completion":3}}`}, false, [2]int{}},
		"of an answer unnamed":   {[]string{word("half")}, "", []string{`{"data":{"tokens_prompt":9,"tokens_completion":3}}`}, false, [2]int{}},
		"not asked for":          {[]string{named}, "", []string{`{"data":{"tokens_prompt":9,"tokens_completion":3}}`}, true, [2]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			var asked atomic.Int32
			client := served(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					answer := c.bills[min(int(asked.Add(1)), len(c.bills))-1]
					if answer == "" || r.URL.Path != "/v1/generation" || r.URL.Query().Get("id") != "gen-1" || r.Header.Get("Authorization") != "Bearer sk" {
						http.NotFound(w, r)
						return
					}
					_, _ = io.WriteString(w, answer)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				if c.header != "" {
					w.Header().Set(HeaderBill, c.header)
				}
				stream(w, append(c.frames, `{"choices":[]}`)...)
				<-r.Context().Done()
			}, func(cfg *Config) { cfg.Bills, cfg.Key = !c.off, "sk" })
			req := ask("hi")
			arrived := 0
			req.Alive = func() {
				if arrived++; arrived > len(c.frames) {
					cancel()
				}
			}
			began := time.Now()
			reply, err := client.Chat(ctx, req, yes)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, c.want != [2]int{}, reply.Reported)
			require.Equal(t, c.want, [2]int{reply.InputTokens, reply.OutputTokens})
			require.Equal(t, c.off, asked.Load() == 0 && name != "of an answer unnamed")
			require.Less(t, time.Since(began), 5*time.Second)
		})
	}
}

func TestAStreamThatDripsForEverIsEndedByTheTimeout(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				stream(w, word("x"))
			case <-r.Context().Done():
				return
			}
		}
	}, func(c *Config) { c.Silence, c.Timeout = 100*time.Millisecond, 200*time.Millisecond })
	reply, err := c.Chat(t.Context(), ask("hi"), yes)
	require.ErrorIs(t, err, ErrStalled)
	require.ErrorContains(t, err, "not done after 200ms")
	require.Positive(t, reply.Received)
}

func TestARefusalByTheServerKeepsItsWordsAndItsRetryAfter(t *testing.T) {
	for _, c := range []struct {
		status  int
		body    string
		header  [2]string
		retry   bool
		after   time.Duration
		message string
	}{
		{429, `{"error":{"message":"slow down","type":"x","code":"y","param":""}}`, [2]string{"Retry-After", "7"}, true, 7 * time.Second, "429 Too Many Requests: slow down"},
		{429, `{}`, [2]string{"Retry-After-Ms", "1500"}, true, 1500 * time.Millisecond, "429"},
		{429, `{}`, [2]string{"Retry-After", "999999999"}, true, time.Hour, "429"},
		{429, `{}`, [2]string{"Retry-After", "soon"}, true, 0, "429"},
		{503, `<html>bad gateway`, [2]string{}, true, 0, "503 Service Unavailable"},
		{500, ``, [2]string{}, true, 0, "500"},
		{401, `{"error":{"message":"no such key","type":"x","code":"y","param":""}}`, [2]string{}, false, 0, "401 Unauthorized: no such key"},
		{404, `{"error":{"message":"` + strings.Repeat("é", 400) + `","type":"x","code":"y","param":""}}`, [2]string{}, false, 0, "404 Not Found: é"},
		{400, `{"error":"text"}`, [2]string{}, false, 0, "400"},
	} {
		client := served(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.header[0] != "" {
				w.Header().Set(c.header[0], c.header[1])
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := client.Chat(t.Context(), ask("hi"), yes)
		var status *StatusError
		require.ErrorAs(t, err, &status, "%d %s", c.status, c.body)
		require.Equal(t, c.status, status.Status)
		require.Equal(t, c.after, status.RetryAfter)
		require.Equal(t, c.retry, Retryable(err))
		require.ErrorContains(t, err, c.message)
		require.Less(t, len(err.Error()), 400)
	}
}

func TestCancellingClosesTheSocketAtOnce(t *testing.T) {
	gone := make(chan struct{})
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		stream(w, word("half"))
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("killed")
	req := ask("hi")
	req.Alive = func() { cancel(cause) }
	reply, err := c.Chat(ctx, req, yes)
	require.ErrorIs(t, err, cause)
	require.False(t, Retryable(context.Canceled))
	require.Equal(t, 4, reply.Received)
	require.True(t, reply.Sent)
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		require.Fail(t, "the server was not told")
	}
}

func TestWhoClosesTheGateKnowsOnWhichSideTheRequestIs(t *testing.T) {
	calls := 0
	g := &gate{before: func() error { calls++; return nil }, refused: func(error) {}}
	sent, err := g.close()
	require.False(t, sent)
	require.NoError(t, err)
	var out strings.Builder
	_, err = g.write(&out, []byte("POST"))
	require.ErrorIs(t, err, errRefused)
	require.Empty(t, out.String())
	require.Zero(t, calls, "before is not asked once the call is over")

	// A call that is cancelled between before and the write waits for the write.
	checked, cancelled := make(chan struct{}), make(chan struct{})
	g = &gate{before: func() error { close(checked); <-cancelled; return nil }, refused: func(error) {}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = g.write(&out, []byte("POST"))
	}()
	<-checked
	go close(cancelled)
	sent, _ = g.close()
	require.True(t, sent)
	require.Equal(t, "POST", out.String())
	<-done
}

func TestACancelledCallWaitsForItsBefore(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, _ *http.Request) { stream(w, word("x"), stop, done) })
	ctx, cancel := context.WithCancel(t.Context())
	var inside atomic.Int32
	_, err := c.Chat(ctx, ask("hi"), func() error {
		inside.Add(1)
		cancel()
		<-ctx.Done()
		inside.Add(-1)
		return context.Cause(ctx)
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, inside.Load(), "it had come to its end")
}

func TestRefusalsAndFiltersAreSeen(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, _ *http.Request) {
		stream(w, `{"choices":[{"index":0,"delta":{"refusal":"I would rather not."},"finish_reason":null}]}`,
			`{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}`, done)
	})
	reply, err := c.Chat(t.Context(), ask("hi"), yes)
	require.NoError(t, err)
	require.Equal(t, "I would rather not.", reply.Refusal)
	require.Equal(t, "content_filter", reply.Finish)
	require.False(t, reply.Reported)
}

func TestAbsurdUsageIsNotBelieved(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, _ *http.Request) {
		stream(w, word("x"), stop, `{"choices":[],"usage":{"prompt_tokens":-4,"completion_tokens":5,"total_tokens":1}}`, done)
	})
	reply, err := c.Chat(t.Context(), ask("hi"), yes)
	require.NoError(t, err)
	require.False(t, reply.Reported)
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for base, want := range map[string]string{
		"":                         "want http(s)://",
		"localhost:8080":           "want http(s)://",
		"ftp://x/v1":               "want http(s)://",
		"http://":                  "want http(s)://",
		"http://me:secret@host/v1": "without credentials",
		"http://host/%zz":          "unreadable",
	} {
		_, err := New(Config{BaseURL: base})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err := New(Config{BaseURL: "http://host", Silence: time.Hour})
	require.ErrorContains(t, err, "longer than the timeout")
	_, err = New(Config{BaseURL: "http://host", Timeout: -1})
	require.ErrorContains(t, err, "negative")
	c, err := New(Config{BaseURL: "https://api.openai.com/v1"})
	require.NoError(t, err)
	require.True(t, c.modern)
	_, err = c.Chat(t.Context(), Request{Model: "m"}, yes)
	require.ErrorContains(t, err, "at least one token")
}
