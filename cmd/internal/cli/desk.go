package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// Global are the flags of every command.
type Global struct {
	URL    string `name:"url" env:"GAVEL_URL" help:"Base URL of a dispatcher. Default is that of the configuration file's current fleet, without one http://127.0.0.1:7070."`
	Key    string `name:"key" env:"GAVEL_KEY" help:"Credential: an API key. The variable hides it from the list of processes. Default is the configuration file's for that URL; for a development fleet on this machine: dev-alice."`
	Target string `name:"target" placeholder:"NAME" help:"Ask this fleet of the configuration file, not the current one."`
	Config string `name:"config" env:"GAVEL_CONFIG" placeholder:"FILE" help:"Configuration file, see login; default is ~/.config/gavel/config.yaml."`
	JSON   bool   `name:"json" help:"Write JSON, for scripts."`
}

// Process is what the command line gets from the operating system.
type Process struct {
	Args, Env []string
	In        io.Reader
	Out, Err  io.Writer
	// Hurry gets a value for each signal after the first.
	Hurry   <-chan struct{}
	Version string
}

// desk is what every command works with.
type desk struct {
	Global
	Process
	screen *show.Screen
	self   string // how this command was called
}

func newDesk(p Process, g Global) *desk {
	noColour := false
	for _, kv := range p.Env {
		name, value, _ := strings.Cut(kv, "=")
		noColour = noColour || name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb"
	}
	return &desk{Global: g, Process: p, screen: show.NewScreen(p.Out, noColour), self: self()}
}

// self is how a person would call this command again.
func self() string {
	path, err := os.Executable()
	if err == nil && strings.Contains(path, "go-build") {
		return "go run ./cmd/gavel"
	}
	if found, err := exec.LookPath("gavel"); err == nil && found == path {
		return "gavel"
	}
	return os.Args[0]
}

// tries bounds how often a request is sent: a person waits for it.
const tries = 4

// client asks the fleet.
func (d *desk) client() (*client.Client, error) {
	url, key, err := d.address()
	if err != nil {
		return nil, err
	}
	d.URL, d.Key, d.Target = url, key, ""
	c, err := client.New(url, client.WithKey(key), client.WithUserAgent("gavel/"+d.Version), client.WithRetries(tries, retryPause))
	if err != nil {
		return nil, usage("--url: %v", strings.TrimPrefix(err.Error(), "gavel: "))
	}
	return c, nil
}

// document writes a value for a script.
func (d *desk) document(v any) error {
	enc := json.NewEncoder(d.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// record writes a value on a line of its own.
func (d *desk) record(v any) error {
	enc := json.NewEncoder(d.Out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// person reports whether somebody can be asked a question.
func (d *desk) person() bool {
	f, ok := d.In.(*os.File)
	return !d.JSON && (!ok || show.IsTerminal(f))
}

// question asks the person and returns the line they typed; the end of the
// input, of ctx or another signal is an empty answer.
func (d *desk) question(ctx context.Context, text string) string {
	_, _ = fmt.Fprint(d.Out, text+" ")
	return d.lines()(ctx)
}

// lines reads what the person types, a line at a time.
func (d *desk) lines() func(context.Context) string {
	in := bufio.NewReader(d.In)
	return func(ctx context.Context) string {
		answer := make(chan string, 1)
		go func() { // ends with the line, at the latest with the process
			line, _ := in.ReadString('\n')
			answer <- strings.TrimSpace(line)
		}()
		select {
		case line := <-answer:
			return line
		case <-d.Hurry:
		case <-ctx.Done():
		}
		_, _ = fmt.Fprintln(d.Out)
		return ""
	}
}
