package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type loginCommand struct {
	Name string `arg:"" help:"What to call the fleet, such as prod; the next time its --url may be left out."`
}

// Help says how.
func (loginCommand) Help() string {
	return `The key is read from standard input: gavel login prod --url https://gavel.example.com < key.txt

It is tried, and stored with the URL in the configuration file, which nobody else may read. The fleet becomes the current one; --target NAME asks another.`
}

// Run stores where a fleet is and who one is there.
func (c loginCommand) Run(ctx context.Context, d *desk) error {
	if slices.ContainsFunc(d.Args, func(a string) bool { return a == "--key" || strings.HasPrefix(a, "--key=") }) {
		return usage("a key is no argument of login, where every process could see it; give it on standard input")
	}
	path, _ := d.configPath()
	if path == "" {
		return usage("there is no HOME to keep the configuration in; give --config or GAVEL_CONFIG")
	}
	file, err := readConfig(path, false)
	if err != nil {
		return err
	}
	url := d.URL
	if url == "" {
		url = file.Fleets[c.Name].URL
	}
	if url == "" {
		return usage("where is %s? Give --url", c.Name)
	}
	key, err := d.secretLine(ctx, "Key for "+c.Name+" at "+url+" (it is not shown): ")
	if err != nil {
		return err
	}
	d.URL, d.Key, d.Target = url, key, ""
	if err := d.try(ctx); err != nil {
		return err
	}
	if file.Fleets == nil {
		file.Fleets = map[string]fleetEntry{}
	}
	file.Fleets[c.Name], file.Current = fleetEntry{URL: url, Key: key}, c.Name
	if err := file.save(); err != nil {
		return err
	}
	if d.JSON {
		return d.document(map[string]string{"fleet": c.Name, "url": url, "config": path})
	}
	d.screen.Line("%s is the current fleet, at %s; kept in %s", show.Clean(c.Name), show.Clean(url), path)
	return nil
}

// try asks something that everybody may who has a key.
func (d *desk) try(ctx context.Context) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	for _, err := range cl.Jobs(ctx, client.JobQuery{}) {
		return err
	}
	return nil
}

// secretLine reads one line that a terminal does not show.
func (d *desk) secretLine(ctx context.Context, prompt string) (string, error) {
	read := d.lines()
	if f, ok := d.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		before, err := term.GetState(int(f.Fd()))
		if err != nil {
			return "", fmt.Errorf("terminal: %w", err)
		}
		defer func() { _ = term.Restore(int(f.Fd()), before) }()
		_, _ = fmt.Fprint(d.Err, prompt)
		read = func(ctx context.Context) string {
			answer := make(chan string, 1)
			go func() { // ends with the line, at the latest with the process
				line, _ := term.ReadPassword(int(f.Fd()))
				answer <- strings.TrimSpace(string(line))
			}()
			select {
			case line := <-answer:
				_, _ = fmt.Fprintln(d.Err)
				return line
			case <-ctx.Done():
				return ""
			}
		}
	}
	key := read(ctx)
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if key == "" || strings.ContainsAny(key, " \t") {
		return "", usage("standard input does not hold one key: gavel login NAME --url … < key.txt")
	}
	return key, nil
}
