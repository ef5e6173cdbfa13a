package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// clipAt is how much of one value a line shows, in characters.
const clipAt = 160

type logsCommand struct {
	Job   string   `arg:"" help:"Id of the job."`
	After string   `name:"after" placeholder:"EVENT" help:"Begin behind this event."`
	Type  []string `name:"type" placeholder:"WORD" help:"Only events of this type, such as contribution, or all that begin with it, such as job. (with the dot)."`
	Full  bool     `name:"full" help:"Cut no value short."`
}

// Help says what a line is.
func (logsCommand) Help() string {
	return "One line for each event: when, what, and what is known of it as name=value. It follows the job to its end. With --json: one object for each."
}

// Run writes a job's events as lines, to the last one.
func (c *logsCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	for e, err := range cl.Events(ctx, c.Job, c.After) {
		switch {
		case errors.Is(err, context.Canceled):
			return notOver("The job goes on. Follow it from here with: "+d.self+" logs "+c.Job+" --after …", "no longer followed")
		case err != nil:
			return err
		case !c.wants(e):
			continue
		case d.JSON:
			err = d.record(eventLine{e.ID, e})
		default:
			d.screen.Line("%s", c.line(d.screen, e))
			err = d.screen.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *logsCommand) wants(e client.Event) bool {
	for _, t := range c.Type {
		if e.Type == t || strings.HasSuffix(t, ".") && strings.HasPrefix(e.Type, t) {
			return true
		}
	}
	return len(c.Type) == 0
}

// line is one event on one line, whatever its data are.
func (c *logsCommand) line(s *show.Screen, e client.Event) string {
	at := "-"
	if !e.At.IsZero() {
		at = e.At.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	}
	parts := []string{s.Paint(show.Dim, at), s.Paint(show.Bold, show.Clean(e.Type))}
	for _, f := range fields(e.Data) {
		parts = append(parts, s.Paint(show.Dim, show.Clean(f.name)+"=")+c.value(f.raw))
	}
	return strings.Join(parts, " ")
}

// value is one field's: a word as it is, anything else as JSON on one line.
func (c *logsCommand) value(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		var one bytes.Buffer
		if json.Compact(&one, raw) != nil {
			return "?"
		}
		return show.Clean(c.clip(one.String()))
	}
	text = c.clip(text)
	if text == "" || strings.ContainsAny(text, " \t\r\n\"=") || text != show.Clean(text) {
		return show.Clean(strconv.Quote(text))
	}
	return text
}

func (c *logsCommand) clip(s string) string {
	if c.Full || utf8.RuneCountInString(s) <= clipAt {
		return s
	}
	return string([]rune(s)[:clipAt]) + "…"
}

// field is one member of an event's data, in the order they were written.
type field struct {
	name string
	raw  json.RawMessage
}

// fields takes an object apart; what is no object is one field, data.
func fields(raw json.RawMessage) []field {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		if len(raw) == 0 {
			return nil
		}
		return []field{{"data", raw}}
	}
	var out []field
	for dec.More() {
		name, err := dec.Token()
		var f field
		if err == nil {
			err = dec.Decode(&f.raw)
		}
		if err != nil {
			return []field{{"data", raw}}
		}
		f.name = fmt.Sprint(name)
		out = append(out, f)
	}
	return out
}
