package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/audit"
	"github.com/rtfm-si/gavel/internal/job"
)

// auditCommands are what can be done with the audit; listing it needs no word.
type auditCommands struct {
	List   auditCommand       `cmd:"" default:"withargs" help:"List control acts, allowed and denied, newest first."`
	Verify auditVerifyCommand `cmd:"" help:"Check numbering, chain and signatures of the fleet's log, of exports, or of both beside each other; names the first broken entry."`
	Export auditExportCommand `cmd:"" help:"Write the fleet's log with its chain as JSON lines, as the dispatchers export it."`
	Follow auditFollowCommand `cmd:"" help:"Print each control act as it happens."`
	Key    auditKeyCommand    `cmd:"" help:"Make the key that dispatchers sign the audit with, and print its public half."`
}

// pages reads the log through a dispatcher.
type pages struct{ c *client.Client }

// Page implements [audit.Pages].
func (p pages) Page(ctx context.Context, partition int, after string, limit int) (job.AuditPage, error) {
	got, err := p.c.AuditLog(ctx, partition, after, limit)
	if err != nil {
		return job.AuditPage{}, err
	}
	page := job.AuditPage{Fleet: got.Fleet, Partitions: got.Partitions, Last: got.Last, LastID: got.LastID, Records: make([]job.AuditRecord, len(got.Entries))}
	for i, e := range got.Entries {
		page.Records[i] = job.AuditRecord(e)
	}
	if h := got.Head; h != nil {
		page.Head = job.AuditHead{
			Fleet: got.Fleet, Partition: partition, N: h.N, ID: h.ID, Hash: h.Hash, At: h.At, Key: h.Key, Signature: h.Signature,
		}
	}
	return page, nil
}

type auditVerifyCommand struct {
	Files  []string `arg:"" optional:"" type:"path" help:"Exported files; several are pieces of one log. None is the fleet's own."`
	Live   bool     `name:"live" help:"Hold the files and the fleet's log to each other."`
	Public []string `name:"public-key" type:"path" placeholder:"FILE" help:"Public keys (PEM) whose signatures count; without them the key that the log names is taken, and shown."`
}

// Run verifies.
func (c *auditVerifyCommand) Run(ctx context.Context, d *desk) error {
	trust, err := audit.ReadTrust(c.Public...)
	if err != nil {
		return usage("--public-key: %v", err)
	}
	logs, err := c.logs(ctx, d)
	if err != nil {
		return err
	}
	rep, err := audit.Verify(ctx, trust, logs...)
	var broken *audit.Break
	switch {
	case errors.As(err, &broken):
		f := failed("the audit is broken: %v", broken)
		if len(c.Files) == 0 && broken.Kind == audit.Edited {
			f.Hint = "An export names the very entry: " + d.self + " audit verify --live FILE"
		}
		return f
	case err != nil:
		return err
	case d.JSON:
		return d.document(verdictView(rep))
	default:
		c.tell(d, rep)
		return nil
	}
}

// logs opens the fleet's log first: exports that are opened later reach as far
// as its seal.
func (c *auditVerifyCommand) logs(ctx context.Context, d *desk) ([]audit.Log, error) {
	var logs []audit.Log
	if c.Live || len(c.Files) == 0 {
		cl, err := d.client()
		if err != nil {
			return nil, err
		}
		fleet, err := audit.OpenFleet(ctx, pages{cl})
		if err != nil {
			return nil, err
		}
		logs = append(logs, fleet)
	}
	for _, path := range c.Files {
		e, err := audit.OpenExport(path)
		if err != nil {
			return nil, usage("%v", err)
		}
		logs = append(logs, e)
	}
	return logs, nil
}

func (c *auditVerifyCommand) tell(d *desk, rep audit.Report) {
	keys := map[string]bool{}
	for _, p := range rep.Partitions {
		text := "nothing was noted yet"
		if p.Entries > 0 {
			text = fmt.Sprintf("entries 1 to %d, none missing, none changed; signed up to %d on %s", p.Entries, p.Signed, p.SignedAt)
		}
		if unsigned := p.Entries - p.Signed; unsigned > 0 {
			text += fmt.Sprintf("; the last %d are not sealed yet", unsigned)
		}
		d.screen.Line("partition %d: %s", p.Partition, text)
		for _, k := range p.Keys {
			keys[audit.Fingerprint(k)] = true
		}
	}
	if rep.Skipped > 0 {
		d.screen.Line("%s could not be read, and what they held is there again", show.Count(int64(rep.Skipped), "line", "lines"))
	}
	for k := range keys {
		if len(c.Public) > 0 {
			d.screen.Line("signed by the trusted key %s", k)
		} else {
			d.screen.Line("signed by key %s; whether that is yours, --public-key FILE would say", k)
		}
	}
}

// verdictView is a report for a script.
func verdictView(rep audit.Report) any {
	type partition struct {
		Partition int      `json:"partition"`
		Entries   uint64   `json:"entries"`
		Signed    uint64   `json:"signed"`
		SignedAt  string   `json:"signed_at,omitempty"`
		Repeats   uint64   `json:"repeats"`
		Keys      []string `json:"keys,omitempty"`
	}
	out := []partition{}
	for _, p := range rep.Partitions {
		out = append(out, partition(p))
	}
	return map[string]any{"partitions": out, "skipped_lines": rep.Skipped}
}

type auditExportCommand struct{}

// Run writes the log out.
func (auditExportCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	fleet, err := audit.OpenFleet(ctx, pages{cl})
	if err != nil {
		return err
	}
	return audit.Copy(ctx, d.Out, fleet)
}

type auditFollowCommand struct {
	All   bool          `name:"all" help:"Begin with the oldest act instead of the next one."`
	Every time.Duration `name:"every" default:"1s" help:"How often to look."`
}

// Run follows the log until it is interrupted.
func (c *auditFollowCommand) Run(ctx context.Context, d *desk) error {
	if c.Every < 50*time.Millisecond {
		return usage("--every: %s is too often; want 50ms or more", c.Every)
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	follower := audit.Follow(pages{cl}, c.All)
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for {
		if err := follower.Look(ctx, d.tellAct); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tellAct prints an entry on a line.
func (d *desk) tellAct(r audit.Record) error {
	e := audit.EntryOf(r)
	row := client.AuditEntry{
		Partition: e.Partition, N: e.N, At: e.At, Act: e.Act, Decision: e.Decision, Rule: e.Rule, Who: e.Who, Fields: e.Fields,
	}
	if d.JSON {
		return d.record(row)
	}
	d.screen.Line("%s", show.AuditLine(row, time.Now()))
	return d.screen.Err()
}

type auditKeyCommand struct {
	File   string `arg:"" type:"path" help:"File of the key; made with mode 0600, and never written over."`
	Public bool   `name:"public" help:"Only print the public half of the key that is there."`
}

// Run makes a key, or shows one.
func (c *auditKeyCommand) Run(d *desk) error {
	have, hint := audit.NewKey, "Its public half is printed by: "+d.self+" audit key --public "+c.File
	if c.Public {
		have, hint = audit.ReadKey, ""
	}
	key, err := have(c.File)
	switch {
	case errors.Is(err, fs.ErrExist):
		return &Failure{Code: codeUsage, Text: c.File + " is there already, and a key is never written over", Hint: hint, cause: err}
	case err != nil:
		return usage("%v", err)
	}
	public, err := audit.Public(key)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(map[string]string{"file": c.File, "public_key": string(public)})
	}
	if _, err := d.Out.Write(public); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if !c.Public {
		d.say("The key is in " + c.File + ": give it to every dispatcher as GAVEL_AUDIT_KEY_FILE, and to nobody else.\nKeep the public half above for gavel audit verify --public-key.")
	}
	return nil
}

// say tells a person something beside the output.
func (d *desk) say(text string) { _, _ = fmt.Fprintln(d.Err, text) }
