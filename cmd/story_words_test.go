package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rtfm-si/gavel/internal/redistest"
)

// word is one word of the stories. It returns why the story goes wrong here.
type word func(s scene, args []string) error

// scene is where a word is said: the fleet, and the script with its variables.
type scene struct {
	*fleet
	script *testscript.TestScript
	not    bool // the word was negated with !
}

// vocabulary says all words. What takes time waits for it; nothing sleeps.
func vocabulary() map[string]word {
	return map[string]word{
		// dispatcher [name] [VAR=value…]: starts one; it is the one that is asked.
		"dispatcher": scene.dispatcherWord,
		// ask name: from now on that dispatcher is asked.
		"ask": scene.askWord,
		// operator who: from now on gavel asks that dispatcher with that one's credential.
		"operator": scene.operatorWord,
		// glass: from now on the shell has the break-glass credential of Redis.
		"glass": scene.glassWord,
		// worker name [VAR=value…] [via=link]
		"worker": scene.workerWord,
		// refused dispatcher|worker regexp [VAR=value…]: does not start, and says why.
		"refused": scene.refusedWord,
		// signal name TERM|INT|KILL|STOP|CONT
		"signal": scene.signalWord,
		// exits name code
		"exits": scene.exitsWord,
		// [!] logged name regexp: waits for the line; negated: it is not there. The
		// name may be a pattern such as w*: any of them.
		"logged": scene.loggedWord,
		// mark name: remembers the instant. within mark 2s: no more has passed. past mark
		// 2s: goes on when as much has; only for how long a fault lasts.
		"mark":   scene.markWord,
		"within": scene.withinWord,
		"past":   scene.pastWord,

		// redis own|aof|kill|restart|stop|cont, redis config k v; redis snapshot keeps
		// what the fleet has, redis restore brings it back in the place of all.
		"redis": scene.redisWord,
		// link name pass|cut|reset|freeze|freeze-replies|bitten, link name lose n part…,
		// link name hold part…: the reply to one such request waits for link name deliver.
		"link": scene.linkWord,
		// command word…: what an operator might type into redis-cli; {P} is partition P's prefix.
		"command": scene.commandWord,
		// field key name value: waits until a field of a hash has that value.
		"field": scene.fieldWord,
		// entries key n: a stream has so many. published file copy: a copy that all may read.
		"entries":   scene.entriesWord,
		"published": scene.publishedWord,
		// residue [key…]: nothing is left in Redis of jobs that are over and workers that
		// are gone, but for those keys.
		"residue": scene.residueWord,

		// master owner kill|stop|failover|elected: the fate of the node that serves an
		// owner's jobs, on a cluster or under sentinels. nodes back: all run again.
		"master": scene.masterWord,
		"nodes":  scene.nodesWord,
		// slot owner begin|creep pause|finish: an owner's partition moves to another master.
		"slot": scene.slotWord,

		// submit job who input [kind=…] [key=…]: sets $job. A canary calls the witness.
		"submit": scene.submitWord,
		// many n prefix who input: submits n jobs at once.
		"many": scene.manyWord,
		// until job path=value…: waits until the job's record is so.
		"until": scene.untilWord,
		// result job path=value…
		"result": scene.resultWord,
		// happened job type [path=value…]: an event among its events.
		"happened": scene.happenedWord,
		// killjob job who [wait=5s] [path=value…]: the receipt; [!] killjob job who problem.
		"killjob": scene.killWord,
		// [!] resume job who from=job [seq=] [budget=] [key=] path=value…: go on from a job that is over.
		"resume": scene.resumeWord,
		// killall who [wait=5s] [owner=…] [confirm=…] [key=…] [path=value…]; [!] killall
		// who problem; with answer=lost nobody waits for the answer.
		"killall": scene.killallWord,
		// receipt job|all path=value…: until the receipt is so.
		"receipt": scene.receiptWord,
		// fleet path=value…: until the fleet is so.
		"fleet": scene.fleetWord,
		// [!] thaw who [problem]
		"thaw": scene.thawWord,
		// [!] adopt who [problem]: takes what Redis has for the truth.
		"adopt": scene.adoptWord,
		// audit job|- act allowed=n denied=n [path=value…]
		"audit": scene.auditWord,
		// gavel code file word…: what adam types at the machine of the dispatchers ends
		// with the code; what it printed is in the file.
		"gavel": scene.gavelWord,
		// measured name regexp: waits until its metrics say so.
		"measured": scene.measuredWord,
		// probe worker path status [words]: waits until its probe answers so.
		"probe": scene.probeWord,
		// http file who METHOD path [body] [status=404] [under=2s] [Header~regexp]
		"http": scene.httpWord,

		// hold call: the answer to it is kept back, whichever job makes it; release: no more.
		"hold":    scene.holdWord,
		"release": scene.releaseWord,
		// reached job call [times]: waits until the witness was asked.
		"reached": scene.reachedWord,
		// calls job [n=3] [repeated=0] [since=mark]: what the witness saw so far.
		"calls": scene.callsWord,
	}
}

// words are the vocabulary as testscript takes it.
func words() map[string]func(*testscript.TestScript, bool, []string) {
	out := map[string]func(*testscript.TestScript, bool, []string){}
	for name, say := range vocabulary() {
		out[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			f, ok := ts.Value(fleetKey{}).(*fleet)
			if !ok {
				ts.Fatalf("no fleet")
			}
			if err := say(scene{f, ts, neg}, args); err != nil {
				ts.Fatalf("%s: %v", name, err)
			}
		}
	}
	return out
}

// eventually repeats a look until it is satisfied, or patience ends. An error
// that wraps settled is final.
func eventually(look func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := look(ctx)
		if err == nil || errors.As(err, &settledError{}) {
			return err
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", patience, last)
		}
	}
}

// settledError is a disappointment that no waiting will mend.
type settledError struct{ error }

func (e settledError) Unwrap() error { return e.error }

// options takes name=value words of these names out of args.
func options(args []string, names ...string) (map[string]string, []string) {
	found := map[string]string{}
	rest := slices.DeleteFunc(slices.Clone(args), func(a string) bool {
		name, v, ok := strings.Cut(a, "=")
		if !ok || !slices.Contains(names, name) {
			return false
		}
		found[name] = v
		return true
	})
	return found, rest
}

func need(args []string, n int, usage string) error {
	if len(args) < n {
		return fmt.Errorf("want: %s", usage)
	}
	return nil
}

// variable is a variable of the script; the words around processes pass on
// those that the binaries read.
func (s scene) variable(name string) string { return s.script.Getenv(name) }

func (s scene) process(name string) (*process, error) {
	p := s.processes[name]
	if p == nil {
		return nil, fmt.Errorf("no process %q was started", name)
	}
	return p, nil
}

func (s scene) dispatcherWord(args []string) error {
	name := "dispatcher"
	if len(args) > 0 && !strings.Contains(args[0], "=") {
		name, args = args[0], args[1:]
	}
	return s.startDispatcher(name, s.variable, args...)
}

func (s scene) askWord(args []string) error {
	if err := need(args, 1, "ask name"); err != nil {
		return err
	}
	p, err := s.process(args[0])
	if err != nil {
		return err
	}
	addr, err := p.said("dispatcher listens", "addr")
	s.base = "http://" + addr
	return err
}

func (s scene) operatorWord(args []string) error {
	if err := need(args, 1, "operator who"); err != nil {
		return err
	}
	s.script.Setenv("GAVEL_URL", s.base)
	s.script.Setenv("GAVEL_KEY", secretOf(args[0]))
	s.script.Setenv("PATH", binaries+string(os.PathListSeparator)+os.Getenv("PATH"))
	return nil
}

func (s scene) glassWord([]string) error {
	for _, kv := range s.environment("dispatcher", s.variable, nil) {
		if name, v, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "GAVEL_LEASE_") || strings.HasPrefix(name, "GAVEL_REDIS_") {
			s.script.Setenv(name, v)
		}
	}
	return nil
}

func (s scene) workerWord(args []string) error {
	if err := need(args, 1, "worker name"); err != nil {
		return err
	}
	return s.startWorker(args[0], s.variable, args[1:]...)
}

func (s scene) refusedWord(args []string) error {
	if err := need(args, 2, "refused dispatcher|worker regexp"); err != nil {
		return err
	}
	match, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	name := "refused-" + strconv.Itoa(len(s.order))
	p, err := s.start(name, args[0], s.environment(args[0], s.variable, args[2:]))
	if err != nil {
		return err
	}
	code, err := p.exits()
	if err != nil {
		return err
	}
	if code != 1 || !match.MatchString(p.log.text()) {
		return fmt.Errorf("exit code %d, want 1 and %s in:\n%s", code, match, p.log.text())
	}
	return nil
}

func (s scene) signalWord(args []string) error {
	if err := need(args, 2, "signal name TERM"); err != nil {
		return err
	}
	p, err := s.process(args[0])
	if err != nil {
		return err
	}
	return p.signal(args[1])
}

func (s scene) exitsWord(args []string) error {
	if err := need(args, 2, "exits name code"); err != nil {
		return err
	}
	p, err := s.process(args[0])
	if err != nil {
		return err
	}
	code, err := p.exits()
	if err == nil && strconv.Itoa(code) != args[1] {
		return fmt.Errorf("%s ended with %s, want code %s", args[0], p.cmd.ProcessState, args[1])
	}
	return err
}

func (s scene) loggedWord(args []string) error {
	if err := need(args, 2, "logged name regexp"); err != nil {
		return err
	}
	match, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	look := func(context.Context) error {
		for name, p := range s.processes {
			if ok, err := path.Match(args[0], name); err != nil || !ok {
				continue
			}
			if line, found, _ := p.log.find(match); found {
				return settledError{fmt.Errorf("%s logged: %s", name, line)}
			}
		}
		return fmt.Errorf("no %s logged %s", args[0], match)
	}
	if s.not {
		if err := look(context.Background()); errors.As(err, &settledError{}) {
			return err
		}
		return nil
	}
	if err := eventually(look); !errors.As(err, &settledError{}) {
		return err
	}
	return nil
}

func (s scene) markWord(args []string) error {
	if err := need(args, 1, "mark name"); err != nil {
		return err
	}
	s.marks[args[0]] = time.Now()
	return nil
}

func (s scene) withinWord(args []string) error {
	if err := need(args, 2, "within mark duration"); err != nil {
		return err
	}
	limit, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	if took := time.Since(s.marks[args[0]]); took > limit {
		return fmt.Errorf("%s have passed since %s, want at most %s", took.Round(time.Millisecond), args[0], limit)
	}
	return nil
}

func (s scene) pastWord(args []string) error {
	if err := need(args, 2, "past mark duration"); err != nil {
		return err
	}
	d, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	<-time.After(time.Until(s.marks[args[0]].Add(d)))
	return nil
}

func (s scene) holdWord(args []string) error {
	if err := need(args, 1, "hold call"); err != nil {
		return err
	}
	s.witness.hold(args[0])
	return nil
}

func (s scene) releaseWord([]string) error {
	s.witness.letGo()
	return nil
}

func (s scene) reachedWord(args []string) error {
	if err := need(args, 2, "reached job call [times]"); err != nil {
		return err
	}
	times := 1
	if len(args) > 2 {
		times, _ = strconv.Atoi(args[2])
	}
	if !s.witness.reached(s.id(args[0]), args[1], times) {
		return fmt.Errorf("call %s of %s did not come %d times within %s; it saw %v", args[1], args[0], times, patience, s.witness.of(s.id(args[0])))
	}
	return nil
}

func (s scene) callsWord(args []string) error {
	want, rest := options(args, "n", "repeated", "since")
	if err := need(rest, 1, "calls job [n=] [repeated=] [since=]"); err != nil {
		return err
	}
	n, seen, repeated := 0, map[string]bool{}, 0
	since := s.marks[want["since"]]
	calls := s.witness.of(s.id(rest[0]))
	for _, c := range calls {
		if c.at.Before(since) {
			continue
		}
		n++
		if seen[c.id] {
			repeated++
		}
		seen[c.id] = true
	}
	if w, ok := want["n"]; ok && w != strconv.Itoa(n) {
		return fmt.Errorf("the witness saw %d calls, want %s: %v", n, w, calls)
	}
	if w, ok := want["repeated"]; ok && w != strconv.Itoa(repeated) {
		return fmt.Errorf("the witness saw %d calls again, want %s: %v", repeated, w, calls)
	}
	return nil
}

// id is a job's id by its name in the story.
func (s scene) id(name string) string {
	if id := s.script.Getenv(name); id != "" {
		return id
	}
	return name
}

func (s scene) redisWord(args []string) error {
	if err := need(args, 1, "redis own|aof|kill|restart|stop|cont|config k v"); err != nil {
		return err
	}
	if s.own == nil && args[0] != "own" && args[0] != "aof" {
		return fmt.Errorf("redis %s: say redis own first; the shared one is not to be broken", args[0])
	}
	switch args[0] {
	case "own", "aof":
		aof := ""
		if args[0] == "aof" {
			aof = s.dir + "/aof"
			if err := os.MkdirAll(aof, 0o700); err != nil {
				return err
			}
		}
		s.breakOut(aof, args[1:])
		s.script.Setenv("FLEET", s.name)
	case "kill":
		s.own.Kill()
	case "restart":
		s.own.Restart()
	case "stop":
		s.own.Stop()
	case "cont":
		s.own.Cont()
	case "snapshot":
		return s.keep()
	case "restore":
		return s.restore()
	default:
		return fmt.Errorf("redis %s: no such act", args[0])
	}
	return nil
}

func (s scene) linkWord(args []string) error {
	if err := need(args, 2, "link name pass|cut|reset|freeze|freeze-replies|lose n part…|bitten"); err != nil {
		return err
	}
	l := s.link(args[0])
	switch args[1] {
	case "pass":
		l.Pass()
	case "cut":
		l.Cut()
	case "reset":
		l.Reset()
	case "freeze":
		l.Freeze()
	case "freeze-replies":
		l.FreezeReplies()
	case "bitten":
		return eventually(func(context.Context) error {
			if c := l.Counts(); c.Ended+c.Refused+c.Held+c.Dropped == 0 {
				return fmt.Errorf("the fault of %s never bit: %+v", args[0], c)
			}
			return nil
		})
	case "lose":
		return s.loseReplies(args[0], args[2:])
	case "hold":
		s.rules[args[0]] = l.HoldReplies(1, redistest.Containing(args[2:]...))
	case "deliver":
		s.rules[args[0]].Release()
	default:
		return fmt.Errorf("link %s: no such mode", args[1])
	}
	return nil
}
