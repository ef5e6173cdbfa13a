package control

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// Line is what one worker hears of a partition: the control stream, for orders
// over many jobs, and a stream of its own, for orders over one that it runs.
type Line interface {
	// Tip is the position of the last entries.
	Tip(ctx context.Context, partition int) (Cursor, error)
	// Hints returns the entries after a position, waiting up to a second for the
	// first; Gap is set in the hint of an entry that could not be read.
	Hints(ctx context.Context, partition int, after Cursor) (hints []job.Hint, next Cursor, err error)
}

// Cursor is a position in both streams of a [Line]: the control stream's, and
// the worker's own.
type Cursor [2]string

// start is the position before the first entry.
const start = "0-0"

// Watch hears orders on a worker's line, with a cursor for each partition.
// It is the speed and not the truth: whenever it may have missed something it
// says so, and the renewals tell.
type Watch struct {
	line  Line
	parts []int
	log   *zap.Logger

	mu    sync.Mutex
	n     uint64
	heard []numbered
	marks []uint64
}

type numbered struct {
	n    uint64
	hint job.Hint
}

// NewWatch returns a watch over partitions.
func NewWatch(line Line, partitions []int, log *zap.Logger) *Watch {
	return &Watch{line: line, parts: partitions, log: log}
}

// Mark begins to remember what is heard, for a grant that is about to be sent.
func (w *Watch) Mark() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marks = append(w.marks, w.n)
	return w.n
}

// Since returns the hints that arrived after a mark, and forgets the mark.
func (w *Watch) Since(mark uint64) []job.Hint {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []job.Hint
	for _, h := range w.heard {
		if h.n > mark {
			out = append(out, h.hint)
		}
	}
	if i := slices.Index(w.marks, mark); i >= 0 {
		w.marks = slices.Delete(w.marks, i, i+1)
	}
	w.prune()
	return out
}

// prune keeps only what an open mark may still ask for.
func (w *Watch) prune() {
	if len(w.marks) == 0 {
		w.heard = nil
		return
	}
	oldest := slices.Min(w.marks)
	w.heard = slices.DeleteFunc(w.heard, func(h numbered) bool { return h.n <= oldest })
}

func (w *Watch) remember(h job.Hint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	if len(w.marks) > 0 {
		w.heard = append(w.heard, numbered{n: w.n, hint: h})
	}
}

// Run reads until ctx ends and hands every hint to deliver, which MUST NOT
// block. A hint with Gap asks for a renewal of everything in its partition.
func (w *Watch) Run(ctx context.Context, deliver func(job.Hint)) {
	var wg sync.WaitGroup
	for _, p := range w.parts {
		wg.Go(func() { w.follow(ctx, p, deliver) })
	}
	wg.Wait()
}

// follow keeps one cursor. Its first position is the tip: what came before is
// in the records, and the first renewal tells.
func (w *Watch) follow(ctx context.Context, p int, deliver func(job.Hint)) {
	var cursor Cursor
	lost := true
	for ctx.Err() == nil {
		if lost {
			at, ok := w.connect(ctx, p, cursor)
			if !ok {
				rest(ctx, 100*time.Millisecond)
				continue
			}
			cursor, lost = at, false
			deliver(job.Hint{Partition: p, Gap: true})
		}
		hints, next, err := w.line.Hints(ctx, p, cursor)
		if err != nil {
			lost = true
			if ctx.Err() == nil {
				w.log.Warn("control streams lost; resuming at the cursor", zap.Int("partition", p), zap.Error(err))
			}
			continue
		}
		for _, h := range hints {
			w.remember(h)
			deliver(h)
		}
		cursor = next
	}
}

// connect finds where to read on: at the cursor, or at the tip on the first
// time and when the stream has gone back behind the cursor, as after a failover
// that lost data.
func (w *Watch) connect(ctx context.Context, p int, cursor Cursor) (Cursor, bool) {
	tip, err := w.line.Tip(ctx, p)
	if err != nil {
		return cursor, false
	}
	if cursor == (Cursor{}) {
		return tip, true
	}
	for i := range tip {
		if !before(tip[i], cursor[i]) {
			continue
		}
		if i == 0 || tip[i] != start { // a stream of one's own goes by itself
			w.log.Warn("control stream went back behind the cursor; data were lost", zap.Int("partition", p),
				zap.String("cursor", cursor[i]), zap.String("tip", tip[i]))
		}
		cursor[i] = tip[i]
	}
	return cursor, true
}

// before compares two stream ids, "ms-seq".
func before(a, b string) bool {
	am, as := splitID(a)
	bm, bs := splitID(b)
	return am < bm || am == bm && as < bs
}

func splitID(id string) (ms, seq uint64) {
	m, s, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(m, 10, 64)
	seq, _ = strconv.ParseUint(s, 10, 64)
	return ms, seq
}

// hintFrom reads one entry of the control stream. One that cannot be read is a
// gap: the renewals know what it said.
func hintFrom(p int, values map[string]any) job.Hint {
	text := func(k string) string { v, _ := values[k].(string); return v }
	o := job.Order{
		ID:    job.ID(text("order")),
		Scope: job.Scope{Kind: job.ScopeKind(text("scope")), Job: job.ID(text("job")), Owner: text("owner")},
		Actor: text("actor"), Reason: text("reason"), Trace: text("trace"),
	}
	if o.Scope.Kind != job.ScopeJob {
		h, err := strconv.ParseUint(text("h"), 10, 64)
		if err != nil {
			return job.Hint{Partition: p, Gap: true}
		}
		o.Horizon = map[int]uint64{p: h}
	}
	if o.ID == "" || o.Scope.Check() != nil {
		return job.Hint{Partition: p, Gap: true}
	}
	wide := o.Scope.Kind
	if text("wide") != "" {
		wide = job.ScopeKind(text("wide"))
	}
	return job.Hint{Partition: p, Order: o, Wide: wide}
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
