package spec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// Run runs every specification of the room in whose folder the test runs, on a
// real Redis and on the embedded one. It fails when a script of the room has no
// specification, or a specification no script.
//
// The room's TestMain must call [redistest.Main].
func Run(t *testing.T) {
	t.Helper()
	run(t, ".")
}

func run(t *testing.T, dir string) {
	t.Helper()
	files, err := room(dir)
	require.NoError(t, err)
	server := redistest.Start(t)
	mem, err := rediskit.StartMemory()
	require.NoError(t, err)
	t.Cleanup(mem.Close)
	for _, f := range files {
		t.Run(f.script, func(t *testing.T) {
			f.run(t, rediskit.Server, server.URL())
			f.run(t, rediskit.Embedded, mem.URL)
		})
	}
}

// specified is a script of a room and its specification.
type specified struct {
	*file

	script string
	load   func(name string) (*rediskit.Script, error)
}

// room reads a room's specifications, and says which are missing.
func room(dir string) ([]specified, error) {
	scripts, err := filepath.Glob(filepath.Join(dir, "lua", "*.lua"))
	if err != nil {
		return nil, err
	}
	var out []specified
	var problems []error
	for _, path := range scripts {
		name := strings.TrimSuffix(filepath.Base(path), ".lua")
		text, err := os.ReadFile(filepath.Join(dir, "testdata", name+".txtar"))
		if err != nil {
			problems = append(problems, fmt.Errorf("lua/%s.lua has no specification: %w", name, err))
			continue
		}
		f, err := parse("testdata/"+name+".txtar", text)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		out = append(out, specified{f, name, loader(dir)})
	}
	if len(scripts) == 0 {
		problems = append(problems, errors.New("no lua/*.lua here; run the test in a room that has scripts"))
	}
	return out, errors.Join(append(problems, orphans(dir, scripts)...)...)
}

// orphans are specifications whose script is gone. Other txtar files of a room
// belong in folders of their own.
func orphans(dir string, scripts []string) (problems []error) {
	specs, _ := filepath.Glob(filepath.Join(dir, "testdata", "*.txtar")) // the pattern is well formed
	for _, path := range specs {
		lua := filepath.Join(dir, "lua", strings.TrimSuffix(filepath.Base(path), ".txtar")+".lua")
		if !slices.Contains(scripts, lua) {
			problems = append(problems, fmt.Errorf("%s specifies no script of this room", path))
		}
	}
	return problems
}

// run runs all cases, each in a fleet of its own, and then asks whether every
// reply word was heard.
func (f specified) run(t *testing.T, profile rediskit.Profile, url string) {
	t.Helper()
	t.Run(string(profile), func(t *testing.T) {
		said, played := map[string]bool{}, 0
		for _, s := range f.cases {
			t.Run(s.title, func(t *testing.T) {
				played++
				b := newBench(t, profile, url, said)
				b.scripts, b.args = f.load, f.args
				require.NoError(t, b.play(t.Context(), f.file, s))
			})
		}
		if !t.Failed() {
			require.NoError(t, f.covered(played, said))
		}
	})
}

// covered says whether the cases heard every reply word of the script's header.
// When -run chose some of the cases, nobody can know.
func (f specified) covered(played int, said map[string]bool) error {
	if played < len(f.cases) {
		return nil
	}
	s, err := f.load(f.script)
	if err != nil {
		return err
	}
	if words := unsaid(s, said); len(words) > 0 {
		return fmt.Errorf("%s: no case hears %s, which its header promises", f.name, strings.Join(words, ", "))
	}
	return nil
}

// unsaid lists the reply words of a script that no case has heard.
func unsaid(s *rediskit.Script, said map[string]bool) (words []string) {
	for _, w := range s.Header.Replies {
		if !said[s.Name+" "+w] {
			words = append(words, w)
		}
	}
	return words
}

func newBench(t *testing.T, profile rediskit.Profile, url string, said map[string]bool) *bench {
	t.Helper()
	o, err := redis.ParseURL(url)
	require.NoError(t, err)
	o.MaxRetries, o.Protocol, o.DisableIdentity = -1, 2, true
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	b := &bench{
		reads:  c,
		runner: rediskit.Runner{Client: c, Profile: profile},
		slot:   rediskit.NewSlot(redistest.Start(t).Fleet, 0),
		vars:   map[string]string{},
		said:   said,
	}
	b.vars["run_id"], err = b.serverID(t.Context())
	require.NoError(t, err)
	return b
}

// loader finds a script in a room, or in another of the house.
func loader(dir string) func(name string) (*rediskit.Script, error) {
	return func(name string) (*rediskit.Script, error) {
		others, _ := filepath.Glob(filepath.Join(dir, "..", "*", "lua", name+".lua")) // the pattern is well formed
		for _, path := range append([]string{filepath.Join(dir, "lua", name+".lua")}, others...) {
			if _, err := os.Stat(path); err == nil {
				return rediskit.Load(os.DirFS(filepath.Dir(filepath.Dir(path))), name)
			}
		}
		return nil, fmt.Errorf("no room of the house has a script %s", name)
	}
}
