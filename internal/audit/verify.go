package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// window is how many hashes a verifier remembers, to compare what is there more
// than once. A sealer that crashed repeats at most a batch.
const window = 8192

// Verify reads every copy of a fleet's audit side by side and holds them to the
// numbering, the chain, the signatures and each other. It returns what it has
// verified, and a [*Break] for the first thing that is wrong, or another error
// if it could not read. Its memory does not grow with the log.
//
// Several exports are taken for pieces of one: what one sealer did not export
// another one did. A live log and exports must each be whole.
func Verify(ctx context.Context, trust Trust, logs ...Log) (Report, error) {
	var all []int
	for _, l := range logs {
		ps, err := l.Partitions(ctx)
		if err != nil {
			return Report{}, err
		}
		all = append(all, ps...)
	}
	if len(all) == 0 {
		return Report{}, errors.New("nothing to verify: no log has an entry")
	}
	slices.Sort(all)
	var rep Report
	for _, p := range slices.Compact(all) {
		w := &walk{partition: p, trust: trust, seen: Verified{Partition: p}}
		err := w.run(ctx, logs)
		rep.Partitions = append(rep.Partitions, w.seen)
		if rep.Skipped = max(rep.Skipped, w.skipped); err != nil {
			return rep, err
		}
	}
	return rep, nil
}

// walk goes along one partition.
type walk struct {
	partition int
	trust     Trust
	fronts    []*front
	fleet     string
	seen      Verified
	ring      []Hash // of entry n at n % window, from 0, the genesis
	last      Record // entry seen.Entries
	floor     uint64 // the last signed entry before seen.Signed
	skipped   int
}

// front is where the walk is in one log.
type front struct {
	log  Log
	src  Source
	next *Record // nil at the end
	n    uint64  // the last entry of this log
}

func (f *front) advance(ctx context.Context) error {
	r, err := f.src.Next(ctx)
	f.next = nil
	switch {
	case err == nil:
		f.next = &r
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func (w *walk) run(ctx context.Context, logs []Log) (err error) {
	defer func() {
		for _, f := range w.fronts {
			n, _ := f.src.Skipped()
			w.skipped += n
			err = errors.Join(err, f.src.Close())
		}
	}()
	for _, l := range logs {
		src, err := l.Open(ctx, w.partition)
		if err != nil {
			return err
		}
		f := &front{log: l, src: src}
		w.fronts = append(w.fronts, f)
		if err := f.advance(ctx); err != nil {
			return err
		}
	}
	for f := w.lowest(); f != nil; f = w.lowest() {
		if err := w.step(ctx, f); err != nil {
			return err
		}
		if err := f.advance(ctx); err != nil {
			return err
		}
	}
	return w.end()
}

// lowest is the front whose next record comes first: by number, a head behind
// its entry.
func (w *walk) lowest() *front {
	var first *front
	for _, f := range w.fronts {
		if f.next != nil && (first == nil || before(f.next, first.next)) {
			first = f
		}
	}
	return first
}

func before(a, b *Record) bool {
	if a.N != b.N {
		return a.N < b.N
	}
	return a.Head == nil && b.Head != nil
}

func (w *walk) broken(k Kind, n uint64, where, format string, args ...any) error {
	return &Break{Kind: k, Partition: w.partition, N: n, Where: where, Detail: fmt.Sprintf(format, args...)}
}

func (w *walk) step(ctx context.Context, f *front) error {
	r := f.next
	if w.fleet == "" {
		w.fleet, w.ring = r.Fleet, []Hash{Genesis(r.Fleet, w.partition)}
	}
	if r.Fleet != w.fleet {
		return w.broken(Foreign, r.N, r.Where, "it is of fleet %q, what came before of fleet %q", r.Fleet, w.fleet)
	}
	if r.Head != nil {
		return w.head(ctx, f, r)
	}
	if err := w.entry(ctx, f, r); err != nil {
		return err
	}
	f.n = max(f.n, r.N)
	return nil
}

// entry holds an entry to the ones before it.
func (w *walk) entry(ctx context.Context, f *front, r *Record) error {
	switch have := w.seen.Entries; {
	case r.N == 0 || r.N != r.Entry.N():
		return w.broken(Edited, have+1, r.Where, "the entry behind %d carries the number %q", have, r.Entry.Fields["n"])
	case f.log.Live() && r.N <= f.n:
		return w.broken(Reordered, r.N, r.Where, "it comes behind entry %d", f.n)
	case f.log.Live() && r.N > f.n+1:
		return w.gap(ctx, f.n+1, []*front{f}, r)
	case r.N <= have:
		return w.repeat(r)
	case r.N > have+1:
		return w.gap(ctx, have+1, w.fronts, r)
	default:
		return w.follow(r)
	}
}

// follow takes the next entry.
func (w *walk) follow(r *Record) error {
	prev := w.ring[(r.N-1)%window]
	if w.seen.Entries > 0 && !later(r.Entry.ID, w.last.Entry.ID) {
		return w.broken(Reordered, r.N, r.Where, "its place %s is not behind %s, that of entry %d", r.Entry.ID, w.last.Entry.ID, r.N-1)
	}
	if err := w.claims(r); err != nil {
		return err
	}
	if r.Prev != "" && r.Prev != prev.String() {
		return w.broken(Unlinked, r.N, r.Where, "it was chained to another entry %d than the one here", r.N-1)
	}
	w.seen.Entries, w.last = r.N, *r
	w.remember(r.N, Link(prev, w.partition, *r.Entry))
	return nil
}

// remember keeps the hash of the next entry; the ring grows to its window.
func (w *walk) remember(n uint64, h Hash) {
	if n < window {
		w.ring = append(w.ring, h)
		return
	}
	w.ring[n%window] = h
}

// claims holds an entry to the hash that was exported with it.
func (w *walk) claims(r *Record) error {
	if r.Prev == "" {
		return nil
	}
	prev, err := parseHash(r.Prev)
	if err == nil {
		_, err = parseHash(r.Hash)
	}
	if err != nil {
		return w.broken(Edited, r.N, r.Where, "%v", err)
	}
	if Link(prev, w.partition, *r.Entry).String() != r.Hash {
		return w.broken(Edited, r.N, r.Where, "the entry was changed: its hash is not that of its fields")
	}
	return nil
}

// repeat compares an entry with the same one seen before.
func (w *walk) repeat(r *Record) error {
	if err := w.claims(r); err != nil {
		return err
	}
	prev, ok := w.remembered(r.N - 1)
	if !ok {
		return w.broken(Far, r.N, r.Where, "it repeats an entry %d entries back; give the log without what is in it twice", w.seen.Entries-r.N)
	}
	if r.Prev != "" && r.Prev != prev.String() || Link(prev, w.partition, *r.Entry) != w.ring[r.N%window] {
		return w.broken(Differs, r.N, r.Where, "it is not the one of %s", w.difference(r))
	}
	w.seen.Repeats++
	return nil
}

func (w *walk) remembered(n uint64) (Hash, bool) {
	if n > w.seen.Entries || w.seen.Entries-n >= window {
		return Hash{}, false
	}
	return w.ring[n%window], true
}

// difference names what differs from the entry taken last.
func (w *walk) difference(r *Record) string {
	if r.N != w.last.N {
		return "the other copy"
	}
	a, b := w.last.Entry, r.Entry
	if a.ID != b.ID {
		return fmt.Sprintf("%s: its place is %s here, %s there", w.last.Where, b.ID, a.ID)
	}
	for _, name := range fieldNames(a.Fields, b.Fields) {
		if x, y := a.Fields[name], b.Fields[name]; x != y {
			return fmt.Sprintf("%s: its %s is %.80q here, %.80q there", w.last.Where, name, y, x)
		}
	}
	return w.last.Where + ": what came before it was another"
}

func fieldNames(maps ...map[string]string) []string {
	var names []string
	for _, m := range maps {
		for name := range m {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// gap is at entry n, which is not where it should be: r is. It looks for the
// entry further on.
func (w *walk) gap(ctx context.Context, n uint64, fronts []*front, r *Record) error {
	at := *r
	for _, f := range fronts {
		found, err := f.find(ctx, n)
		if err != nil {
			return err
		}
		if found != "" {
			return w.broken(Reordered, n, found, "it comes behind entry %d", at.N)
		}
	}
	note := ""
	for _, f := range fronts {
		if _, last := f.src.Skipped(); last != "" {
			note = "; " + f.log.Name() + " " + last
		}
	}
	if n == 1 {
		return w.broken(Missing, n, at.Where, "the log begins with entry %d%s", at.N, note)
	}
	return w.broken(Missing, n, at.Where, "entry %d follows entry %d%s", at.N, n-1, note)
}

// find looks for an entry in the rest of a log, and says where it is.
func (f *front) find(ctx context.Context, n uint64) (string, error) {
	for f.next != nil {
		if f.next.Entry != nil && f.next.N == n {
			return f.next.Where, nil
		}
		err := f.advance(ctx)
		if cut := (*Break)(nil); errors.As(err, &cut) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}
