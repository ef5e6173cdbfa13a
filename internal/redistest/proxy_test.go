package redistest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/redistest"
)

// soon is how long a test waits for what must come, never for what must not.
const soon = 5 * time.Second

// client speaks the protocol by hand, so that a test sees what go-redis hides.
type client struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &client{c.(*net.TCPConn), t, bufio.NewReader(c)}
}

func (c *client) send(words ...string) {
	c.t.Helper()
	var b bytes.Buffer
	b.WriteString("*" + strconv.Itoa(len(words)) + "\r\n")
	for _, w := range words {
		b.WriteString("$" + strconv.Itoa(len(w)) + "\r\n" + w + "\r\n")
	}
	_, err := c.Write(b.Bytes())
	require.NoError(c.t, err)
}

// line reads one line of a reply, or the error that came in its place.
func (c *client) line(within time.Duration) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(within))
	line, err := c.r.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

func (c *client) wants(line string) {
	c.t.Helper()
	got, err := c.line(soon)
	require.NoError(c.t, err)
	require.Equal(c.t, line, got)
}

// silent asserts that nothing arrives for a while, and that the connection stands.
func (c *client) silent() {
	c.t.Helper()
	_, err := c.line(80 * time.Millisecond)
	require.ErrorIs(c.t, err, os.ErrDeadlineExceeded)
}

func (c *client) endsWith(want error) {
	c.t.Helper()
	_, err := c.line(soon)
	require.ErrorIs(c.t, err, want)
}

// refuses asserts that a new connection is reset, before or after its handshake
// is seen.
func refuses(t *testing.T, p *redistest.Proxy) {
	t.Helper()
	late, err := net.Dial("tcp", p.Addr())
	if err == nil {
		_ = late.SetReadDeadline(time.Now().Add(soon))
		_, err = late.Read(make([]byte, 1))
		_ = late.Close()
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// bench is a server, a proxy before it, and a key that no other test uses.
func bench(t *testing.T) (p *redistest.Proxy, direct *redis.Client, key string) {
	t.Helper()
	s := redistest.Start(t)
	return redistest.NewProxy(t, s.Addr()), s.Client(t), "{" + s.Fleet + ":0}:n"
}

func TestProxyPassesEveryKindOfFrame(t *testing.T) {
	t.Parallel()
	p, _, key := bench(t)
	c := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1}) // HELLO 3: maps, sets, doubles
	defer func() { _ = c.Close() }()
	ctx := t.Context()
	require.NoError(t, c.HSet(ctx, key+"h", "a", "1", "b", strings.Repeat("x", 1<<20)).Err())
	require.Len(t, c.HGetAll(ctx, key+"h").Val(), 2)
	require.NoError(t, c.SAdd(ctx, key+"s", "m").Err())
	require.Equal(t, []string{"m"}, c.SMembers(ctx, key+"s").Val())
	require.NoError(t, c.ZAdd(ctx, key+"z", redis.Z{Score: 1.5, Member: "m"}).Err())
	require.InDelta(t, 1.5, c.ZScore(ctx, key+"z", "m").Val(), 0)
	require.ErrorIs(t, c.Get(ctx, key+"none").Err(), redis.Nil)
	require.Error(t, c.Incr(ctx, key+"h").Err(), "an error is a reply")
	got, err := c.Eval(ctx, "return {1, {'a', {}}, 'b'}", []string{key}).Result()
	require.NoError(t, err)
	require.Equal(t, []any{int64(1), []any{"a", []any{}}, "b"}, got)
	cmds, err := c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for range 100 {
			pipe.Incr(ctx, key)
		}
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 100, cmds[99].(*redis.IntCmd).Val())
	require.Equal(t, p.Counts().Requests, p.Counts().Replies)
}

func TestProxyCutEndsConnectionsByFIN(t *testing.T) {
	t.Parallel()
	p, _, _ := bench(t)
	idle, busy := dial(t, p.Addr()), dial(t, p.Addr())
	idle.send("PING")
	idle.wants("+PONG")
	busy.send("BLPOP", "{nobody}", "10")
	require.Eventually(t, func() bool { return p.Counts().Requests == 2 }, soon, time.Millisecond)
	p.Cut()
	idle.endsWith(io.EOF)
	busy.endsWith(io.EOF)
	require.Equal(t, 2, p.Counts().Ended)
	late := dial(t, p.Addr())
	late.endsWith(io.EOF)
	require.Equal(t, 1, p.Counts().Refused)
	p.Pass()
	again := dial(t, p.Addr())
	again.send("PING")
	again.wants("+PONG")
	require.Equal(t, 2, p.Counts().Ended, "Pass ends nothing")
}

func TestProxyResetEndsConnectionsByRST(t *testing.T) {
	t.Parallel()
	p, _, _ := bench(t)
	c := dial(t, p.Addr())
	c.send("PING")
	c.wants("+PONG")
	p.Reset()
	c.endsWith(syscall.ECONNRESET)
	require.Equal(t, 1, p.Counts().Ended)
	refuses(t, p)
}

func TestProxyFreezeHoldsBothWaysAndLosesNothing(t *testing.T) {
	t.Parallel()
	p, direct, key := bench(t)
	c, waiting := dial(t, p.Addr()), dial(t, p.Addr())
	waiting.send("BLPOP", key+"l", "10")
	c.send("PING")
	c.wants("+PONG")
	require.Eventually(t, func() bool { return p.Counts().Requests == 2 }, soon, time.Millisecond)
	p.Freeze()
	c.send("INCR", key)
	c.silent()
	require.Zero(t, direct.Exists(t.Context(), key).Val(), "the request did not arrive")
	require.NoError(t, direct.LPush(t.Context(), key+"l", "x").Err())
	waiting.silent()
	late := dial(t, p.Addr())
	late.send("PING")
	late.silent()
	require.Equal(t, 3, p.Counts().Held)
	p.Pass()
	c.wants(":1")
	waiting.wants("*2")
	late.wants("+PONG")
	require.Equal(t, "1", direct.Get(t.Context(), key).Val())
}

func TestProxyFreezeRepliesLetsRequestsThrough(t *testing.T) {
	t.Parallel()
	p, direct, key := bench(t)
	c := dial(t, p.Addr())
	p.FreezeReplies()
	c.send("INCR", key)
	require.Eventually(t, func() bool { return direct.Get(t.Context(), key).Val() == "1" }, soon, time.Millisecond)
	c.silent()
	require.Equal(t, 1, p.Counts().Held)
	p.Pass()
	c.wants(":1")
}

func TestProxyFreezeRequestsIsHalfOpen(t *testing.T) {
	t.Parallel()
	p, direct, key := bench(t)
	waiting, asking := dial(t, p.Addr()), dial(t, p.Addr())
	waiting.send("BLPOP", key+"l", "10")
	require.Eventually(t, func() bool { return p.Counts().Requests == 1 }, soon, time.Millisecond)
	p.FreezeRequests()
	asking.send("INCR", key)
	require.NoError(t, direct.LPush(t.Context(), key+"l", "x").Err())
	waiting.wants("*2")
	asking.silent()
	require.Zero(t, direct.Exists(t.Context(), key).Val())
	require.Equal(t, 1, p.Counts().Held)
	p.Pass()
	asking.wants(":1")
}

func TestProxyLatencyDelaysEachReply(t *testing.T) {
	t.Parallel()
	p, _, _ := bench(t)
	c := dial(t, p.Addr())
	c.send("PING")
	c.wants("+PONG")
	p.Latency(60 * time.Millisecond)
	from := time.Now()
	c.send("PING")
	c.wants("+PONG")
	require.GreaterOrEqual(t, time.Since(from), 60*time.Millisecond)
	require.Equal(t, 1, p.Counts().Slowed)
	p.Latency(time.Hour)
	c.send("PING")
	c.silent()
	p.Pass()
	c.wants("+PONG")
}

func TestProxyTrickleIsSlowAndEndsWithItsMode(t *testing.T) {
	t.Parallel()
	p, direct, key := bench(t)
	require.NoError(t, direct.Set(t.Context(), key, strings.Repeat("x", 40), 0).Err())
	c := dial(t, p.Addr())
	p.Trickle(1000)
	from := time.Now()
	c.send("GET", key)
	c.wants("$40")
	c.wants(strings.Repeat("x", 40))
	require.GreaterOrEqual(t, time.Since(from), 47*time.Millisecond, "47 bytes at 1,000 a second, one way alone")
	require.Equal(t, 2, p.Counts().Slowed, "the request and the reply")
	p.Trickle(1)
	c.send("GET", key)
	c.silent()
	p.Pass()
	c.wants("$40")
	c.wants(strings.Repeat("x", 40))
}

func TestProxyDropsExactlyTheMatchingReplies(t *testing.T) {
	t.Parallel()
	p, direct, key := bench(t)
	rule := p.DropReplies(2, redistest.Containing("incr", key), redistest.Close)
	for range 2 {
		c := dial(t, p.Addr())
		c.send("ECHO", key)
		c.wants("$" + strconv.Itoa(len(key)))
		c.wants(key)
		c.send("INCR", key)
		c.endsWith(io.EOF)
	}
	select {
	case <-rule.Bitten():
	default:
		t.Fatal("the rule has bitten twice and does not say so")
	}
	require.Equal(t, "2", direct.Get(t.Context(), key).Val(), "the server did what it was asked")
	c := dial(t, p.Addr())
	c.send("INCR", key)
	c.wants(":3")
	require.Equal(t, 2, p.Counts().Dropped)
}

func TestProxyDropsTheRightReplyOfAPipeline(t *testing.T) {
	t.Parallel()
	p, _, key := bench(t)
	p.DropReplies(1, redistest.Containing("hset"), redistest.Silent)
	c := dial(t, p.Addr())
	c.send("INCR", key)
	c.send("HSET", key+"h", "f", "v")
	c.send("INCR", key)
	c.wants(":1")
	c.silent()
	require.Equal(t, 1, p.Counts().Replies, "after a lost reply nothing follows: it would be taken for the lost one")
	other := dial(t, p.Addr())
	other.send("GET", key)
	other.wants("$1")
	other.wants("2")
}

func TestProxyHoldsAReplyWhileOthersGoOn(t *testing.T) {
	t.Parallel()
	p, direct, key := bench(t)
	rule := p.HoldReplies(1, redistest.Containing("incr"))
	held, other := dial(t, p.Addr()), dial(t, p.Addr())
	held.send("INCR", key)
	<-rule.Bitten()
	require.Equal(t, "1", direct.Get(t.Context(), key).Val())
	other.send("INCR", key)
	other.wants(":2")
	held.silent()
	rule.Release()
	rule.Release()
	held.wants(":1")
	require.Equal(t, 1, p.Counts().Held)
}

func TestProxyWithoutServerRefuses(t *testing.T) {
	t.Parallel()
	s := redistest.StartOwn(t, redistest.Options{})
	p := redistest.NewProxy(t, s.Addr())
	c := dial(t, p.Addr())
	c.send("PING")
	c.wants("+PONG")
	s.Kill()
	c.endsWith(io.EOF)
	refuses(t, p)
}

// What go-redis makes of a lost reply is the reason for this proxy: its
// default sends the command again, and it is done twice.
func TestLostReplyIsDoneTwiceByDefaultAndOnceWithoutRetries(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		retries int
		done    string
		lost    bool
	}{
		"default": {0, "2", false},
		"none":    {-1, "1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, direct, key := bench(t)
			rule := p.DropReplies(1, redistest.Containing("incr", key), redistest.Close)
			c := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: want.retries})
			defer func() { _ = c.Close() }()
			err := c.Incr(t.Context(), key).Err()
			require.Equal(t, want.lost, err != nil)
			<-rule.Bitten()
			require.Equal(t, want.done, direct.Get(t.Context(), key).Val())
		})
	}
}

func TestFrozenReadEndsByDeadlineOnlyWhenTheClientIsToldSo(t *testing.T) {
	t.Parallel()
	p, _, _ := bench(t)
	c := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = c.Close() }()
	require.NoError(t, c.Ping(t.Context()).Err())
	p.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	from := time.Now()
	err := c.BLPop(ctx, 0, "{nobody}").Err()
	var late net.Error
	require.True(t, errors.As(err, &late) && late.Timeout() || errors.Is(err, context.DeadlineExceeded), "%v", err)
	require.Less(t, time.Since(from), soon)
}
