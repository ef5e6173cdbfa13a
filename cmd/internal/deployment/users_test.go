package deployment

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

const password = "a-secret-of-the-test"

// guarded is a Redis with the users of deploy/redis/users.acl, all of them with
// one password.
type guarded struct {
	*redistest.Own

	admin *redis.Client
}

func guard(t *testing.T, o redistest.Options) guarded {
	t.Helper()
	g := guarded{Own: redistest.StartOwn(t, o)}
	require.NoError(t, g.Client(t).Do(t.Context(), "ACL", "SETUSER", "admin", "on", ">"+password, "~*", "&*", "+@all").Err())
	g.admin = g.as(t, "admin")
	require.NoError(t, g.admin.Ping(t.Context()).Err())
	text, err := os.ReadFile(usersFile)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		words := []any{"ACL", "SETUSER"}
		for i, w := range strings.Fields(line) {
			if i > 0 {
				words = append(words, w)
			}
		}
		if name := strings.Fields(line)[1]; name != "default" && name != "probe" {
			words = append(words, ">"+password)
		}
		require.NoError(t, g.admin.Do(t.Context(), words...).Err(), line)
	}
	return g
}

// as connects as a user.
func (g guarded) as(t *testing.T, user string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: g.Addr(), Username: user, Password: password, MaxRetries: -1, ContextTimeoutEnabled: true, DisableIdentity: true,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// refused is what Redis has refused, in its own words, without the one refusal
// that is meant: a worker asks for the server's replication settings and goes on
// with a warning, because CONFIG GET shows passwords too. The dispatcher sees them.
func (g guarded) refused(t *testing.T) []string {
	t.Helper()
	log, err := g.admin.ACLLog(t.Context(), 128).Result()
	require.NoError(t, err)
	var out []string
	for _, e := range log {
		if what := fmt.Sprintf("%s: %s %s", e.Username, e.Reason, e.Object); what != "worker: command config|get" {
			out = append(out, what)
		}
	}
	return out
}

func (g guarded) may(t *testing.T, user string, words ...string) error {
	t.Helper()
	args := []any{"ACL", "DRYRUN", user}
	for _, w := range words {
		args = append(args, w)
	}
	got, err := g.admin.Do(t.Context(), args...).Text()
	require.NoError(t, err, words)
	if got != "OK" {
		return fmt.Errorf("%s: %s", strings.Join(words, " "), got)
	}
	return nil
}

var (
	onKey  = regexp.MustCompile(`redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?, ?([^,)]+)`)
	inRow  = regexp.MustCompile(`\b[KP]\.([a-z_]+)`)
	locals = regexp.MustCompile(`local (\w+) = ([KP]\.[a-z_]+)`)
)

// Every command of every script, on the very key it is called on, is one that
// the user of its process may give.
func TestUsersMayGiveEveryCommandOfTheirScripts(t *testing.T) {
	g := guard(t, redistest.Options{})
	checked := 0
	for _, s := range scripts(t) {
		for _, m := range onKey.FindAllStringSubmatch(s.text, -1) {
			for _, name := range s.rowsOf(m[3]) {
				for _, user := range s.users {
					require.NoError(t, g.may(t, user, dry(m[1], m[2], keyOf(t, name))...), "%s/%s as %s", s.room, s.name, user)
					checked++
				}
			}
		}
	}
	require.Greater(t, checked, 300)
}

// rowsOf are the rows of the table that an expression may mean: the one it
// names, the one a local stands for, or any of the script's.
func (s script) rowsOf(expression string) []string {
	if m := inRow.FindStringSubmatch(expression); m != nil {
		return m[1:]
	}
	rows := map[string]bool{}
	for _, m := range locals.FindAllStringSubmatch(s.text, -1) {
		if m[1] == strings.TrimSpace(expression) {
			rows[m[2][2:]] = true
		}
	}
	return slices.Sorted(maps.Keys(rows))
}

// dry is a command with a key and arguments that are only there to be enough.
func dry(command, sub, key string) []string {
	switch command {
	case "XREADGROUP":
		return []string{command, "GROUP", "g", "c", "COUNT", "1", "STREAMS", key, ">"}
	case "XGROUP":
		return []string{command, sub, key, "g", "0"}
	case "TIME":
		return []string{command}
	case "INFO":
		return []string{command, "server"}
	}
	enough := map[string]int{"HGET": 1, "HEXISTS": 1, "HMGET": 1, "HDEL": 1, "SADD": 1, "SREM": 1, "SISMEMBER": 1, "ZREM": 1, "ZSCORE": 1, "XDEL": 1, "LPUSH": 1, "SET": 1, "EXPIRE": 1, "HSET": 2, "HINCRBY": 2, "ZADD": 2, "ZRANGE": 2, "ZREVRANGE": 2, "ZRANGEBYSCORE": 2, "XTRIM": 2, "XADD": 3}
	words := []string{command, key}
	for range enough[command] {
		words = append(words, "1")
	}
	return words
}

// What a user may not do is refused by Redis, on a connection of that user.
func TestUsersMayDoNothingElse(t *testing.T) {
	g := guard(t, redistest.Options{})
	everybody := []string{
		"FLUSHALL", "FLUSHDB", "CONFIG SET appendonly no", "CONFIG REWRITE", "KEYS *", "SCAN 0", "RANDOMKEY", "DBSIZE",
		"SCRIPT FLUSH", "SCRIPT LOAD return", "SCRIPT KILL", "FUNCTION LOAD x", "FUNCTION FLUSH", "FCALL f 0", "DEBUG SLEEP 0",
		"DEBUG OBJECT x", "SHUTDOWN NOSAVE", "ACL LIST", "ACL SETUSER worker +@all", "ACL WHOAMI", "CLIENT LIST", "CLIENT KILL TYPE normal",
		"CLIENT PAUSE 1", "MONITOR", "SAVE", "BGREWRITEAOF", "REPLICAOF NO ONE", "SWAPDB 0 1", "SUBSCRIBE x", "PUBLISH x y", "SELECT 1",
		"RENAME {gavel:0}:gate {gavel:0}:wake", "COPY {gavel:0}:gate {gavel:0}:wake", "RESTORE {gavel:0}:wake 0 x", "MIGRATE h 1 k 0 1", "DUMP {gavel:0}:road",
		"XGROUP DESTROY {gavel:0}:road fleet", "GET somebody-elses", "SET somebody-elses 1", "DEL {other:0}:road", "PERSIST {gavel:0}:road",
	}
	worker := []string{
		"CONFIG GET *", "HSET {gavel:0}:gate frozen 0", "DEL {gavel:0}:gate", "HDEL {gavel:0}:gate rules", "XADD {gavel:0}:control * a b", "DEL {gavel:0}:control", "XADD {gavel:0}:hints:w1 * a b", "DEL {gavel:0}:hints:w1", "EXPIRE {gavel:0}:road 1",
		"HSET {gavel:0}:order:o a b", "HGETALL {gavel:0}:order:o", "ZADD {gavel:0}:orders 1 o", "SADD {gavel:0}:open_orders o", "INCR {gavel:0}:seq", "SET {gavel:0}:seq 0",
		"XADD {gavel:0}:audit * a b", "XREVRANGE {gavel:0}:audit + -", "INCR {gavel:0}:audit_n", "DEL {gavel:0}:audit", "SET {gavel:0}:idem:i x", "GET {gavel:0}:idem:i",
		"ZADD {gavel:0}:index 1 j", "ZADD {gavel:0}:owned:ann 1 j", "BLPOP {gavel:0}:audit 1",
	}
	observer := []string{
		"CONFIG GET *", "EXPIRE {gavel:0}:road 1", "EVAL return 0", "EVALSHA ffffffffffffffffffffffffffffffffffffffff 0", "HSET {gavel:0}:gate frozen 0", "XADD {gavel:0}:road * a b", "LPUSH {gavel:0}:wake 1",
		"DEL {gavel:0}:live", "INCR {gavel:0}:beat", "HGETALL {gavel:0}:job:j", "XRANGE {gavel:0}:events:j - +", "HGETALL {gavel:0}:checkpoints:j", "HGETALL {gavel:0}:meta", "GET {gavel:0}:idem:i",
	}
	for user, lines := range map[string][]string{
		"dispatcher": everybody, "worker": slices.Concat(everybody, worker), "observer": slices.Concat(everybody, observer),
		"probe": slices.Concat(everybody, worker, observer),
	} {
		for _, line := range lines {
			g.refuses(t, user, line)
		}
	}
}

func (g guarded) refuses(t *testing.T, user, line string) {
	t.Helper()
	words := []any{}
	for _, w := range strings.Fields(line) {
		words = append(words, w)
	}
	err := g.as(t, user).Do(t.Context(), words...).Err()
	require.Error(t, err, "%s: %s", user, line)
	if words[0] == "DEBUG" {
		require.Regexp(t, "NOPERM|DEBUG command not allowed", err.Error(), "%s: %s", user, line) // which comes first is the server's configuration
		return
	}
	require.ErrorContains(t, err, "NOPERM", "%s: %s", user, line)
	require.Equal(t, rediskit.NotExecuted, rediskit.OutcomeOf(err), "the product takes a refusal for one")
}

// A worker may send a script of its own; go-redis needs that after a restart of
// Redis, which forgets scripts. Such a script can do no more than the worker.
func TestForeignScriptsDoNoMoreThanTheirUser(t *testing.T) {
	g := guard(t, redistest.Options{})
	c := g.as(t, "worker")
	for _, key := range []string{"gate", "control", "order:o", "audit", "seq"} {
		key = "{gavel:0}:" + key
		err := c.Eval(t.Context(), "return redis.call('DEL', ARGV[1])", []string{"{gavel:0}:wake"}, key).Err()
		require.Error(t, err, key)
		require.Regexp(t, "can't access at least one of the keys|No permissions to access a key", err.Error(), key) // Redis 7.0, and what came after
		err = c.Eval(t.Context(), "return redis.call('DEL', KEYS[1])", []string{key}).Err()
		require.ErrorContains(t, err, "NOPERM", key)
	}
	for _, command := range []string{"'FLUSHALL'", "'CONFIG', 'SET', 'maxmemory', '1'", "'KEYS', '*'", "'SCRIPT', 'FLUSH'"} {
		err := c.Eval(t.Context(), "return redis.call("+command+")", []string{"{gavel:0}:wake"}).Err()
		require.Error(t, err, command)
		require.Regexp(t, "can't run this command|no permissions to run|not allowed from script", err.Error())
	}
}

func TestNobodyIsDefaultAndNobodyComesWithoutPassword(t *testing.T) {
	g := guard(t, redistest.Options{})
	bare := redis.NewClient(&redis.Options{Addr: g.Addr(), MaxRetries: -1, DisableIdentity: true})
	t.Cleanup(func() { _ = bare.Close() })
	require.ErrorContains(t, bare.Ping(t.Context()).Err(), "NOAUTH")

	text, err := os.ReadFile(usersFile)
	require.NoError(t, err)
	for _, word := range strings.Fields(string(text)) {
		require.False(t, strings.HasPrefix(word, ">") || strings.HasPrefix(word, "#"), "the file in the repository must hold no password")
	}
	require.NoError(t, g.as(t, "probe").Ping(t.Context()).Err(), "a health check needs no secret")
}

// Redis replays its file as the user "default", and passes over every
// transaction that this user may not do: rights taken from it would cost the data.
func TestRedisMayLoadItsOwnFile(t *testing.T) {
	g := guard(t, redistest.Options{AOF: t.TempDir(), Config: []string{"--enable-debug-command", "yes"}})
	ctx := t.Context()
	c := g.as(t, "dispatcher")
	script := "redis.call('SET', KEYS[1], '7') redis.call('SADD', KEYS[2], 'o')"
	require.ErrorIs(t, c.Eval(ctx, script, []string{"{gavel:0}:seq", "{gavel:0}:open_orders"}).Err(), redis.Nil)
	require.NoError(t, g.admin.Do(ctx, "DEBUG", "LOADAOF").Err())
	require.Equal(t, "7", g.admin.Get(ctx, "{gavel:0}:seq").Val(), "lost when the file was loaded")
	require.Equal(t, []string{"o"}, g.admin.SMembers(ctx, "{gavel:0}:open_orders").Val())
}

func TestClusterClientsNeedNoMoreRights(t *testing.T) {
	g := guard(t, redistest.Options{Config: []string{"--cluster-enabled", "yes"}})
	require.NoError(t, g.admin.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err())
	require.Eventually(t, func() bool {
		info, err := g.admin.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	}, wait, tick)
	for _, user := range []string{"dispatcher", "worker"} {
		clients, err := rediskit.Open(rediskit.Config{URL: g.url(user), Cluster: true})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err = rediskit.Establish(ctx, rediskit.Runner{Client: clients.Jobs, Profile: rediskit.Server}, rediskit.Partitions{Fleet: "gavel", Count: 4})
		cancel()
		require.NoError(t, err, user)
		require.NoError(t, clients.Close())
	}
	require.Empty(t, g.refused(t))
}

func (g guarded) url(user string) string { return "redis://" + user + ":" + password + "@" + g.Addr() }
