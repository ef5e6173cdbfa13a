package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type transcriptCommand struct {
	Job string `arg:"" help:"Id of the job."`
}

// Run writes every prompt and reply of a job that asked to have them kept.
func (c *transcriptCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	n := 0
	for e, err := range cl.Transcript(ctx, c.Job) {
		if err != nil {
			return err
		}
		n++
		if d.JSON {
			if err := d.record(e); err != nil {
				return err
			}
			continue
		}
		d.exchange(e)
	}
	if n == 0 && !d.JSON {
		d.screen.Line(`nothing was kept: a deliberation keeps its calls when its problem has "transcript": true`)
	}
	return nil
}

// exchange writes one call for people.
func (d *desk) exchange(e client.Exchange) {
	head := fmt.Sprintf("── %s  %s, %d tokens in, %d out, %s", e.Call, e.Model, e.InputTokens, e.OutputTokens, show.Money(e.Cost))
	if e.Estimated {
		head += ", estimated"
	}
	d.screen.Line("%s", d.screen.Paint(show.Bold, show.Clean(head)))
	for _, m := range e.Messages {
		d.said(m.Role, m.Text)
	}
	d.said("reply", e.Reply)
	d.said("refusal", e.Refusal)
	d.said("error", e.Error)
}

// said writes a text line by line, so that none of it reaches the terminal as it
// came.
func (d *desk) said(who, text string) {
	if text == "" {
		return
	}
	d.screen.Line("%s", d.screen.Paint(show.Dim, show.Clean(who)))
	for line := range strings.Lines(text) {
		d.screen.Line("   %s", show.Clean(strings.TrimRight(line, "\r\n")))
	}
}
