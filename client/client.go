package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client asks one fleet's dispatchers. Make one with [New].
type Client struct {
	base    string
	key     string
	agent   string
	http    *http.Client
	tries   int
	pause   time.Duration
	timeout time.Duration
	idle    time.Duration
}

// Option changes how a [Client] works.
type Option func(*Client)

// WithKey sets the credential, an API key or a token. It is sent with every
// request: use https for anything but loopback.
func WithKey(key string) Option { return func(c *Client) { c.key = key } }

// WithHTTPClient sets the HTTP client, for a transport of one's own. It should
// have no timeout: that would cut event streams off.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithRetries sets how often a request is sent at most (default 5; 1 is never
// again) and the first pause between two, which doubles (default 200 ms).
func WithRetries(tries int, pause time.Duration) Option {
	return func(c *Client) { c.tries, c.pause = tries, pause }
}

// WithTimeout bounds one try of one request, beside the context (default 10 s).
// Event streams are bounded by their context alone.
func WithTimeout(d time.Duration) Option { return func(c *Client) { c.timeout = d } }

// WithUserAgent sets the User-Agent.
func WithUserAgent(agent string) Option { return func(c *Client) { c.agent = agent } }

const (
	longestPause = 30 * time.Second
	maxAnswer    = 32 << 20 // bytes
	// An event stream beats every 15 s; three missed beats are a dead link.
	defaultIdle = 45 * time.Second
)

// New returns a client of the dispatcher at a base URL such as
// "https://gavel.example". It does not connect.
func New(baseURL string, options ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("gavel: base URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("gavel: base URL %q: want http(s)://host[:port] and nothing else", u.Redacted())
	}
	c := &Client{
		base: strings.TrimSuffix(u.String(), "/"), agent: "gavel-client",
		http:  &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		tries: 5, pause: 200 * time.Millisecond, timeout: 10 * time.Second, idle: defaultIdle,
	}
	for _, o := range options {
		o(c)
	}
	if c.tries < 1 || c.pause < 0 || c.timeout <= 0 || c.http == nil {
		return nil, errors.New("gavel: want at least one try, no negative pause, a timeout, and an HTTP client")
	}
	return c, nil
}

// request is one question, sent as often as needed.
type request struct {
	method, path string
	query        url.Values
	key          string // idempotency key
	body         any
	longer       time.Duration // the answer may take this much longer
}

// do sends a request until it is answered, and reads the answer into out.
func (c *Client) do(ctx context.Context, r request, out any) error {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("gavel: write the request: %w", err)
		}
	}
	for try := 1; ; try++ {
		err := c.once(ctx, r, body, out)
		if err == nil || try >= c.tries || !again(err) {
			return err
		}
		if stop := c.rest(ctx, try, err); stop != nil {
			return stop
		}
	}
}

// again reports whether a request that failed so may be sent again.
func again(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		return p.passing()
	}
	var garbled *garbledError
	return !errors.As(err, &garbled)
}

// rest waits before the next try: as long as the answer asked for, or a pause
// that doubles, with some chance in it so that many clients do not come at once.
func (c *Client) rest(ctx context.Context, try int, err error) error {
	d := min(c.pause<<min(try-1, 20), longestPause)
	d = d/2 + rand.N(d/2+1) //nolint:gosec // no secret
	var p *Problem
	if errors.As(err, &p) && p.RetryAfter > 0 {
		d = min(p.RetryAfter, longestPause)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), err)
	case <-timer.C:
		return nil
	}
}

func (c *Client) once(ctx context.Context, r request, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+r.longer)
	defer cancel()
	resp, err := c.send(ctx, r, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("gavel: %s %s: %w", r.method, r.path, problemOf(resp))
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("gavel: read the answer: %w", err)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return &garbledError{err}
	}
	return nil
}

// garbledError is an answer that is none of a dispatcher: asking again would
// not help.
type garbledError struct{ err error }

func (g *garbledError) Error() string {
	return "gavel: the answer is not a dispatcher's: " + g.err.Error()
}
func (g *garbledError) Unwrap() error { return g.err }

func (c *Client) send(ctx context.Context, r request, body []byte) (*http.Response, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, &garbledError{err}
	}
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if r.method == http.MethodPost || r.method == http.MethodPut {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("gavel: %w", err)
	}
	return resp, nil
}

// problemOf reads what an answer refuses with, whoever wrote it.
func problemOf(resp *http.Response) *Problem {
	p := &Problem{}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		_ = json.Unmarshal(raw, p)
	}
	p.Status = resp.StatusCode
	p.RequestID = resp.Header.Get("X-Request-Id")
	if p.Title == "" {
		p.Title = resp.Status
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
