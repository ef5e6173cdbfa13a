package lease

import (
	"context"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/beat"
	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
)

// Renewer sends one renewal for a partition. It MUST answer for every claim it
// was given, or fail.
type Renewer interface {
	Renew(ctx context.Context, partition int, row []byte, claims []Held) (job.Beat, error)
}

// Held is a claim on a job.
type Held struct {
	ID    job.ID
	Claim job.Claim
}

// Keeper holds a worker's leases: it renews them, knows how long each may be
// trusted, and cancels what must stop. It is safe for concurrent use.
type Keeper struct {
	timing  beat.Timing
	renewer Renewer
	row     func() []byte
	parts   []int

	mu   sync.Mutex
	held map[job.ID]*holding
	kick map[int]chan struct{} // renew at once
	news map[int]chan struct{} // the row says what is no longer so
	last map[int]clock.Instant
}

// shown is how soon after a change the worker's row says so: people look at it
// in an incident, and H is long then.
const shown = 250 * time.Millisecond

// holding is one lease and what happens when it ends.
type holding struct {
	claim  job.Claim
	since  clock.Instant // send of the last good renewal
	cancel context.CancelCauseFunc
	ended  bool // cancelled already, or told to be
}

// NewKeeper returns a keeper of the given partitions. row describes the worker
// to the fleet; it is called at each beat.
func NewKeeper(t beat.Timing, r Renewer, partitions []int, row func() []byte) (*Keeper, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	k := &Keeper{
		timing: t, renewer: r, row: row, parts: partitions,
		held: map[job.ID]*holding{}, kick: map[int]chan struct{}{}, news: map[int]chan struct{}{}, last: map[int]clock.Instant{},
	}
	for _, p := range partitions {
		k.kick[p], k.news[p] = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	return k, nil
}

// Hold takes charge of a claim that was asked for at since, the instant its
// grant was SENT. cancel is called once, with a *job.Stop, when the job must
// stop: killed, or the lease lost.
func (k *Keeper) Hold(id job.ID, claim job.Claim, since clock.Instant, cancel context.CancelCauseFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held[id] = &holding{claim: claim, since: since, cancel: cancel}
	signal(k.news[id.Partition()])
}

// Drop ends the charge: the claim is over, one way or another.
func (k *Keeper) Drop(id job.ID, claim job.Claim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h := k.held[id]; h != nil && h.claim == claim {
		delete(k.held, id)
		signal(k.news[id.Partition()])
	}
}

// Trusted reports whether the claim may still be acted on: it is held, and S
// has not passed on any clock. It is the check before every paid call.
func (k *Keeper) Trusted(id job.ID, claim job.Claim) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.held[id]
	return h != nil && h.claim == claim && !h.ended && clock.Since(h.since) < k.timing.Trust
}

// RenewNow asks for a renewal of a partition at once: hints may have been missed.
func (k *Keeper) RenewNow(partition int) { signal(k.kick[partition]) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Fresh reports whether every partition was renewed within S: the worker is
// connected and the fleet can see it.
func (k *Keeper) Fresh() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.parts {
		if clock.Since(k.last[p]) >= k.timing.Trust {
			return false
		}
	}
	return true
}

// Run renews until ctx ends, and watches trust. It goes on during drain: the
// caller ends ctx only when nothing is held any more.
func (k *Keeper) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, p := range k.parts {
		wg.Go(func() { k.renewLoop(ctx, p) })
	}
	wg.Go(func() { k.watchTrust(ctx) })
	wg.Wait()
}

func (k *Keeper) renewLoop(ctx context.Context, p int) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var sent, due time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.news[p]:
			if early := sent.Add(shown); early.Before(due) {
				due = early
				timer.Reset(time.Until(due))
			}
			continue
		case <-timer.C:
		case <-k.kick[p]:
		}
		sent = time.Now()
		wait := k.renew(ctx, p)
		due = time.Now().Add(wait)
		timer.Reset(wait)
	}
}

// renew sends one renewal and says when the next is due: H after it was begun,
// or soon when it failed and trust may still be saved.
func (k *Keeper) renew(ctx context.Context, p int) time.Duration {
	claims := k.claims(p)
	sent := clock.Now()
	said, err := k.renewer.Renew(ctx, p, k.row(), claims)
	if err != nil {
		return k.timing.Renew / 6
	}
	k.apply(p, sent, claims, said)
	return max(k.timing.Renew-clock.Since(sent), k.timing.Renew/10)
}

func (k *Keeper) claims(p int) []Held {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []Held
	for id, h := range k.held {
		if id.Partition() == p {
			out = append(out, Held{ID: id, Claim: h.claim})
		}
	}
	return out
}

// apply books what a renewal said, for the claims it was sent for.
func (k *Keeper) apply(p int, sent clock.Instant, claims []Held, said job.Beat) {
	sentFor := make(map[job.ID]job.Claim, len(claims))
	for _, c := range claims {
		sentFor[c.ID] = c.Claim
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last[p] = sent
	for _, r := range said.Renewals {
		h := k.held[r.ID]
		if h == nil || h.claim != sentFor[r.ID] {
			continue
		}
		switch {
		case r.Killed != nil:
			h.end(r.Killed)
		case r.Lost:
			h.end(&job.Stop{Kind: job.StopLeaseLost, Detail: "redis refused the renewal: the claim is no longer valid"})
		case clock.Since(h.since) < k.timing.Trust:
			h.since = sent
		}
	}
}

// end cancels once.
func (h *holding) end(s *job.Stop) {
	if !h.ended {
		h.ended = true
		h.cancel(s)
	}
}

// watchTrust ends what is no longer trusted. The check before each paid call
// does not depend on it: a timer alone lets calls out after a pause.
func (k *Keeper) watchTrust(ctx context.Context) {
	clock.Every(ctx, max(k.timing.Trust/50, time.Millisecond), func() { k.expire() })
}

func (k *Keeper) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, h := range k.held {
		if clock.Since(h.since) >= k.timing.Trust {
			h.end(&job.Stop{Kind: job.StopLeaseLost, Detail: "no renewal succeeded for " + k.timing.Trust.String()})
		}
	}
}
