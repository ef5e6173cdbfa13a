package rediskit

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/job"
)

// ErrScript is wrapped when a script's header disagrees with its body. It is
// found when the process starts and by every room's tests.
var ErrScript = errors.New("script refused")

//go:embed lua/*.lua
var fragments embed.FS

// Profile is which kind of Redis a script runs on.
type Profile string

const (
	// Server is a real Redis, 7.0 or later.
	Server Profile = "server"
	// Embedded is the memory-only Redis of gavel dev: no #! line, no INFO.
	Embedded Profile = "embedded"
)

// Script is one transition.
type Script struct {
	Name   string
	Header Header
	// Moves are the changes of place that its header names.
	Moves   []job.Move
	keys    []Key // the rows of Header.Keys
	sources map[Profile]*redis.Script
	// onCluster is the server's source behind [unmoved].
	onCluster *redis.Script
}

// Header is a script's contract, see the package's documentation.
type Header struct {
	Moves                             string
	Keys, Reads, Makes, Args, Replies []string
	Flags, Include                    []string
}

// Load reads lua/name.lua from a room's files, inlines its fragments and
// checks its header against its body.
func Load(room fs.FS, name string) (*Script, error) {
	raw, err := fs.ReadFile(room, "lua/"+name+".lua")
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrScript, name, err)
	}
	h, body, err := parseHeader(name, string(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrScript, name, err)
	}
	text, err := inline(h.Include)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrScript, name, err)
	}
	if err := h.check(body, text); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrScript, name, err)
	}
	steps, err := moves(name, h.Moves)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrScript, name, err)
	}
	s := &Script{Name: name, Header: h, Moves: steps, sources: map[Profile]*redis.Script{}}
	s.keys = rows(h.Keys)
	code := h.rest() + h.bind(text+body)
	for _, p := range []Profile{Server, Embedded} {
		s.sources[p] = redis.NewScript(h.shebang(p) + "local profile = '" + string(p) + "'\n" + code)
	}
	s.onCluster = redis.NewScript(h.shebang(Server) + unmoved + "local profile = '" + string(Server) + "'\n" + code)
	return s, nil
}

// unmoved refuses a script, before its first write, while its slot moves from one
// node of a cluster to another: some of its keys are then on the one and some on
// the other, and Redis looks only at those that were declared. A gate that stayed
// behind would be an open one, and a job's record none. Asking for two keys that
// are never there fails on both nodes exactly as long as the slot moves.
const unmoved = `if type(redis.pcall('EXISTS', ARGV[1] .. 'absent:1', ARGV[1] .. 'absent:2')) == 'table' then
  return redis.error_reply('TRYAGAIN ' .. ARGV[1] .. ' is on its way to another node; nothing was done')
end
`

// on is the source for a client: one of a cluster has slots that move.
func (s *Script) on(c redis.UniversalClient, p Profile) *redis.Script {
	if _, moves := c.(*redis.ClusterClient); moves {
		return s.onCluster
	}
	return s.sources[p]
}

// LoadAll loads several scripts of a room, by name.
func LoadAll(room fs.FS, names ...string) (map[string]*Script, error) {
	all := make(map[string]*Script, len(names))
	for _, n := range names {
		s, err := Load(room, n)
		if err != nil {
			return nil, err
		}
		all[n] = s
	}
	return all, nil
}

func rows(names []string) []Key {
	out := make([]Key, len(names))
	for i, n := range names {
		out[i], _ = lookup(n)
	}
	return out
}

// rest is the helper that gathers the arguments of a name ending in *.
func (h Header) rest() string {
	if len(h.Args) == 0 || !strings.HasSuffix(h.Args[len(h.Args)-1], "*") {
		return ""
	}
	return "local function rest(n) local t = {} for i = n, #ARGV do t[#t + 1] = ARGV[i] end return t end\n"
}

func (h Header) shebang(p Profile) string {
	if p == Embedded {
		return ""
	}
	if len(h.Flags) == 0 {
		return "#!lua\n"
	}
	return "#!lua flags=" + strings.Join(h.Flags, ",") + "\n"
}

var (
	headerLine = regexp.MustCompile(`^-- ([A-Z]+):\s*(.*)$`)

	// These begin with letters, for which Go's regexp searches fast: every
	// process of a fleet loads every script when it starts. A longer name that
	// ends so (OK.name) is taken for an undeclared one, and refused.
	usesKey    = regexp.MustCompile(`K\.([a-z_]+)\b`)
	usesPrefix = regexp.MustCompile(`P\.([a-z_]+)\b`)
	usesArg    = regexp.MustCompile(`A\.([a-z_]+)\b`)
	returned   = regexp.MustCompile(`return\s+\{?\s*'([a-z_]+)'`)
)

// parseHeader splits a file into its header and its body. The first line is
// "-- name: moves"; the header ends at the first line that is no comment.
func parseHeader(name, text string) (Header, string, error) {
	var h Header
	lines := strings.Split(text, "\n")
	moves, ok := strings.CutPrefix(lines[0], "-- "+name+": ")
	if !ok {
		return h, "", fmt.Errorf("the first line must be %q and its moves", "-- "+name+":")
	}
	h.Moves = moves
	n := 1
	for ; n < len(lines) && strings.HasPrefix(lines[n], "--"); n++ {
		m := headerLine.FindStringSubmatch(lines[n])
		if m == nil {
			continue
		}
		if err := h.set(m[1], strings.Fields(m[2])); err != nil {
			return h, "", err
		}
	}
	return h, strings.Join(lines[n:], "\n"), nil
}

func (h *Header) set(word string, names []string) error {
	switch word {
	case "KEYS":
		h.Keys = append(h.Keys, names...)
	case "READS":
		h.Reads = append(h.Reads, names...)
	case "MAKES":
		h.Makes = append(h.Makes, names...)
	case "ARGV":
		h.Args = append(h.Args, names...)
	case "REPLY":
		h.Replies = append(h.Replies, names...)
	case "FLAGS":
		h.Flags = append(h.Flags, names...)
	case "INCLUDE":
		h.Include = append(h.Include, names...)
	default:
		return fmt.Errorf("unknown header word %s", word)
	}
	return nil
}

// inline returns the text of fragments and of what they include, each once.
func inline(names []string) (string, error) {
	var out strings.Builder
	done := map[string]bool{}
	var add func(name string, path []string) error
	add = func(name string, path []string) error {
		if slices.Contains(path, name) {
			return fmt.Errorf("fragments include each other: %s", strings.Join(append(path, name), " -> "))
		}
		if done[name] {
			return nil
		}
		raw, err := fragments.ReadFile("lua/" + name + ".lua")
		if err != nil {
			return fmt.Errorf("fragment %s: %w", name, err)
		}
		h, body, err := parseHeader(name, string(raw))
		if err != nil {
			return fmt.Errorf("fragment %s: %w", name, err)
		}
		for _, n := range h.Include {
			if err := add(n, append(path, name)); err != nil {
				return err
			}
		}
		done[name] = true
		out.WriteString(body)
		return nil
	}
	for _, n := range names {
		if err := add(n, nil); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// check holds the header to the body: what is used must be declared, what is
// declared must be used, and every reply word must be one the body gives.
func (h Header) check(body, included string) error {
	whole := body + included
	for _, raw := range []string{"KEYS[", "ARGV"} { // HKEYS is a command
		if strings.Contains(whole, raw) {
			return fmt.Errorf("the body uses %s; name keys and arguments in the header instead", strings.TrimSuffix(raw, "["))
		}
	}
	if len(h.Keys) == 0 {
		return errors.New("KEYS is empty; a script must declare at least one key, or a cluster cannot route it")
	}
	if len(h.Replies) == 0 {
		return errors.New("REPLY is empty")
	}
	if err := same("KEYS/READS", usesKey, whole, append(slices.Clone(h.Keys), h.Reads...)); err != nil {
		return err
	}
	if err := same("MAKES", usesPrefix, whole, h.Makes); err != nil {
		return err
	}
	args := make([]string, len(h.Args))
	for i, a := range h.Args {
		name, many := strings.CutSuffix(a, "*")
		if many && i != len(h.Args)-1 {
			return fmt.Errorf("ARGV: only the last argument may take the rest, not %s", a)
		}
		args[i] = name
	}
	if err := same("ARGV", usesArg, whole, args); err != nil {
		return err
	}
	for _, k := range slices.Concat(h.Keys, h.Reads, h.Makes) {
		if _, ok := lookup(k); !ok {
			return fmt.Errorf("key %s is not in the key table", k)
		}
	}
	for _, k := range h.Reads {
		if row, _ := lookup(k); row.Per != "" {
			return fmt.Errorf("READS: %s is not one per partition; name its prefix in MAKES", k)
		}
	}
	return h.checkReplies(body, whole)
}

func (h Header) checkReplies(body, whole string) error {
	for _, m := range returned.FindAllStringSubmatch(body, -1) {
		if !slices.Contains(h.Replies, m[1]) {
			return fmt.Errorf("the body answers %q, which REPLY does not name", m[1])
		}
	}
	for _, w := range h.Replies {
		if !strings.Contains(whole, "'"+w+"'") {
			return fmt.Errorf("REPLY names %q, which the body never answers", w)
		}
	}
	return nil
}

// same says how the names used in a text differ from those declared.
func same(what string, use *regexp.Regexp, text string, declared []string) error {
	used := map[string]bool{}
	for _, m := range use.FindAllStringSubmatch(text, -1) {
		used[m[1]] = true
		if !slices.Contains(declared, m[1]) {
			return fmt.Errorf("%s: the body uses %s, the header does not declare it", what, m[1])
		}
	}
	for _, d := range declared {
		if !used[d] {
			return fmt.Errorf("%s: the header declares %s, the body does not use it", what, d)
		}
	}
	return nil
}

// bind replaces names: keys by their positions in header order, arguments by
// theirs behind the slot, which is the first. Read-only keys and prefixes are put
// together from the slot where they are used: each argument of a call costs Redis
// as much as a short command.
func (h Header) bind(code string) string {
	code = usesKey.ReplaceAllStringFunc(code, func(m string) string {
		name := m[2:]
		if i := slices.Index(h.Keys, name); i >= 0 {
			return "KEYS[" + strconv.Itoa(i+1) + "]"
		}
		return "ARGV[1] .. '" + name + "'"
	})
	code = usesPrefix.ReplaceAllString(code, "ARGV[1] .. '$1:'")
	return usesArg.ReplaceAllStringFunc(code, func(m string) string {
		name := m[2:]
		if i := slices.Index(h.Args, name); i >= 0 {
			return "ARGV[" + strconv.Itoa(i+2) + "]"
		}
		first := slices.Index(h.Args, name+"*") + 2
		return "rest(" + strconv.Itoa(first) + ")"
	})
}
