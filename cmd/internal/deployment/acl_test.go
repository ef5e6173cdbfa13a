package deployment

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

var update = flag.Bool("update", false, "write deploy/redis/users.acl anew")

func TestMain(m *testing.M) { redistest.Main(m) }

const (
	usersFile = "../../../deploy/redis/users.acl"
	rooms     = "../../../internal"
)

// runsIn says which process runs a room's scripts, or one script of a room.
func runsIn() map[string]string {
	return map[string]string{
		"audit":             "dispatcher",
		"beat":              "dispatcher worker",
		"budget":            "worker",
		"budget/tick":       "dispatcher",
		"budget/set_budget": "dispatcher",
		"budget/readmit":    "dispatcher",
		"budget/unhold":     "dispatcher",
		"budget/breaker":    "dispatcher",
		"budget/parking":    "dispatcher",
		"control":           "dispatcher",
		"execution":         "worker",
		"keyring":           "dispatcher",
		"lease":             "worker",
		"stream":            "dispatcher",
		"stream/promote":    "worker",
	}
}

// direct are the commands a process gives outside of scripts, by the file that
// gives them. Reads of a key that no script of the process names stand behind
// the command.
func direct() map[string]map[string]string {
	return map[string]map[string]string{
		"rediskit/script.go":    {"dispatcher worker": "exists:absent"},
		"rediskit/durable.go":   {"dispatcher": "hgetall", "dispatcher worker": "wait info"},
		"rediskit/startup.go":   {"dispatcher worker": "info hsetnx hgetall", "dispatcher": "config|get"},
		"beat/redis.go":         {"dispatcher worker": "hdel"},
		"lease/redis.go":        {"worker": "blpop"},
		"execution/redis.go":    {"worker": "hgetall"},
		"control/redis.go":      {"dispatcher": "smembers hgetall zrevrange zrange hmget hget get zcard xlen xrange xrevrange xread", "worker": "xrevrange:control xread:control xrevrange:hints xread:hints hmget:gate get:audit_n"},
		"stream/redis.go":       {"dispatcher": "xlen xread xrange zrevrangebyscore hget hmget"},
		"stream/read.go":        {"dispatcher": "hgetall hget"},
		"stream/checkpoints.go": {"dispatcher": "hgetall hmget"},
		"budget/redis.go":       {"dispatcher": "hgetall hget hmget zrange"},
		"audit/redis.go":        {"dispatcher": "xrevrange xrange hmget get"},
		"keyring/redis.go":      {"dispatcher": "hget hgetall hset"},
	}
}

// connection is what every client does to be one, on a Cluster too, and how
// scripts are called.
func connection() []string {
	return []string{"asking", "client|setname", "cluster|slots", "command", "eval", "evalsha", "ping"}
}

// observed is what an observer may read: how the fleet is, not what its jobs
// say (their input, events, checkpoints) nor what signs a cursor (meta).
const observed = "gate road wake live leases later short capped over index alive beat reapers workers worker control orders open_orders order tally " +
	"held owned money caps holding minute day window audit audit_n seq aside"

const observing = "exists get hget hgetall hlen hmget info lrange llen ping scard smembers ttl type xinfo|consumers xinfo|groups xinfo|stream " +
	"xlen xrange xread xrevrange zcard zcount zrange zrangebyscore zrevrange zrevrangebyscore zscore"

// script is one transition and the process that runs it.
type script struct {
	room, name string
	users      []string
	header     rediskit.Header
	text       string // with its fragments
}

func scripts(t *testing.T) (all []script) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(rooms, "*", "lua", "*.lua"))
	require.NoError(t, err)
	for _, path := range files {
		room := filepath.Base(filepath.Dir(filepath.Dir(path)))
		name := strings.TrimSuffix(filepath.Base(path), ".lua")
		if room == "rediskit" {
			continue // fragments
		}
		users, known := runsIn()[room+"/"+name]
		if !known {
			users, known = runsIn()[room]
		}
		require.True(t, known, "%s: say in runsIn which process runs the scripts of %s", path, room)
		s, err := rediskit.Load(os.DirFS(filepath.Join(rooms, room)), name)
		require.NoError(t, err)
		text := whole(t, path, map[string]bool{})
		require.Len(t, called.FindAllString(text, -1), len(anyCall.FindAllString(text, -1)), "%s calls a command that is no literal; nobody can say who may run it", path)
		all = append(all, script{room: room, name: name, users: strings.Fields(users), header: s.Header, text: text})
	}
	require.NotEmpty(t, all)
	return all
}

var include = regexp.MustCompile(`(?m)^-- INCLUDE:\s*(.*)$`)

// whole is a script's text behind that of all its fragments.
func whole(t *testing.T, path string, done map[string]bool) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	text := string(raw)
	for _, m := range include.FindAllStringSubmatch(text, -1) {
		for _, f := range strings.Fields(m[1]) {
			if !done[f] {
				done[f] = true
				text = whole(t, filepath.Join(rooms, "rediskit", "lua", f+".lua"), done) + text
			}
		}
	}
	return text
}

func (s script) is(user string) bool { return slices.Contains(s.users, user) }

var (
	anyCall = regexp.MustCompile(`redis\.p?call\b`)
	called  = regexp.MustCompile(`redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?`)
)

// commands are what a script calls.
func (s script) commands() map[string]bool {
	found := map[string]bool{}
	for _, m := range called.FindAllStringSubmatch(s.text, -1) {
		name := strings.ToLower(m[1])
		if name == "xgroup" {
			name += "|" + strings.ToLower(m[2])
		}
		found[name] = true
	}
	return found
}

// rights are what a user may do.
type rights struct {
	write, read []string // rows of the key table
	commands    []string
}

func rightsOf(t *testing.T, user string) rights {
	t.Helper()
	commands, reads := map[string]bool{}, map[string]bool{}
	for _, c := range connection() {
		commands[c] = true
	}
	for _, s := range scripts(t) {
		if s.is(user) {
			maps.Copy(commands, s.commands())
			for _, k := range s.header.Reads {
				reads[k] = true
			}
		}
	}
	for _, calls := range direct() {
		for users, list := range calls {
			for call := range strings.FieldsSeq(list) {
				if name, key, _ := strings.Cut(call, ":"); slices.Contains(strings.Fields(users), user) {
					commands[name] = true
					reads[key] = key != ""
				}
			}
		}
	}
	r := rights{commands: slices.Sorted(maps.Keys(commands))}
	for _, k := range rediskit.Table() {
		switch {
		case slices.Contains(strings.Fields(k.Writers), user):
			r.write = append(r.write, k.Name)
		case reads[k.Name]:
			r.read = append(r.read, k.Name)
		}
	}
	return r
}

// line is a user as a file for Redis has it. It has no password, so nobody can
// be this user until one is put in.
func (r rights) line(user string) string {
	per := map[string]string{}
	for _, k := range rediskit.Table() {
		if per[k.Name] = k.Name; k.Per != "" {
			per[k.Name] += ":*"
		}
	}
	line := "user " + user + " on sanitize-payload resetchannels"
	for _, k := range r.write {
		line += " ~{gavel:*}:" + per[k]
	}
	for _, k := range r.read {
		line += " %R~{gavel:*}:" + per[k]
	}
	return line + " -@all +" + strings.Join(r.commands, " +")
}

func generated(t *testing.T) string {
	t.Helper()
	lines := []string{
		// Off, so nobody can be it; but all of its rights stay, because Redis loads
		// its append-only file as this user and drops what it may not do.
		"user default off sanitize-payload ~* &* +@all",
		rightsOf(t, "dispatcher").line("dispatcher"),
		rightsOf(t, "worker").line("worker"),
		rights{read: strings.Fields(observed), commands: strings.Fields(observing)}.line("observer"),
		"user probe on nopass sanitize-payload resetchannels -@all +ping",
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestUsersFileIsWhatTheScriptsNeedAndNoMore(t *testing.T) {
	want := generated(t)
	if *update {
		require.NoError(t, os.WriteFile(usersFile, []byte(want), 0o644))
	}
	have, err := os.ReadFile(usersFile)
	require.NoError(t, err)
	require.Equal(t, want, string(have), "deploy/redis/users.acl is not what the key table and the scripts say; write it anew with -update and read the difference")
}

func TestScriptsWriteOnlyWhatTheTableGrantsTheirProcess(t *testing.T) {
	writes := map[string][]string{"dispatcher": rightsOf(t, "dispatcher").write, "worker": rightsOf(t, "worker").write}
	for _, s := range scripts(t) {
		for _, user := range s.users {
			for _, k := range s.header.Keys {
				require.Contains(t, writes[user], k, "%s/%s runs in the %s and has %s in KEYS, which the table does not let it write. Correct the table, or move the key to READS.", s.room, s.name, user, k)
			}
		}
	}
}

var method = regexp.MustCompile(`\b(?:pipe|[Cc]lient|waits|c)\.([A-Z][A-Za-z]+)\(c?ctx\b`)

// Calls of go-redis outside of scripts are few, and each is a right that a user
// must have.
func TestDirectCallsAreKnown(t *testing.T) {
	command := map[string]string{
		"ZRangeWithScores": "zrange", "ZRevRangeByScoreWithScores": "zrevrangebyscore", "XRevRangeN": "xrevrange", "XRangeN": "xrange", "ConfigGet": "config|get",
		"Do": "wait",
	}
	files, err := filepath.Glob(filepath.Join(rooms, "*", "*.go"))
	require.NoError(t, err)
	seen := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if strings.HasSuffix(path, "_test.go") || !strings.Contains(string(text), `"github.com/redis/go-redis/v9"`) && !strings.Contains(string(text), ".Client.") {
			continue
		}
		if dir := filepath.Base(filepath.Dir(path)); dir == "redistest" {
			continue
		}
		file := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
		known := strings.NewReplacer(":control", "", ":gate", "", ":audit_n", "").Replace(strings.Join(slices.Collect(maps.Values(direct()[file])), " "))
		for _, m := range method.FindAllStringSubmatch(string(text), -1) {
			name := command[m[1]]
			if name == "" {
				name = strings.ToLower(m[1])
			}
			if name == "exec" || name == "meet" { // of a pipeline; of rediskit itself
				continue
			}
			seen++
			require.Contains(t, strings.Fields(known), name, "%s calls %s: name it in direct, so that its process is allowed to", file, m[1])
		}
	}
	require.Greater(t, seen, 20, "the expression no longer finds the calls")
}

func row(t *testing.T, name string) rediskit.Key {
	t.Helper()
	i := slices.IndexFunc(rediskit.Table(), func(k rediskit.Key) bool { return k.Name == name })
	require.GreaterOrEqual(t, i, 0, "no key %s in the table", name)
	return rediskit.Table()[i]
}

// keyOf is some key of a row.
func keyOf(t *testing.T, name string) string {
	t.Helper()
	k := "{gavel:0}:" + name
	if row(t, name).Per != "" {
		k += ":" + fmt.Sprintf("some-%s", row(t, name).Per)
	}
	return k
}
