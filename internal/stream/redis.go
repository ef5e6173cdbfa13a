package stream

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

//go:embed lua/*.lua
var scripts embed.FS

// Config is what a road needs beside Redis. The zero value is useful.
type Config struct {
	// IdempotencyFor is how long a key is remembered; 0 means 24 h.
	IdempotencyFor time.Duration
	// Retention is how long an ended job's record is kept; 0 means 7 days.
	Retention time.Duration
	// DefaultBudget is a job's budget when it asks for none; 0 means $5.
	DefaultBudget job.MicroUSD
	// Outside is where states are kept when it is not in Redis.
	Outside *checkpoint.Outside
	// Seen, when set, is the last head that this process has seen of a partition's
	// gate: a gate that does not know it admits nothing.
	Seen func(partition int) string
}

// Redis is the road of a fleet. It is safe for concurrent use.
type Redis struct {
	run        rediskit.Runner
	partitions rediskit.Partitions
	cfg        Config
	scripts    map[string]*rediskit.Script

	mu    sync.Mutex
	floor map[int]int64 // highest seq seen, per partition
}

// NewRedis returns the road of a fleet.
func NewRedis(run rediskit.Runner, ps rediskit.Partitions, cfg Config) (*Redis, error) {
	if cfg.IdempotencyFor == 0 {
		cfg.IdempotencyFor = 24 * time.Hour
	}
	if cfg.Retention == 0 {
		cfg.Retention = 7 * 24 * time.Hour
	}
	if cfg.DefaultBudget == 0 {
		cfg.DefaultBudget = 5 * job.USD
	}
	if cfg.IdempotencyFor < time.Second || cfg.Retention < 0 || cfg.DefaultBudget < 0 {
		return nil, fmt.Errorf("stream: %+v: want idempotency of at least 1 s, and no negative retention or budget", cfg)
	}
	s, err := rediskit.LoadAll(scripts, "submit", "promote", "resume", "answer", "forget")
	if err != nil {
		return nil, err
	}
	return &Redis{run: run, partitions: ps, cfg: cfg, scripts: s, floor: map[int]int64{}}, nil
}

// Submit accepts a job, once per (owner, submitter, idempotency key). It draws
// the id unless the submission has one. It returns [*job.Conflict],
// [*job.Frozen], [*job.Blocked], [*job.CapReached], [*job.NoCheckpoint] or
// [*job.AuthorityLost] when the job is refused,
// [job.ErrUnavailable] when Redis did not take it, and with it
// [job.ErrOutcomeUnknown] when nobody knows.
func (s *Redis) Submit(ctx context.Context, sub job.Submission) (job.Admission, error) {
	p := s.partitions.Of(sub.Owner)
	if sub.ID == "" {
		id, err := s.partitions.NewID(p)
		if err != nil {
			return job.Admission{}, err
		}
		sub.ID = id
	}
	args, err := s.submitArgs(p, sub)
	if err != nil {
		return job.Admission{}, err
	}
	place, err := s.carry(ctx, sub)
	if err != nil {
		return job.Admission{}, err
	}
	args["place"] = place
	at := rediskit.Place{Slot: s.partitions.Slot(p), Owner: sub.Owner, Idem: idem(sub)}
	reply, err := s.submitTwice(ctx, at, args)
	if rediskit.GateGone(err) {
		s.uncarry(ctx, place)
		return job.Admission{}, &job.AuthorityLost{Losses: []job.Loss{{Partition: p}}}
	}
	if err != nil {
		return job.Admission{}, err
	}
	done, err := s.admission(p, sub, reply)
	if err != nil || done.ID != sub.ID {
		s.uncarry(ctx, place)
	}
	return done, err
}

// submitTwice sends a submit again when its reply was lost: the idempotency key
// makes the second answer the same as the first.
func (s *Redis) submitTwice(ctx context.Context, at rediskit.Place, args rediskit.Args) (rediskit.Reply, error) {
	first, err := s.submitOnce(ctx, at, args)
	if err == nil || !errors.Is(err, job.ErrOutcomeUnknown) || ctx.Err() != nil {
		return first, err
	}
	second, again := s.submitOnce(ctx, at, args)
	if again != nil {
		return second, err // the first one may have been accepted, whatever the second says
	}
	return second, nil
}

func (s *Redis) submitOnce(ctx context.Context, at rediskit.Place, args rediskit.Args) (rediskit.Reply, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := s.run.Keep(cctx, s.scripts["submit"], at, args)
	return reply, rediskit.Unavailable(err)
}

// models are as scripts look for them: each between line ends.
func models(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "\n" + strings.Join(names, "\n") + "\n"
}

func (s *Redis) submitArgs(p int, sub job.Submission) (rediskit.Args, error) {
	labels := sub.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	l, err := json.Marshal(labels)
	if err != nil {
		return nil, fmt.Errorf("encode labels: %w", err)
	}
	if sub.Budget == 0 {
		sub.Budget = s.cfg.DefaultBudget
	}
	if sub.MaxAttempts == 0 {
		sub.MaxAttempts = job.DefaultRetries
	}
	s.mu.Lock()
	floor := s.floor[p]
	s.mu.Unlock()
	seen := ""
	if s.cfg.Seen != nil {
		seen = s.cfg.Seen(p)
	}
	return rediskit.Args{
		"id": string(sub.ID), "owner": sub.Owner, "submitter": sub.Submitter, "kind": sub.Kind,
		"labels": l, "input": sub.Input, "budget": int64(sub.Budget), "max_attempts": sub.MaxAttempts,
		"timeout": sub.Timeout.Milliseconds(), "digest": sub.Digest, "floor": floor,
		"idem_seconds": int64(s.cfg.IdempotencyFor.Seconds()), "seen": seen,
		"from": string(sub.From), "from_seq": fromSeq(sub), "who": sub.Who, "models": models(sub.Models), "trace": sub.Trace,
	}, nil
}

func (s *Redis) admission(p int, sub job.Submission, reply rediskit.Reply) (job.Admission, error) {
	switch reply.Word {
	case "created":
		s.mu.Lock()
		s.floor[p] = max(s.floor[p], reply.Int(1))
		s.mu.Unlock()
		return job.Admission{ID: job.ID(reply.Str(0)), Created: true, Durability: s.run.Durability.String()}, nil
	case "exists":
		return job.Admission{ID: job.ID(reply.Str(0)), Durability: s.run.Durability.String()}, nil
	case "conflict":
		return job.Admission{}, &job.Conflict{Existing: job.ID(reply.Str(0))}
	case "frozen":
		return job.Admission{}, &job.Frozen{Reason: reply.Str(0), Incident: reply.Str(1), Actor: reply.Str(2)}
	case "gone":
		return job.Admission{}, &job.NoCheckpoint{Seq: sub.FromSeq}
	case "lost":
		return job.Admission{}, &job.AuthorityLost{Losses: []job.Loss{{Partition: p, Found: reply.Str(0)}}}
	case "reached":
		return job.Admission{}, &job.CapReached{
			Of: reply.Str(0), Spent: job.MicroUSD(reply.Int(1)), Reserved: job.MicroUSD(reply.Int(2)), Cap: job.MicroUSD(reply.Int(3)),
			Ends: rediskit.Time(reply.Str(4)),
		}
	default:
		return job.Admission{}, &job.Blocked{Order: job.ID(reply.Str(0)), Reason: reply.Str(1)}
	}
}

// fromSeq is empty for a job that begins at its beginning.
func fromSeq(sub job.Submission) string {
	if sub.From == "" {
		return ""
	}
	return strconv.FormatUint(sub.FromSeq, 10)
}

// idem is the key of a submission's idempotency: a digest, because what people
// write into the header must not become part of a Redis key.
func idem(sub job.Submission) string {
	h := sha256.New()
	for _, part := range []string{sub.Owner, sub.Submitter, sub.IdempotencyKey} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Promote brings the delayed jobs of a partition whose due time has come back
// to the road, at most limit. It returns how many it moved, and whether there
// may be more.
func (s *Redis) Promote(ctx context.Context, p int, now time.Time, limit int) (moved int, more bool, err error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := s.run.Run(cctx, s.scripts["promote"], rediskit.Place{Slot: s.partitions.Slot(p)},
		rediskit.Args{"now": rediskit.Micros(now), "limit": limit})
	if err != nil {
		return 0, false, rediskit.Unavailable(err)
	}
	return int(reply.Int(0)), reply.Int(1) == int64(limit), nil
}

// Forget removes the records of a partition whose retention ended before now, a
// few at a time, and what they have outside Redis, and returns how many. Where that
// store is away the records go all the same, and the rest is swept later.
func (s *Redis) Forget(ctx context.Context, p int, now time.Time, limit int) (int, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := s.run.Run(cctx, s.scripts["forget"], rediskit.Place{Slot: s.partitions.Slot(p)},
		rediskit.Args{"before": rediskit.Micros(now.Add(-s.cfg.Retention)), "limit": limit})
	if err != nil {
		return 0, rediskit.Unavailable(err)
	}
	n := int(reply.Int(0))
	for i := 1; i <= n && s.cfg.Outside != nil; i++ {
		if err := s.cfg.Outside.Forget(ctx, job.ID(reply.Str(i))); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Pending counts what waits on a partition's road.
func (s *Redis) Pending(ctx context.Context, p int) (int64, error) {
	n, err := s.run.Client.XLen(ctx, s.partitions.Slot(p).Of("road")).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, rediskit.Unread(err)
	}
	return n, nil
}

// Read returns the events of a job after a position ("" for the beginning),
// waiting up to wait for the first. Nothing new is an empty slice and no error.
// The caller has checked that the job exists and may be read.
func (s *Redis) Read(ctx context.Context, id job.ID, after string, wait time.Duration, limit int) ([]job.StreamEvent, error) {
	slot, err := s.partitions.SlotOf(id)
	if err != nil {
		return nil, job.ErrUnknown
	}
	if after == "" {
		after = "0"
	}
	block := min(wait, rediskit.BlockFor)
	if block < time.Millisecond {
		block = -1 // no BLOCK at all; 0 would wait for ever
	}
	cctx, cancel := context.WithTimeout(ctx, rediskit.ReadDeadline)
	defer cancel()
	got, err := s.run.Client.XRead(cctx, &redis.XReadArgs{
		Streams: []string{slot.Of("events", string(id)), after}, Count: int64(limit), Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	var out []job.StreamEvent
	for _, m := range got[0].Messages {
		out = append(out, streamEvent(m))
	}
	return out, nil
}

// Transcript returns up to limit calls that are kept of a job, behind a position
// ("" for the beginning); none is an empty slice. The caller has checked that the
// job exists and may be read.
func (s *Redis) Transcript(ctx context.Context, id job.ID, after string, limit int) ([]job.Transcribed, error) {
	slot, err := s.partitions.SlotOf(id)
	if err != nil {
		return nil, job.ErrUnknown
	}
	from, ok := rediskit.Behind(after)
	if !ok {
		return nil, nil
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	got, err := s.run.Client.XRangeN(cctx, slot.Of("transcript", string(id)), from, "+", int64(limit)).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	var out []job.Transcribed
	for _, m := range got {
		e := streamEvent(m)
		out = append(out, job.Transcribed{ID: e.ID, At: e.At, Data: e.Data})
	}
	return out, nil
}

func streamEvent(m redis.XMessage) job.StreamEvent {
	text := func(k string) string { v, _ := m.Values[k].(string); return v }
	e := job.StreamEvent{ID: m.ID, Type: text("type"), Audience: text("audience"), At: rediskit.Time(text("at"))}
	e.Data = json.RawMessage(text("data"))
	if !json.Valid(e.Data) {
		e.Data = json.RawMessage("null")
	}
	return e
}

// idsBelow returns up to 200 ids of an index with a seq below one ("" for the
// top), highest first, with their seqs.
func (s *Redis) idsBelow(ctx context.Context, index, below string) (ids, seqs []string, err error) {
	top := "+inf"
	if below != "" {
		top = "(" + below
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	zs, err := s.run.Client.ZRevRangeByScoreWithScores(cctx, index, &redis.ZRangeBy{Min: "-inf", Max: top, Count: 200}).Result()
	if err != nil {
		return nil, nil, rediskit.Unread(err)
	}
	for _, z := range zs {
		ids = append(ids, fmt.Sprint(z.Member))
		seqs = append(seqs, strconv.FormatInt(int64(z.Score), 10))
	}
	return ids, seqs, nil
}

var errGateGone = fmt.Errorf("%w: the gate is gone until a dispatcher has begun it again", job.ErrUnavailable)

// rulesIn reads the gate's rules on the way of a pipeline. What stands behind a
// gate that is gone cannot be told: then it is an error. Whether there was one is
// asked first, so that a gate which is begun meanwhile is not taken for that.
func rulesIn(ctx context.Context, pipe redis.Pipeliner, slot rediskit.Slot) func() (string, error) {
	gated := pipe.HGet(ctx, slot.Of("meta"), "gated")
	gate := pipe.HMGet(ctx, slot.Of("gate"), "rules", "number")
	return func() (string, error) {
		v := rediskit.Texts(gate.Val())
		switch {
		case len(v) == 0: // not answered, which the records say too, or no gate: scripts refuse that
			return "", nil
		case gated.Val() == "1" && v[0] == "" && v[1] == "":
			return "", errGateGone
		default:
			return v[0], nil
		}
	}
}

// records reads the listed fields of several jobs of one partition.
func (s *Redis) records(ctx context.Context, slot rediskit.Slot, ids []string) ([]*job.Job, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := s.run.Client.Pipeline()
	rules := rulesIn(cctx, pipe, slot)
	cmds := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		cmds[i] = pipe.HMGet(cctx, slot.Of("job", id), listed...)
	}
	_, _ = pipe.Exec(cctx)
	behind, err := rules()
	if err != nil {
		return nil, err
	}
	out := make([]*job.Job, len(ids))
	for i, c := range cmds {
		err := c.Err()
		if err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
			return nil, rediskit.Unread(err)
		}
		out[i] = decode(ids[i], c.Val(), behind)
	}
	return out, nil
}
