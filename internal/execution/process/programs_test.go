//go:build unix

package process

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// peer is a program's side of the protocol.
type peer struct {
	in    *bufio.Reader
	start map[string]any
}

type obj = map[string]any

func (p *peer) say(msg string, fields obj) {
	line := obj{"msg": msg}
	for k, v := range fields {
		line[k] = v
	}
	data, _ := json.Marshal(line)
	_, _ = os.Stdout.Write(append(data, '\n'))
}

// hear reads the next line of the worker; a program whose stdin ends exits.
func (p *peer) hear() obj {
	text, err := p.in.ReadBytes('\n')
	if err != nil {
		os.Exit(1)
	}
	var m obj
	_ = json.Unmarshal(text, &m)
	return m
}

// await reads until a message of that name.
func (p *peer) await(msg string) obj {
	for {
		if m := p.hear(); m["msg"] == msg {
			return m
		}
	}
}

func (p *peer) greet() {
	p.say("hello", obj{"protocol": Protocol, "features": []string{"checkpoint"}})
	p.start = p.await("start")
}

func (p *peer) result(data obj) int {
	p.say("result", obj{"data": data})
	return 0
}

func (p *peer) ready() { p.say("event", obj{"type": "ready"}) }

// linger outlives every test, but not a day of them.
func linger() {
	t := time.NewTimer(time.Minute)
	<-t.C
}

// program is what the test binary does as a program.
func program(name string, args []string) int {
	p := &peer{in: bufio.NewReader(os.Stdin)}
	if run, ok := rude()[name]; ok {
		return run(p, args)
	}
	p.greet()
	return polite()[name](p, args)
}

// polite programs have said hello and got their start.
func polite() map[string]func(*peer, []string) int {
	return map[string]func(*peer, []string) int{
		"good": func(p *peer, _ []string) int {
			p.say("event", obj{"seq": 1, "type": "round.started", "data": obj{"round": 1}})
			p.say("event", obj{"seq": 2, "type": "cost", "audience": "admin"})
			p.say("something.newer", obj{"with": "fields"})
			p.say("reserve", obj{"call_id": "c1", "model": "m", "max_micro_usd": 90})
			if g := p.hear(); g["msg"] != "grant" || g["call_id"] != "c1" {
				return 3
			}
			p.say("usage", obj{
				"call_id": "c1", "model": "m", "input_tokens": 7, "output_tokens": 8, "cost_micro_usd": 42, "estimated": true,
				"messages": []obj{{"role": "user", "text": "why?"}}, "reply": "because", "finish": "stop",
			})
			p.say("checkpoint", obj{"seq": 1, "node": "vote", "data": obj{"n": 1}})
			ack := p.await("checkpoint_ack")
			p.say("progress", nil)
			return p.result(obj{"ack": ack, "start": p.start})
		},
		"reserves": func(p *peer, args []string) int {
			for _, id := range args {
				p.say("reserve", obj{"call_id": id, "max_micro_usd": 1})
			}
			answers := obj{}
			for range args {
				m := p.hear()
				answers[fmt.Sprint(m["call_id"])] = fmt.Sprint(m["msg"], " ", m["reason"])
			}
			p.say("event", obj{"type": "answers", "data": answers})
			return p.result(answers)
		},
		"usages": func(p *peer, args []string) int {
			for _, id := range args {
				p.say("usage", obj{"call_id": id})
			}
			linger()
			return 0
		},
		"prints": func(p *peer, args []string) int {
			for _, a := range args {
				switch a {
				case "long":
					fmt.Printf(`{"msg":"event","type":"long","data":{"x":"%s"}}`+"\n", strings.Repeat("x", MaxLine))
				case "limit":
					frame := len(`{"msg":"unknown","x":""}`)
					fmt.Printf(`{"msg":"unknown","x":"%s"}`+"\n", strings.Repeat("x", MaxLine-frame))
				default:
					fmt.Println(a)
				}
			}
			return p.result(obj{})
		},
		"exits": func(p *peer, args []string) int {
			if len(args) > 1 {
				p.result(obj{"late": true})
			}
			code := 0
			_, _ = fmt.Sscan(args[0], &code)
			if code < 0 {
				_ = syscall.Kill(os.Getpid(), syscall.Signal(-code))
				linger()
			}
			return code
		},
		"errs": func(p *peer, args []string) int {
			p.say("error", obj{"class": args[0], "message": "so it is"})
			if len(args) > 1 {
				linger()
			}
			return 1
		},
		"asks": func(p *peer, _ []string) int {
			if p.start["attempt"].(float64) > 1 {
				return p.result(obj{"answers": p.await("input")["answers"]})
			}
			p.say("need_input", obj{"questions": []string{"Which market?"}})
			p.await("cancel")
			return 0
		},
		"states": func(p *peer, args []string) int { return states(p, args) },
		"waits": func(p *peer, args []string) int {
			p.ready()
			c := p.await("cancel")
			delete(c, "msg")
			p.say("reserve", obj{"call_id": "late", "max_micro_usd": 1})
			p.say("checkpoint", obj{"seq": 9, "data": c})
			if len(args) > 0 {
				return p.result(c)
			}
			return 143
		},
		"deaf": func(p *peer, _ []string) int {
			signal.Ignore(syscall.SIGTERM)
			p.ready()
			linger()
			return 0
		},
		"chatty": func(p *peer, _ []string) int {
			signal.Ignore(syscall.SIGTERM)
			p.ready()
			for range 200_000 {
				p.say("event", obj{"type": "noise"})
			}
			linger()
			return 0
		},
		"floods": func(p *peer, _ []string) int {
			for range 2000 {
				p.say("event", obj{"type": "noise"})
			}
			p.say("reserve", obj{"call_id": "a"})
			p.await("grant")
			p.say("usage", obj{"call_id": "a"})
			p.say("event", obj{"type": "last"})
			return p.result(obj{})
		},
		"unread": func(p *peer, args []string) int {
			for i := range 4000 {
				p.say("reserve", obj{"call_id": strings.Repeat("x", 200) + fmt.Sprint(i)})
			}
			linger()
			return 0
		},
		"lingers": func(p *peer, _ []string) int {
			p.result(obj{})
			p.await("cancel")
			return 1
		},
		"parent": parent,
		"says": func(p *peer, args []string) int {
			fmt.Fprintln(os.Stderr, "a word to the log", strings.Repeat("y", 40))
			fmt.Fprintln(os.Stderr, strings.Repeat("z", maxLogLine+1))
			for range 40 {
				fmt.Fprintln(os.Stderr, strings.Repeat("w", maxLogLine-1))
			}
			return p.result(obj{"env": os.Environ(), "dir": mustDir()})
		},
	}
}

func mustDir() string {
	dir, _ := os.Getwd()
	return dir
}

// rude programs do not even say hello, or not as they should.
func rude() map[string]func(*peer, []string) int {
	return map[string]func(*peer, []string) int{
		"mute": func(*peer, []string) int { linger(); return 0 },
		"stranger": func(p *peer, _ []string) int {
			p.say("hello", obj{"protocol": "gavel-exec/99"})
			linger()
			return 0
		},
		"hasty": func(p *peer, _ []string) int {
			p.say("event", obj{"type": "early"})
			p.greet()
			return p.result(obj{})
		},
		"sleeper": sleeper,
		"worker":  worker,
	}
}

// sleeper is a grandchild that ignores SIGTERM; it says its pid when it is ready.
func sleeper(*peer, []string) int {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	fmt.Println(os.Getpid())
	linger()
	return 0
}

// parent starts sleepers as its arguments say, tells that it is ready, and ends
// as its last argument says.
func parent(p *peer, args []string) int {
	how := args[len(args)-1]
	for _, a := range args[:len(args)-1] {
		if sh := map[string]string{"gone": "", "lost": "env -i"}; a == "gone" || a == "lost" { // a shell in between, which leaves at once
			_ = exec.Command("sh", "-c", `setsid `+sh[a]+` "$0" program sleeper >/dev/null 2>&1 </dev/null & exit 0`, os.Args[0]).Run()
			continue
		}
		c := exec.Command(os.Args[0], "program", "sleeper")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: strings.Contains(a, "setsid"), Setpgid: strings.Contains(a, "setpgid")}
		if strings.Contains(a, "bare") {
			c.Env = []string{"PATH=/bin"}
		}
		out, _ := c.StdoutPipe()
		if err := c.Start(); err != nil {
			return 9
		}
		_, _ = bufio.NewReader(out).ReadString('\n')
	}
	p.ready()
	switch how {
	case "succeeds":
		return p.result(obj{})
	case "crashes":
		return 9
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		linger()
	default:
		p.await("cancel")
	}
	return 143
}

// states sends one checkpoint of each codec, or says what it got back.
func states(p *peer, args []string) int {
	if last, ok := p.start["checkpoint"].(obj); ok {
		if file, ok := last["file"].(string); ok {
			data, _ := os.ReadFile(filepath.Join(p.start["dir"].(string), file))
			sum := sha256.Sum256(data)
			last["content"], last["matches"] = len(data), hex.EncodeToString(sum[:]) == last["sha256"]
		}
		return p.result(last)
	}
	c := obj{}
	_ = json.NewDecoder(bytes.NewReader([]byte(args[0]))).Decode(&c)
	if n, ok := c["fill"].(float64); ok {
		c["data"] = strings.Repeat("€", int(n))
	}
	if n, ok := c["write"].(float64); ok {
		data := bytes.Repeat([]byte("s"), int(n))
		_ = os.WriteFile(filepath.Join(os.Getenv("GAVEL_JOB_DIR"), "state"), data, 0o600)
		sum := sha256.Sum256(data)
		c["file"] = "state"
		if c["sha256"] == nil {
			c["sha256"] = hex.EncodeToString(sum[:])
		}
	}
	if target, ok := c["link"].(string); ok {
		_ = os.Symlink(target, filepath.Join(os.Getenv("GAVEL_JOB_DIR"), "state"))
	}
	p.say("checkpoint", c)
	return p.result(p.await("checkpoint_ack"))
}

// worker is a worker that is killed while its program runs.
func worker(_ *peer, args []string) int {
	x, err := New(Config{Programs: map[string]Program{"p": {Argv: append([]string{os.Args[0], "program"}, args...)}}}, zap.NewNop())
	if err != nil {
		return 9
	}
	l := newLedger()
	l.onceReady(func() { fmt.Println("ready") })
	_, _ = x.Execute(context.Background(), l.work, l)
	return 0
}
