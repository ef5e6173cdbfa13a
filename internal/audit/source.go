package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rtfm-si/gavel/internal/job"
)

// Log is one copy of a fleet's audit that [Verify] reads.
type Log interface {
	// Name is what people call it.
	Name() string
	// Live reports whether it is the log itself. That one must be whole; exports
	// of it may be in several pieces.
	Live() bool
	// Partitions are those it has anything of, in any order.
	Partitions(ctx context.Context) ([]int, error)
	// Open reads one partition from its beginning.
	Open(ctx context.Context, partition int) (Source, error)
}

// Source gives the records of one partition.
type Source interface {
	// Next returns io.EOF behind the last one.
	Next(ctx context.Context) (Record, error)
	// Skipped says how many lines could not be read so far, and why not the last
	// of them.
	Skipped() (n int, last string)
	Close() error
}

// Export is an exported file.
type Export struct {
	path string
	size int64
}

// OpenExport takes a file as it is now: what is added to it later is not read.
func OpenExport(path string) (*Export, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the export: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read the export: %s is no regular file; it is read several times, so save it first", path)
	}
	return &Export{path, info.Size()}, nil
}

// Name implements [Log].
func (e *Export) Name() string { return e.path }

// Live implements [Log].
func (e *Export) Live() bool { return false }

// Partitions implements [Log]; it reads the whole file.
func (e *Export) Partitions(ctx context.Context) ([]int, error) {
	src, err := e.open(-1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = src.Close() }()
	return src.partitions(ctx)
}

// partitions reads to the end, and says which partitions have a line.
func (x *exported) partitions(ctx context.Context) ([]int, error) {
	var seen [maxPartitions]bool
	var out []int
	for {
		r, err := x.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			if len(out) == 0 && x.skipped > 0 {
				return nil, fmt.Errorf("%s holds no line of an audit: %s", x.name, x.last)
			}
			return out, nil
		case err != nil:
			return nil, err
		case !seen[r.Partition]:
			seen[r.Partition] = true
			out = append(out, r.Partition)
		}
	}
}

// Open implements [Log].
func (e *Export) Open(_ context.Context, partition int) (Source, error) { return e.open(partition) }

func (e *Export) open(partition int) (*exported, error) {
	f, err := os.Open(e.path)
	if err != nil {
		return nil, fmt.Errorf("read the export: %w", err)
	}
	return &exported{name: e.path, partition: partition, file: f, lines: newLines(io.LimitReader(f, e.size))}, nil
}

// exported reads the lines of one partition, of all for -1.
type exported struct {
	name      string
	partition int
	file      io.Closer
	lines     *lines
	skipped   int
	last      string
}

// Next implements [Source].
func (x *exported) Next(ctx context.Context) (Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Record{}, context.Cause(ctx)
		}
		r, err := x.lines.next()
		var bad *errLine
		switch {
		case errors.As(err, &bad):
			x.skipped++
			x.last = bad.Error()
		case err != nil:
			return r, err
		case x.partition < 0 || r.Partition == x.partition:
			r.Where = fmt.Sprintf("%s line %d", x.name, x.lines.number)
			return r, nil
		}
	}
}

// Skipped implements [Source].
func (x *exported) Skipped() (int, string) { return x.skipped, x.last }

// Close implements [Source].
func (x *exported) Close() error {
	if err := x.file.Close(); err != nil {
		return fmt.Errorf("read the export: %w", err)
	}
	return nil
}

// Pages is where a fleet's log is read: [Redis] itself, or a dispatcher's API.
type Pages interface {
	// Page is as [Redis.Page].
	Page(ctx context.Context, partition int, after string, limit int) (job.AuditPage, error)
}

// Fleet is the log of a running fleet.
type Fleet struct {
	pages Pages
	heads map[int]job.AuditHead
	parts int
}

// OpenFleet notes how far the log is sealed now. Exports that are opened after
// it must reach as far.
func OpenFleet(ctx context.Context, pages Pages) (*Fleet, error) {
	f := &Fleet{pages: pages, heads: map[int]job.AuditHead{}, parts: 1}
	for p := 0; p < f.parts; p++ {
		page, err := pages.Page(ctx, p, "", 1)
		if err != nil {
			return nil, fmt.Errorf("read the fleet's audit: %w", err)
		}
		if page.Partitions < 1 || page.Partitions > maxPartitions {
			return nil, fmt.Errorf("read the fleet's audit: it has %d partitions; want 1–%d", page.Partitions, maxPartitions)
		}
		f.parts, f.heads[p] = page.Partitions, page.Head
	}
	return f, nil
}

// Name implements [Log].
func (f *Fleet) Name() string { return "the fleet's log" }

// Live implements [Log].
func (f *Fleet) Live() bool { return true }

// Partitions implements [Log].
func (f *Fleet) Partitions(context.Context) ([]int, error) {
	out := make([]int, f.parts)
	for p := range out {
		out[p] = p
	}
	return out, nil
}

// Open implements [Log].
func (f *Fleet) Open(_ context.Context, partition int) (Source, error) {
	return &living{fleet: f, partition: partition, head: f.heads[partition], more: true}, nil
}

// living reads one partition page by page, the head behind its entry.
type living struct {
	fleet     *Fleet
	partition int
	head      job.AuditHead // still to be given
	page      job.AuditPage
	n         uint64
	after     string
	more      bool
}

// Next implements [Source].
func (l *living) Next(ctx context.Context) (Record, error) {
	if l.head.Hash != "" && l.n >= l.head.N {
		return l.giveHead(), nil
	}
	if len(l.page.Records) == 0 && l.more {
		page, err := l.fleet.pages.Page(ctx, l.partition, l.after, batch)
		if err != nil {
			return Record{}, fmt.Errorf("read the fleet's audit: %w", err)
		}
		l.page, l.more = page, len(page.Records) > 0
	}
	if len(l.page.Records) > 0 {
		return l.giveEntry(), nil
	}
	if l.head.Hash != "" {
		return l.giveHead(), nil
	}
	if l.page.Last > l.n {
		return Record{}, &Break{
			Kind: Truncated, Partition: l.partition, N: l.n + 1, Where: l.fleet.Name(),
			Detail: fmt.Sprintf("the log ends at entry %d, but %d were written", l.n, l.page.Last),
		}
	}
	return Record{}, io.EOF
}

func (l *living) giveEntry() Record {
	r := l.page.Records[0]
	l.page.Records = l.page.Records[1:]
	l.n, l.after = max(l.n, r.N()), r.ID
	return Record{
		Fleet: l.page.Fleet, Partition: l.partition, N: r.N(), Entry: &r,
		Where: fmt.Sprintf("%s, %s", l.fleet.Name(), r.ID),
	}
}

func (l *living) giveHead() Record {
	h := l.head
	l.head = job.AuditHead{}
	return Record{Fleet: h.Fleet, Partition: l.partition, N: h.N, Head: &h, Where: l.fleet.Name() + ", its seal"}
}

// Skipped implements [Source].
func (l *living) Skipped() (int, string) { return 0, "" }

// Close implements [Source].
func (l *living) Close() error { return nil }
