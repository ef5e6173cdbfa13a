package keyring

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
)

const (
	// Every is how often a dispatcher looks whether the keys changed.
	Every = 2 * time.Second
	// Bound is how long after its revocation a key may still be taken.
	Bound = 10 * time.Second
	// wholeEvery is how often the keys are read whether they changed or not: a
	// failover may have lost a change and counted another one the same.
	wholeEvery = 30 * time.Second
	usedEvery  = time.Minute
)

// Copy is a dispatcher's copy of the keys. It is an [access.Authenticator].
type Copy struct {
	redis *Redis
	now   func() time.Time
	state atomic.Pointer[state]

	mu   sync.Mutex
	used map[string]time.Time // since they were last written down
}

// state is the keys as they were at a moment.
type state struct {
	keys    *access.Keys
	ids     map[string]bool
	version string
	read    time.Time // when they were read whole
	seen    time.Time // when they were last known to be so
}

// NewCopy returns an empty copy; [Copy.Keep] fills it.
func NewCopy(r *Redis) *Copy { return &Copy{redis: r, now: time.Now, used: map[string]time.Time{}} }

// Authenticate asks the copy. It returns an error wrapping [access.ErrUnasked]
// when the copy is older than [Bound].
func (c *Copy) Authenticate(ctx context.Context, presented string, now time.Time) (access.Actor, error) {
	s := c.state.Load()
	if s == nil || c.now().Sub(s.seen) > Bound {
		return access.Actor{}, fmt.Errorf("%w: the stored keys were not read for %s", access.ErrUnasked, Bound)
	}
	a, err := s.keys.Authenticate(ctx, presented, now)
	if err == nil {
		c.mu.Lock()
		c.used[a.Credential.ID] = now
		c.mu.Unlock()
	}
	return a, err
}

// Keep keeps the copy up to date until ctx ends, and tells report what goes
// wrong, once for as long as it does.
func (c *Copy) Keep(ctx context.Context, report func(error)) {
	tick, noted := time.NewTicker(Every), time.NewTicker(usedEvery)
	defer tick.Stop()
	defer noted.Stop()
	last := c.look(ctx, "", report)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			last = c.look(ctx, last, report)
		case <-noted.C:
			c.note(ctx)
		}
	}
}

func (c *Copy) look(ctx context.Context, last string, report func(error)) string {
	err := c.Refresh(ctx)
	if err == nil {
		return ""
	}
	if err.Error() != last && ctx.Err() == nil {
		report(err)
	}
	return err.Error()
}

// Refresh reads the keys if they changed. Rows that are bad are passed over, and
// said once with each change.
func (c *Copy) Refresh(ctx context.Context) error {
	began, s := c.now(), c.state.Load()
	version, err := c.redis.version(ctx)
	if err != nil {
		return fmt.Errorf("look at the stored keys: %w", err)
	}
	if s != nil && s.version == version && began.Sub(s.read) < wholeEvery {
		next := *s
		next.seen = began
		c.state.Store(&next)
		return nil
	}
	rows, err := c.redis.rows(ctx)
	if err != nil {
		return fmt.Errorf("read the stored keys: %w", err)
	}
	issued, bad := read(rows)
	keys := make([]access.Key, len(issued))
	ids := make(map[string]bool, len(issued))
	for i, k := range issued {
		keys[i], ids[k.ID] = k.Key, true
	}
	set, err := access.NewKeys(keys)
	if err != nil {
		return fmt.Errorf("read the stored keys: %w", err)
	}
	c.state.Store(&state{keys: set, ids: ids, version: rows["version"], read: began, seen: began})
	return bad
}

// note writes down which keys were used; what cannot be written is kept for the
// next time.
func (c *Copy) note(ctx context.Context) {
	c.mu.Lock()
	used := c.used
	c.used = map[string]time.Time{}
	c.mu.Unlock()
	s := c.state.Load()
	maps.DeleteFunc(used, func(id string, _ time.Time) bool { return s == nil || !s.ids[id] }) // revoked since
	if len(used) == 0 || c.redis.used(ctx, used) == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, at := range used {
		if _, newer := c.used[id]; !newer {
			c.used[id] = at
		}
	}
}
