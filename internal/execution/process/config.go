package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Program is what runs the jobs of one kind.
type Program struct {
	// Argv is the command and its arguments; the command is looked up in PATH.
	Argv []string
	// Env is all that the program gets to see of the environment: "NAME" passes
	// the worker's own value on, "NAME=value" sets one. PATH is always passed on.
	Env []string
	// Dir is the working directory; empty means the worker's.
	Dir string
}

// Ladder says when a program that was told to cancel is forced to, counted from
// that moment: SIGTERM after Term, SIGKILL after Kill.
type Ladder struct{ Term, Kill time.Duration }

// Config is the executor's settings. The zero value of each field has the
// default that is named.
type Config struct {
	// Programs by kind of job; required.
	Programs map[string]Program
	// Scratch is where the directories of the jobs are made; default is the
	// system's place for such.
	Scratch string
	// Hello is how long a program may take to say hello; default 10 s.
	Hello time.Duration
	// Stop is the ladder of a kill and of every other stop; default 2 s, 5 s.
	Stop Ladder
	// Drain is the ladder of a drain, within which the program may save what it
	// has; default 3 s, 4.5 s. It must be over before the worker's drain grace is.
	Drain Ladder
	// Linger is how long a program may take to exit after its last word; default 5 s.
	Linger time.Duration
	// Stall is how long a program may leave its stdin unread; default 10 s.
	Stall time.Duration
	// MaxCheckpoint is the largest state of a job, in bytes; default 8 MiB.
	MaxCheckpoint int64
}

func (c Config) withDefaults() Config {
	set(&c.Hello, 10*time.Second)
	set(&c.Stop.Term, 2*time.Second)
	set(&c.Stop.Kill, 5*time.Second)
	set(&c.Drain.Term, 3*time.Second)
	set(&c.Drain.Kill, 4500*time.Millisecond)
	set(&c.Linger, 5*time.Second)
	set(&c.Stall, 10*time.Second)
	if c.MaxCheckpoint == 0 {
		c.MaxCheckpoint = 8 << 20
	}
	return c
}

func set(d *time.Duration, fallback time.Duration) {
	if *d == 0 {
		*d = fallback
	}
}

func (c Config) check() error {
	for name, d := range map[string]time.Duration{
		"hello": c.Hello, "stop term": c.Stop.Term, "stop kill": c.Stop.Kill, "drain term": c.Drain.Term,
		"drain kill": c.Drain.Kill, "linger": c.Linger, "stall": c.Stall, "max checkpoint": time.Duration(c.MaxCheckpoint),
	} {
		if d < 0 {
			return fmt.Errorf("%s is negative", name)
		}
	}
	for name, l := range map[string]Ladder{"stop": c.Stop, "drain": c.Drain} {
		if l.Term > l.Kill {
			return fmt.Errorf("%s: SIGTERM after %v comes later than SIGKILL after %v; give the program time between them", name, l.Term, l.Kill)
		}
	}
	if len(c.Programs) == 0 {
		return errors.New("no programs: name one for each kind of job")
	}
	return nil
}

// command is a program that was found, ready to be started.
type command struct {
	path string
	argv []string
	env  []string
	dir  string
}

func (p Program) find() (command, error) {
	if len(p.Argv) == 0 || p.Argv[0] == "" {
		return command{}, errors.New("no command: want a program and its arguments")
	}
	path, err := exec.LookPath(p.Argv[0])
	if err != nil {
		return command{}, fmt.Errorf("find the program: %w", err)
	}
	if p.Dir != "" {
		if info, err := os.Stat(p.Dir); err != nil || !info.IsDir() {
			return command{}, fmt.Errorf("%q is no directory to run the program in", p.Dir)
		}
	}
	c := command{path: path, argv: p.Argv, dir: p.Dir}
	for _, entry := range append([]string{"PATH"}, p.Env...) {
		name, _, given := strings.Cut(entry, "=")
		value, known := os.LookupEnv(name)
		switch {
		case name == "" || strings.HasPrefix(name, "GAVEL_"):
			return command{}, fmt.Errorf("env %q: want NAME or NAME=value, and no name that begins with GAVEL_", entry)
		case given:
			c.env = append(c.env, entry)
		case known:
			c.env = append(c.env, name+"="+value)
		}
	}
	return c, nil
}
