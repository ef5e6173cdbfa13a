package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
)

// SealerConfig says how a dispatcher seals the log. Its zero value, but for the
// key, is one to use.
type SealerConfig struct {
	// Key signs the heads; it is required.
	Key ed25519.PrivateKey
	// Sink is where the sealed log goes outside of Redis; nil is nowhere.
	Sink Sink
	// Every is how often the log is looked at; 0 means a second.
	Every time.Duration
	// Take is how long another sealer's turn must have been watched to stand
	// still before it is taken; 0 means 5 Every.
	Take time.Duration
	// Log is told what fails; nil is nobody.
	Log *zap.Logger
}

// Sealer chains a fleet's audit, signs it, and exports it. Every dispatcher has
// one; they elect one for each partition.
type Sealer struct {
	cfg   SealerConfig
	log   *Redis
	name  string
	views []view
}

// view is what a sealer remembers of one partition.
type view struct {
	watch watch
	rests clock.Instant // when its sink failed
	said  string        // the failure that was logged last
}

const (
	// batch is how many entries are chained under one signature.
	batch = 256
	// lastWords bounds the last look at the log, when the process ends.
	lastWords = 2 * time.Second
)

// NewSealer returns the sealer of a process.
func NewSealer(log *Redis, cfg SealerConfig) (*Sealer, error) {
	if len(cfg.Key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("%w: the sealer has none", ErrKey)
	}
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	if cfg.Take == 0 {
		cfg.Take = 5 * cfg.Every
	}
	if cfg.Take < 2*cfg.Every {
		return nil, fmt.Errorf("the sealer looks every %s and would take another's turn after %s; want at least twice as long", cfg.Every, cfg.Take)
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	return &Sealer{cfg: cfg, log: log, name: "sealer-" + rand.Text()[:12], views: make([]view, log.partitions.Count)}, nil
}

// Run seals until ctx ends, and then what is there once more.
func (s *Sealer) Run(ctx context.Context) {
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		s.look(ctx)
		select {
		case <-ctx.Done():
			s.leave(ctx)
			return
		case <-tick.C:
		}
	}
}

func (s *Sealer) leave(ctx context.Context) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	s.look(last)
}

// look goes over all partitions; one that fails does not stop the others.
func (s *Sealer) look(ctx context.Context) {
	for p := range s.views {
		err := s.seal(ctx, p)
		if ctx.Err() != nil {
			return
		}
		s.say(p, err)
	}
}

// say logs what changed: a failure, another one, or its end.
func (s *Sealer) say(p int, err error) {
	v, text := &s.views[p], ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == v.said:
	case err == nil:
		s.cfg.Log.Info("the audit is sealed again", zap.Int("partition", p))
	default:
		s.cfg.Log.Error("the audit is not sealed", zap.Int("partition", p), zap.Error(err))
	}
	v.said = text
}

// seal chains, exports and records what is new in a partition, if it is elected.
func (s *Sealer) seal(ctx context.Context, p int) error {
	v := &s.views[p]
	if clock.Since(v.rests) < 2*s.cfg.Take {
		return errors.New(v.said) // whoever cannot export leaves the turn to others
	}
	for {
		turn, other, err := s.log.elect(ctx, p, s.name, v.watch.still(time.Now(), s.cfg.Take))
		if err != nil {
			return err
		}
		if turn == nil {
			v.watch.see(other, time.Now())
			return nil
		}
		page, err := s.log.Page(ctx, p, turn.head.ID, batch)
		if err != nil || len(page.Records) == 0 {
			return err
		}
		if more, err := s.extend(ctx, p, turn.head, page.Records); err != nil || !more {
			return err
		}
	}
}

// extend exports one batch and records it, in this order: what Redis says is
// sealed has always left Redis. It is false when another sealer was faster.
func (s *Sealer) extend(ctx context.Context, p int, from job.AuditHead, records []job.AuditRecord) (bool, error) {
	prev, err := s.start(p, from)
	if err != nil {
		return false, err
	}
	fleet := s.log.partitions.Fleet
	head := job.AuditHead{Fleet: fleet, Partition: p, N: from.N}
	var lines []byte
	for _, r := range records {
		s.expect(p, head.N, r)
		h := Link(prev, p, r)
		if lines, err = AppendLine(lines, Record{Fleet: fleet, Partition: p, N: r.N(), Entry: &r, Prev: prev.String(), Hash: h.String()}); err != nil {
			return false, err
		}
		prev, head.N, head.ID, head.Hash = h, r.N(), r.ID, h.String()
	}
	head = sign(head, s.cfg.Key, time.Now())
	if lines, err = AppendLine(lines, Record{Fleet: fleet, Partition: p, N: head.N, Head: &head}); err != nil {
		return false, err
	}
	if s.cfg.Sink != nil {
		if err := s.cfg.Sink.Append(ctx, lines); err != nil {
			s.views[p].rests = clock.Now()
			return false, err
		}
	}
	return s.log.record(ctx, p, from.Hash, head)
}

// start is the hash that the chain goes on from.
func (s *Sealer) start(p int, from job.AuditHead) (Hash, error) {
	if from.Hash == "" {
		return Genesis(s.log.partitions.Fleet, p), nil
	}
	if !signed(from) {
		s.cfg.Log.Error("the head in Redis is not what its key signed: somebody changed it; compare it with the export by gavel audit verify",
			zap.Int("partition", p), zap.Uint64("n", from.N))
	}
	h, err := parseHash(from.Hash)
	if err != nil {
		return h, fmt.Errorf("the head in Redis: %w", err)
	}
	return h, nil
}

// expect says when an entry is not the next one. It is sealed all the same: a
// log that has been tampered with must go on leaving Redis, with the gap in it.
func (s *Sealer) expect(p int, last uint64, r job.AuditRecord) {
	if r.N() != last+1 {
		s.cfg.Log.Error("the audit has a gap: somebody changed it; see gavel audit verify",
			zap.Int("partition", p), zap.Uint64("after", last), zap.Uint64("n", r.N()), zap.String("id", r.ID))
	}
}

// watch notes how long another one's turn has stood still, by this process's
// own clock.
type watch struct {
	turn  string
	since time.Time
}

func (w *watch) see(turn string, now time.Time) {
	if turn != w.turn {
		w.turn, w.since = turn, now
	}
}

// still returns the turn that has stood still for that long, or nothing.
func (w *watch) still(now time.Time, take time.Duration) string {
	if w.turn == "" || now.Sub(w.since) < take {
		return ""
	}
	return w.turn
}
