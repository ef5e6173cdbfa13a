package audit

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// head holds a signed head to the chain.
func (w *walk) head(ctx context.Context, f *front, r *Record) error {
	h, have := r.Head, w.seen.Entries
	if len(w.trust) > 0 && !slices.Contains(w.trust, h.Key) {
		return w.broken(WrongKey, h.N, r.Where, "the head is signed by key %s, which is not trusted", Fingerprint(h.Key))
	}
	if !signed(*h) {
		return w.broken(Forged, h.N, r.Where, "the head does not carry the signature of key %s", Fingerprint(h.Key))
	}
	if h.N > have {
		return w.beyond(ctx, f, r)
	}
	hash, ok := w.remembered(h.N)
	if !ok {
		return w.broken(Far, h.N, r.Where, "the head is %d entries back; give the log without what is in it twice", have-h.N)
	}
	if hash.String() != h.Hash {
		return w.elsewhere(r)
	}
	if h.N > w.seen.Signed {
		w.floor = w.seen.Signed
	}
	if h.N >= w.seen.Signed {
		w.seen.Signed, w.seen.SignedAt = h.N, h.At
	}
	if !slices.Contains(w.seen.Keys, h.Key) {
		w.seen.Keys = append(w.seen.Keys, h.Key)
	}
	return nil
}

// elsewhere is at a head that the chain does not come to: the entries behind
// the head before it are not those that were signed.
func (w *walk) elsewhere(r *Record) error {
	n, good := r.Head.N, uint64(0)
	for _, s := range []uint64{w.floor, w.seen.Signed} {
		if s < n {
			good = s
		}
	}
	if good+1 >= n {
		return w.broken(Edited, n, r.Where, "it is not the entry that was signed on %s", r.Head.At)
	}
	return w.broken(Edited, good+1, r.Where, "one of the entries %d to %d is not the one that was signed on %s", good+1, n, r.Head.At)
}

// beyond is at a head of an entry that has not come.
func (w *walk) beyond(ctx context.Context, f *front, r *Record) error {
	at, n := *r, w.seen.Entries+1
	for _, other := range w.fronts {
		if other != f && other.next != nil && other.next.Entry != nil {
			return w.gap(ctx, n, w.fronts, other.next)
		}
	}
	for f.next != nil {
		if f.next.Entry != nil {
			return w.gap(ctx, n, []*front{f}, &at)
		}
		if err := f.advance(ctx); err != nil {
			return err
		}
	}
	return w.broken(Truncated, n, at.Where, "the log ends at entry %d; a head signed on %s goes to entry %d", n-1, at.Head.At, at.N)
}

// end holds the copies to each other's ends, and all of it to the signatures.
func (w *walk) end() error {
	var exported []string
	var to uint64
	live := false
	for _, f := range w.fronts {
		if f.log.Live() {
			live = true
			if f.n < w.seen.Entries {
				return w.broken(Truncated, f.n+1, f.log.Name(), "it ends at entry %d; entry %d was exported", f.n, w.seen.Entries)
			}
			continue
		}
		exported, to = append(exported, f.log.Name()), max(to, f.n)
	}
	if len(exported) > 0 && to < w.seen.Signed {
		return w.broken(Truncated, to+1, strings.Join(exported, ", "), "the export ends at entry %d; entry %d was sealed on %s", to, w.seen.Signed, w.seen.SignedAt)
	}
	if signed := w.seen.Signed; signed < w.seen.Entries && (!live || signed == 0) {
		return w.broken(Unsigned, signed+1, "the end", "no signed head covers entries %d to %s", signed+1, strconv.FormatUint(w.seen.Entries, 10))
	}
	return nil
}

// later reports whether one place in a stream is behind another.
func later(id, than string) bool {
	a, ok := placeOf(id)
	b, good := placeOf(than)
	return ok && good && (a[0] > b[0] || a[0] == b[0] && a[1] > b[1])
}

func placeOf(id string) (place [2]uint64, ok bool) {
	ms, seq, ok := strings.Cut(id, "-")
	var err, err2 error
	place[0], err = strconv.ParseUint(ms, 10, 64)
	place[1], err2 = strconv.ParseUint(seq, 10, 64)
	return place, ok && err == nil && err2 == nil
}
