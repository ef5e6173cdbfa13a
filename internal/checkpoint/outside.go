package checkpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// ErrAway is wrapped when a state cannot be written or read because the store it
// is kept in does not answer. Another try may succeed.
var ErrAway = errors.New("checkpoint store away")

// ErrGone is returned by [Store.Get] for a name that holds nothing.
var ErrGone = errors.New("no such object")

// Store keeps states outside Redis: a directory, a bucket. A name is written by
// one claim with one content; nothing is ever overwritten with something else.
type Store interface {
	// Put returns only after the object is durable. Sent again it is the same.
	Put(ctx context.Context, name string, data []byte) error
	// Get returns [ErrGone] for a name that holds nothing, and any other error when
	// it does not know.
	Get(ctx context.Context, name string) ([]byte, error)
	// Remove is no error for a name that holds nothing.
	Remove(ctx context.Context, name string) error
	// List returns up to limit names that begin with prefix and come after one, in
	// order.
	List(ctx context.Context, prefix, after string, limit int) ([]string, error)
	// Check says what is wrong with the store, by writing, reading and removing.
	Check(ctx context.Context) error
}

// Outside is where a fleet keeps its states when it is not in Redis. A nil
// Outside keeps none, and reads those that are in Redis.
type Outside struct {
	Store Store
	// Fleet names the part of the store that is this fleet's.
	Fleet string
	// Place is where the store is, in the words of the settings.
	Place string
	// Within bounds one call of the store; 0 means 10 s.
	Within time.Duration
	// Told, when set, is told of every call (put, get, remove, list) that the store
	// answered, or did not although its caller was still waiting.
	Told func(call string, took time.Duration, err error)

	mark atomic.Pointer[string]
}

// call makes one call of the store, bounded, and tells of it.
func (o *Outside) call(ctx context.Context, name string, do func(context.Context) error) error {
	cctx, cancel := context.WithTimeout(ctx, cmp.Or(o.Within, 10*time.Second))
	defer cancel()
	began := time.Now()
	err := do(cctx)
	if o.Told == nil || err != nil && ctx.Err() != nil {
		return err
	}
	said := err
	if errors.Is(err, ErrGone) {
		said = nil // it answered
	}
	o.Told(name, time.Since(began), said)
	return err
}

// prefix begins the names of a job's states, or of all of the fleet's.
func (o *Outside) prefix(id job.ID) string {
	p := strings.ReplaceAll(o.Fleet, "/", "+") + "/"
	if id != "" {
		p += string(id) + "/"
	}
	return p
}

// Packed is a state as [Pack] makes it.
type Packed struct {
	Seq  uint64
	Sum  string
	Data []byte
}

// Put keeps a packed state and returns its place, as the header has it: size and
// name. The name says who wrote it (the epoch of a claim), so that nobody else's
// is written over.
func (o *Outside) Put(ctx context.Context, id job.ID, by string, p Packed) (string, error) {
	name := fmt.Sprintf("%s%d-%s-%.16s", o.prefix(id), p.Seq, Word(strings.ReplaceAll(by, "/", "+")), p.Sum)
	if err := o.call(ctx, "put", func(ctx context.Context) error { return o.Store.Put(ctx, name, p.Data) }); err != nil {
		return "", fmt.Errorf("%w: keep checkpoint %d: %w", ErrAway, p.Seq, err)
	}
	return strconv.Itoa(len(p.Data)) + " " + name, nil
}

// Read reads what is stored under a number, wherever the state is. The error
// wraps [ErrDamaged], also when the state is gone, or [ErrAway].
func (o *Outside) Read(ctx context.Context, seq, stored string) (job.Kept, error) {
	h, packed, ok := readHead(seq, stored)
	switch {
	case !ok:
		return h.kept, fmt.Errorf("%w: no header", ErrDamaged)
	case h.place == "":
		return h.unpack(packed)
	case o == nil:
		return h.kept, fmt.Errorf("%w: checkpoint %s is kept at %s, and this process was given no --checkpoints", ErrAway, seq, h.place)
	}
	var data []byte
	err := o.call(ctx, "get", func(ctx context.Context) (err error) {
		data, err = o.Store.Get(ctx, h.place)
		return err
	})
	switch {
	case errors.Is(err, ErrGone):
		return h.kept, fmt.Errorf("%w: %s: %w", ErrDamaged, h.place, err)
	case err != nil:
		return h.kept, fmt.Errorf("%w: read checkpoint %s: %w", ErrAway, seq, err)
	}
	return h.unpack(string(data))
}

// All reads every stored checkpoint, by number, damaged ones marked. It fails only
// when the store is away.
func (o *Outside) All(ctx context.Context, stored map[string]string) ([]job.Kept, error) {
	out := make([]job.Kept, 0, len(stored))
	for seq, text := range stored {
		k, err := o.Read(ctx, seq, text)
		if errors.Is(err, ErrAway) {
			return nil, err
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b job.Kept) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, nil
}

// Newest returns the checkpoint with the highest number that can be read, nil
// when there is none, and how many above it could not. It fails only when the
// store is away.
func (o *Outside) Newest(ctx context.Context, stored map[string]string) (c *job.Kept, damaged int, err error) {
	for _, seq := range newestFirst(stored) {
		k, err := o.Read(ctx, seq, stored[seq])
		if errors.Is(err, ErrAway) {
			return nil, damaged, err
		}
		if err == nil {
			return &k, damaged, nil
		}
		damaged++
	}
	return nil, damaged, nil
}

// newestFirst are the numbers, highest first, and behind them what is none.
func newestFirst(stored map[string]string) []string {
	out := make([]string, 0, len(stored))
	for seq := range stored {
		out = append(out, seq)
	}
	slices.SortFunc(out, func(a, b string) int {
		x, _ := strconv.ParseUint(a, 10, 64)
		y, _ := strconv.ParseUint(b, 10, 64)
		return cmp.Or(cmp.Compare(y, x), cmp.Compare(a, b))
	})
	return out
}

// Copy keeps a state of one job for another, which is about to begin at it. It
// returns "" for one that is not outside.
func (o *Outside) Copy(ctx context.Context, seq, stored string, to job.ID) (place string, err error) {
	h, _, ok := readHead(seq, stored)
	if !ok || h.place == "" {
		return "", nil
	}
	k, err := o.Read(ctx, seq, stored)
	if err != nil {
		return "", err
	}
	packed, sum, err := Pack(k.Data)
	if err != nil {
		return "", err
	}
	return o.Put(ctx, to, "begin", Packed{k.Seq, sum, packed})
}

// Drop removes one state, by its place or its name.
func (o *Outside) Drop(ctx context.Context, place string) error {
	_, name, sized := strings.Cut(place, " ")
	if !sized {
		name = place
	}
	if err := o.call(ctx, "remove", func(ctx context.Context) error { return o.Store.Remove(ctx, name) }); err != nil {
		return fmt.Errorf("%w: remove %s: %w", ErrAway, name, err)
	}
	return nil
}

// page is how many names are listed at once.
const page = 500

// Forget removes every state of a job, those too whose record never landed.
func (o *Outside) Forget(ctx context.Context, id job.ID) error {
	return o.each(ctx, o.prefix(id), func(name string) error { return o.Drop(ctx, name) })
}

func (o *Outside) each(ctx context.Context, prefix string, do func(name string) error) error {
	for after := ""; ; {
		names, err := o.list(ctx, prefix, after, page)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
		if len(names) < page {
			return nil
		}
		after = names[len(names)-1]
	}
}

func (o *Outside) list(ctx context.Context, prefix, after string, limit int) (names []string, err error) {
	err = o.call(ctx, "list", func(ctx context.Context) (err error) {
		names, err = o.Store.List(ctx, prefix, after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: list %s: %w", ErrAway, prefix, err)
	}
	return names, nil
}

// Place is where a stored checkpoint's state is, "" when it is behind its line.
func Place(stored string) string {
	h, _, _ := readHead("0", stored)
	return h.place
}
