package redistest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// The variables that choose a Redis, see the package's documentation.
const (
	EnvURL   = "GAVEL_TEST_REDIS_URL"
	EnvImage = "GAVEL_TEST_REDIS_IMAGE"
)

// sharedURL carries the address from Main to Start. It is an environment
// variable, not a package variable, so that a binary which a test starts can
// use the same server.
const sharedURL = "GAVEL_TEST_SHARED_REDIS_URL"

// Runner is what a testing.M is.
type Runner interface{ Run() int }

// Main is a test package's TestMain: it starts the package's Redis, runs the
// tests, ends the Redis and fails the run when a goroutine is left over.
func Main(m Runner, options ...goleak.Option) { os.Exit(With(m, options...).Run()) }

// With is [Main] for a package whose TestMain belongs to somebody else, as to
// testscript.Main(redistest.With(m), …).
func With(m Runner, options ...goleak.Option) Runner { return around{m, options} }

type around struct {
	Runner

	options []goleak.Option
}

// Run runs the tests around the package's Redis.
func (a around) Run() int {
	redis.SetLogger(quiet{})
	stop, err := share()
	if err != nil {
		fmt.Fprintln(os.Stderr, "redistest:", err)
		return 1
	}
	options := append(a.options, goleak.IgnoreCurrent())
	code := a.Runner.Run()
	if code == 0 {
		if err := left(options); err != nil {
			fmt.Fprintln(os.Stderr, "redistest: the tests passed and left goroutines:", err)
			code = 1
		}
	}
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "redistest: end the server:", err)
	}
	return code
}

// left looks for goroutines that nobody waits for. It looks for longer than goleak
// alone: a pool of go-redis that is closed while its server is gone still has a
// goroutine that sleeps for a second before it notices.
func left(options []goleak.Option) error {
	const looks = 5 // of half a second
	err := goleak.Find(options...)
	for i := 1; err != nil && i < looks; i++ {
		err = goleak.Find(options...)
	}
	return err
}

// quiet drops what go-redis logs: every refused dial, which tests refuse on
// purpose.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// share finds the package's Redis and leaves its address for Start.
func share() (stop func() error, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	url, stop := os.Getenv(EnvURL), func() error { return nil }
	if url == "" {
		e, err := launch(ctx, Options{})
		if err != nil {
			return nil, err
		}
		url, stop = "redis://"+e.addr()+"/0", e.remove
	}
	if err := answers(ctx, url); err != nil {
		return nil, errors.Join(err, stop())
	}
	if err := os.Setenv(sharedURL, url); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// Server is a Redis as one test sees it.
type Server struct {
	// Fleet is a fleet name that no other test uses, for the keys {Fleet:P}:….
	Fleet string
	url   string
	addr  string
}

// Start gives a test a fleet of its own on the package's Redis, and deletes the
// fleet's keys when the test ends. The package's TestMain must call [Main].
func Start(t testing.TB) *Server {
	t.Helper()
	url := os.Getenv(sharedURL)
	if url == "" {
		t.Fatal("redistest: no server is shared; call redistest.Main(m) in this package's TestMain")
	}
	s := newServer(t, url)
	t.Cleanup(func() { s.sweep(t) })
	return s
}

func newServer(t testing.TB, url string) *Server {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatalf("redistest: %s: %v", EnvURL, err)
	}
	return &Server{Fleet: NewFleet(), url: url, addr: o.Addr}
}

// NewFleet draws a fleet name that no other test uses.
func NewFleet() string { return "t-" + strings.ToLower(rand.Text()[:12]) }

// URL is the server's address as redis://host:port/db.
func (s *Server) URL() string { return s.url }

// Addr is the server's host:port, what a [Proxy] is put in front of.
func (s *Server) Addr() string { return s.addr }

// Client connects to the server, and closes the connection when the test ends.
// It is for looking and for setting the scene: it keeps go-redis's defaults but
// never sends a command twice.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(s.url)
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// sweep deletes the keys of the test's fleet.
func (s *Server) sweep(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	o, err := redis.ParseURL(s.url)
	if err != nil {
		t.Errorf("redistest: %v", err)
		return
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	for scan := c.Scan(ctx, 0, "{"+s.Fleet+":*", 1000).Iterator(); ; {
		if !scan.Next(ctx) {
			if err := scan.Err(); err != nil {
				t.Errorf("redistest: sweep %s: %v", s.Fleet, err)
			}
			return
		}
		if err := c.Unlink(ctx, scan.Val()).Err(); err != nil {
			t.Errorf("redistest: sweep %s: %v", s.Fleet, err)
			return
		}
	}
}

// answers waits until the server replies, or says why it does not.
func answers(ctx context.Context, url string) error {
	o, err := redis.ParseURL(url)
	if err != nil {
		return fmt.Errorf("%s: %w", EnvURL, err)
	}
	o.MaxRetries = -1
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	for {
		info, err := c.Info(ctx, "server").Result()
		if err == nil {
			return newEnough(info)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer from %s within %s: %w", o.Addr, startTime, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

var version = regexp.MustCompile(`redis_version:(([0-9]+)\.[0-9.]+)`)

// newEnough refuses a server on which scripts do not even load.
func newEnough(info string) error {
	m := version.FindStringSubmatch(info)
	if m == nil {
		return errors.New("the server names no redis_version in INFO; Gavel needs Redis 7.0 or later")
	}
	if major, _ := strconv.Atoi(m[2]); major < 7 { // the expression has digits only
		return fmt.Errorf("the server is Redis %s; Gavel needs 7.0 or later", m[1])
	}
	return nil
}
