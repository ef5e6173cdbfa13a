package checkpoint

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
)

// marked begins the name of the object that tells a store from every other one.
const marked = "store-"

// recogniseEvery is how often the mark is looked at again: two processes that
// found an empty store at the same moment agree then, and a directory that is no
// longer mounted is noticed.
const recogniseEvery = time.Minute

// Recognise reads the store's mark, and makes one where there is none. Whoever
// reads the same mark has the same store, by whatever name. Of two marks, made at
// the same moment, the first by name counts.
func (o *Outside) Recognise(ctx context.Context) error {
	prefix := o.prefix("") + marked
	names, err := o.list(ctx, prefix, prefix, 1)
	if err == nil && len(names) == 0 {
		name := prefix + strings.ToLower(rand.Text()[:12])
		if err = o.call(ctx, "put", func(ctx context.Context) error { return o.Store.Put(ctx, name, []byte(name)) }); err == nil {
			names, err = o.list(ctx, prefix, prefix, 1)
		}
	}
	if err != nil || len(names) == 0 {
		return err
	}
	o.mark.Store(new(strings.TrimPrefix(names[0], prefix)))
	return nil
}

// Run recognises the store again from time to time, until ctx ends. While the
// store is away it is the one it was.
func (o *Outside) Run(ctx context.Context) {
	if o == nil {
		return
	}
	clock.Every(ctx, recogniseEvery, func() { _ = o.Recognise(ctx) }) // it is told of like every call
}

// Named says which store this is. A nil Outside is Redis.
func (o *Outside) Named() job.Store {
	if o == nil {
		return job.Store{Place: "redis", Mark: "redis"}
	}
	s := job.Store{Place: o.Place}
	if m := o.mark.Load(); m != nil {
		s.Mark = *m
	}
	return s
}
