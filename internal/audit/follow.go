package audit

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Copy writes a fleet's log as its dispatchers export it: each entry with its
// chain as it is now, and behind it what was signed. Whether the two agree is
// for [Verify] to say.
func Copy(ctx context.Context, out io.Writer, fleet *Fleet) error {
	for p := range fleet.parts {
		if err := copyPartition(ctx, out, fleet, p); err != nil {
			return err
		}
	}
	return nil
}

func copyPartition(ctx context.Context, out io.Writer, fleet *Fleet, p int) error {
	src, err := fleet.Open(ctx, p)
	if err != nil {
		return err
	}
	var raw []byte
	var prev Hash
	begun := false
	for {
		r, err := src.Next(ctx)
		if cut := (*Break)(nil); errors.Is(err, io.EOF) || errors.As(err, &cut) {
			return nil // what is missing is not there to be copied
		}
		if err != nil {
			return err
		}
		if !begun {
			prev, begun = Genesis(r.Fleet, p), true
		}
		if r.Entry != nil {
			r.Prev = prev.String()
			prev = Link(prev, p, *r.Entry)
			r.Hash = prev.String()
		}
		if raw, err = AppendLine(raw[:0], r); err != nil {
			return err
		}
		if _, err := out.Write(raw); err != nil {
			return fmt.Errorf("export the audit: %w", err)
		}
	}
}

// Follower reads what is added to a fleet's log.
type Follower struct {
	pages Pages
	all   bool
	after []string // by partition; nil before the first look
}

// Follow returns a follower that begins with the oldest entry, or with the next
// one.
func Follow(pages Pages, all bool) *Follower { return &Follower{pages: pages, all: all} }

// Look gives every entry that it has not given yet, those of one partition in
// their order, and returns when there are no more.
func (f *Follower) Look(ctx context.Context, tell func(Record) error) error {
	if f.after == nil {
		if err := f.begin(ctx); err != nil {
			return err
		}
	}
	for p := range f.after {
		for more := true; more; {
			var err error
			if more, err = f.look(ctx, p, tell); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin finds the place in each partition from which entries are new.
func (f *Follower) begin(ctx context.Context) error {
	after := make([]string, 1)
	for p := 0; p < len(after); p++ {
		page, err := f.pages.Page(ctx, p, "", 1)
		if err != nil {
			return fmt.Errorf("follow the audit: %w", err)
		}
		if page.Partitions < 1 || page.Partitions > maxPartitions {
			return fmt.Errorf("follow the audit: the fleet has %d partitions; want 1–%d", page.Partitions, maxPartitions)
		}
		if p == 0 {
			after = make([]string, page.Partitions)
		}
		if !f.all {
			after[p] = page.LastID
		}
	}
	f.after = after
	return nil
}

func (f *Follower) look(ctx context.Context, p int, tell func(Record) error) (more bool, err error) {
	page, err := f.pages.Page(ctx, p, f.after[p], batch)
	if err != nil {
		return false, fmt.Errorf("follow the audit: %w", err)
	}
	for _, r := range page.Records {
		if err := tell(Record{Fleet: page.Fleet, Partition: p, N: r.N(), Entry: &r}); err != nil {
			return false, err
		}
		f.after[p] = r.ID
	}
	return len(page.Records) > 0, nil
}

// EntryOf is an entry as it is listed. The record must be one.
func EntryOf(r Record) job.AuditEntry { return entryOf(r.Partition, r.Entry.Fields) }

// entryOf takes the fields apart that every entry has.
func entryOf(p int, fields map[string]string) job.AuditEntry {
	e := job.AuditEntry{Partition: p, N: job.AuditRecord{Fields: fields}.N(), Fields: map[string]string{}}
	for name, text := range fields {
		switch name {
		case "n":
		case "at":
			e.At = rediskit.Time(text)
		case "act":
			e.Act = text
		case "decision":
			e.Decision = text
		case "rule":
			e.Rule = text
		case "who":
			e.Who = whoFrom(text)
		default:
			if text != "" {
				e.Fields[name] = text
			}
		}
	}
	if e.Who == nil {
		e.Who = whoFrom("")
	}
	return e
}
