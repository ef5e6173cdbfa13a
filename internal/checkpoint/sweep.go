package checkpoint

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// Records says what the records of jobs name.
type Records interface {
	// Places are where the states of a job are that its record names; none for a
	// job that is not known. An error means that nobody knows.
	Places(ctx context.Context, id job.ID) (map[string]bool, error)
}

// Sweeper removes what no record names: states whose record never landed, because
// their worker died or lost its claim in between, and those of a job that was
// forgotten while the store was away. It is for one goroutine.
//
// No clock of the store decides. A state is removed when this sweeper has itself
// seen it twice, For apart, and both times no record named it.
type Sweeper struct {
	Outside *Outside
	Records Records
	// For is how long a state must have been seen without a record; 0 means 1 h.
	For time.Duration

	seen map[string]time.Time
}

// maxSeen bounds what a sweeper remembers; the rest is for the next time.
const maxSeen = 100_000

// Sweep looks at every state of the fleet once, and returns how many it removed.
func (s *Sweeper) Sweep(ctx context.Context, now time.Time) (removed int, err error) {
	wait := s.For
	if wait == 0 {
		wait = time.Hour
	}
	fresh := map[string]time.Time{}
	var last job.ID
	var named map[string]bool
	prefix := s.Outside.prefix("")
	err = s.Outside.each(ctx, prefix, func(name string) error {
		id, ok := owner(prefix, name)
		if !ok {
			return nil // not ours to judge
		}
		if id != last || named == nil {
			var err error
			if named, err = s.Records.Places(ctx, id); err != nil {
				return fmt.Errorf("read what job %s names: %w", id, err)
			}
			last = id
		}
		first, again := s.seen[name]
		switch {
		case named[name]:
			return nil
		case again && now.Sub(first) >= wait:
			removed++
			return s.Outside.Drop(ctx, name)
		case !again:
			first = now
		}
		if len(fresh) < maxSeen {
			fresh[name] = first
		}
		return nil
	})
	if err == nil {
		s.seen = fresh
	}
	return removed, err
}

// owner is the job whose state a name is.
func owner(prefix, name string) (job.ID, bool) {
	id, rest, ok := strings.Cut(strings.TrimPrefix(name, prefix), "/")
	if !ok || strings.Contains(rest, "/") {
		return "", false
	}
	parsed, err := job.ParseID(id)
	return parsed, err == nil
}
