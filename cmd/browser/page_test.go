//go:build browser

package browser

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/internal/modelsim"
	"github.com/rtfm-si/gavel/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const (
	fleetName = "prod-eu"
	within    = 30 * time.Second
	looks     = 50 * time.Millisecond
	shots     = "../../bin/screenshots"
	axe       = "../../bin/axe/node_modules/axe-core/axe.min.js"
)

// town is a fleet with a door that can be blocked, and its people.
type town struct {
	*testing.T
	fleet             *dev.Fleet
	redis             *redistest.Own
	url               string // of the door in front
	alice, bob, admin *client.Client
	noStreams, noDoor atomic.Bool
}

// newTown starts a fleet whose own Redis is real.
func newTown(t *testing.T, cfg dev.Config) *town {
	t.Helper()
	own := redistest.StartOwn(t, redistest.Options{})
	cfg.Redis, cfg.Fleet = own.URL(), fleetName
	f, err := dev.Start(t.Context(), cfg, zap.NewNop())
	require.NoError(t, err)
	t.Cleanup(func() { f.Hurry(); _ = f.Close() })
	w := &town{T: t, fleet: f, redis: own}
	behind, err := url.Parse(f.URL())
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.FlushInterval = -1
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	front := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		stream := strings.HasSuffix(r.URL.Path, "/events")
		if w.noDoor.Load() && strings.HasPrefix(r.URL.Path, "/v1/") || stream && w.noStreams.Load() {
			http.Error(out, "blocked", http.StatusBadGateway)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		if stream {
			go w.cut(ctx, cancel)
		}
		proxy.ServeHTTP(out, r.WithContext(ctx))
	}))
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
	w.url = front.URL
	as := func(key string) *client.Client {
		c, err := client.New(f.URL(), client.WithKey(key))
		require.NoError(t, err)
		return c
	}
	w.alice, w.bob, w.admin = as(dev.Alice), as(dev.Bob), as(dev.Admin)
	return w
}

// cut ends a stream that is open when the door is blocked.
func (w *town) cut(ctx context.Context, cancel context.CancelFunc) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if w.noDoor.Load() || w.noStreams.Load() {
				cancel()
				return
			}
		}
	}
}

// canaries submits so many that go on spending until they are killed.
func (w *town) canaries(c *client.Client, n int, cost client.MicroUSD, labels map[string]string) []string {
	w.Helper()
	var ids []string
	for range n {
		got, err := c.Submit(w.Context(), client.Submission{
			Kind: "canary", Labels: labels, Budget: 900_000_000,
			Input: map[string]any{"steps": 5000, "step_ms": 400, "calls_per_step": 1, "call_micro_usd": cost, "checkpoint": true},
		})
		require.NoError(w, err)
		ids = append(ids, got.ID)
	}
	return ids
}

// hour is one that the fleet has behind it, in which it spent about so much a
// minute. The day is what a window is where nobody says otherwise.
func (w *town) hour(about int64) {
	w.Helper()
	client, now, all := w.redis.Client(w), time.Now().Unix()/60, int64(0)
	book := func(bucket string, n, spent int64) {
		require.NoError(w, client.HIncrBy(w.Context(), fmt.Sprintf("{%s:0}:%s:%d", fleetName, bucket, n), "total", spent).Err())
	}
	for ago := int64(1); ago < 60; ago++ {
		spent := about + about/40*(ago*7%11)
		book("minute", now-ago, spent)
		all += spent
	}
	today := now / (24 * 60)
	book("day", today, all)
	book("window", today*24*time.Hour.Microseconds(), all)
}

// running waits until so many jobs run.
func (w *town) running(n int64) {
	w.Helper()
	require.Eventually(w, func() bool {
		f, err := w.admin.Fleet(w.Context())
		return err == nil && f.Jobs[client.Running] == n
	}, within, 50*time.Millisecond)
}

// page is a browser with the console in it.
type page struct {
	*testing.T
	ctx    context.Context
	mu     sync.Mutex
	faults []string // what the browser complained about
	mayErr bool     // requests fail as the test wants it
}

func (w *town) open(width, height int64, scheme string) *page {
	w.Helper()
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("font-render-hinting", "none"), chromedp.WSURLReadTimeout(90*time.Second))
	alloc, stop := chromedp.NewExecAllocator(context.WithoutCancel(w.Context()), opts...)
	p := &page{T: w.T}
	ctx, cancel := chromedp.NewContext(alloc, chromedp.WithListener(p.listen))
	p.ctx = ctx
	w.Cleanup(func() { _ = chromedp.Cancel(ctx); cancel(); stop() })
	require.NoError(w, chromedp.Do(ctx)) // it starts the browser, which lives as long as this context
	p.do(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}),
		chromedp.Navigate(w.url+"/"), chromedp.WaitVisible(chromedp.CSS("#key")))
	w.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		require.Empty(w, p.faults, "the browser complained")
	})
	return p
}

func (p *page) listen(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		p.faults = append(p.faults, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && !(p.mayErr && e.Entry.Source == log.EntrySourceNetwork) && !strings.Contains(e.Entry.URL, "/v1/spend") {
			p.faults = append(p.faults, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

// expectTrouble: from now on requests may fail.
func (p *page) expectTrouble() { p.mu.Lock(); p.mayErr = true; p.mu.Unlock() }

// act is what one does in the browser.
type act = chromedp.Action[chromedp.Void]

func (p *page) do(acts ...act) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	if err := chromedp.Do(ctx, acts...); err != nil {
		p.failed(err, "")
	}
}

// failed shows how the page looks, and ends the test.
func (p *page) failed(err error, want string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot()); err == nil {
		p.keep("failed-"+p.Name(), png)
	}
	p.Fatalf("%v; want %s; the page says:\n%s", err, want, text)
}

// until waits for a JavaScript expression to be true.
func (p *page) until(expr string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	look := time.NewTicker(40 * time.Millisecond)
	defer look.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expr+")"))
		if ok {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			p.failed(errors.Join(err, ctx.Err()), expr)
		}
	}
}

// says waits for a text somewhere in what is selected.
func (p *page) says(selector, text string) {
	p.Helper()
	p.until(fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%q))", selector, text))
}

func (p *page) signIn(key string) {
	p.Helper()
	p.enter("#key", key+"\r")
	p.until("document.querySelector('#fresh[data-mode=live], #fresh[data-mode=polling]')")
}

// press sends keys to whatever has the focus.
func (p *page) press(keys string) { p.Helper(); p.do(chromedp.KeyEvent(keys)) }

// hit strikes keys that the page itself listens for: what is typed into a field
// also sends a character, whatever the page does with the key.
func (p *page) hit(keys ...string) {
	p.Helper()
	for _, key := range keys {
		p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
				if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: key}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func (p *page) click(selector string) { p.Helper(); p.do(chromedp.Click(chromedp.CSS(selector))) }

// enter types into a field.
func (p *page) enter(selector, text string) {
	p.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// clear empties a field, as somebody who selects all of it and deletes it does.
func (p *page) clear(selector string) {
	p.Helper()
	p.until(fmt.Sprintf("(e => { e.value = ''; return e.dispatchEvent(new Event('input', {bubbles: true})); })(document.querySelector(%q))", selector))
}

func (p *page) focus(selector string) { p.Helper(); p.do(chromedp.Focus(chromedp.CSS(selector))) }

// dialog waits until one is open and says so much.
func (p *page) dialog(text string) {
	p.Helper()
	p.until("document.querySelector('dialog').open")
	p.says("dialog", text)
}

func (p *page) noDialog() { p.Helper(); p.until("!document.querySelector('dialog').open") }

// shot takes a picture of the page.
func (p *page) shot(name string) { p.Helper(); p.picture(name, chromedp.CaptureScreenshot()) }

// whole takes a picture of all of it, also of what is below the fold.
func (p *page) whole(name string) { p.Helper(); p.picture(name, chromedp.FullScreenshot(100)) }

func (p *page) picture(name string, take chromedp.Action[[]byte]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	png, err := chromedp.Run(ctx, take)
	require.NoError(p, err)
	p.keep(name, png)
}

func (p *page) keep(name string, png []byte) {
	require.NoError(p, os.MkdirAll(shots, 0o755))
	require.NoError(p, os.WriteFile(filepath.Join(shots, name+".png"), png, 0o600))
}

// accessible asks axe, which must find nothing serious.
func (p *page) accessible(where string) {
	p.Helper()
	source, err := os.ReadFile(axe)
	require.NoError(p, err, "axe is missing: run this with make browser")
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	_, err = chromedp.Run(ctx, chromedp.Evaluate[int](string(source)+";0"))
	require.NoError(p, err)
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ['violations']}).then(r => r.violations
		.filter(v => v.impact === 'serious' || v.impact === 'critical')
		.map(v => v.id + ' (' + v.impact + '): ' + v.help + ': ' + v.nodes.map(n => n.html.slice(0, 160) + ' ' + (n.failureSummary || '')).join(' | ')))`,
		chromedp.EvalAwaitPromise))
	require.NoError(p, err)
	require.Empty(p, found, "axe on %s", where)
}

// simulation answers at a pace at which one can watch.
func simulation() modelsim.Config {
	cfg := modelsim.Demo(7)
	cfg.Latency, cfg.Pace = 60*time.Millisecond, 3000
	return cfg
}
