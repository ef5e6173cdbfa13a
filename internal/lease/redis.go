package lease

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

//go:embed lua/*.lua
var scripts embed.FS

// Redis is the lease's side of Redis for one worker. It is safe for concurrent
// use, but for Grant: one call at a time for each partition.
type Redis struct {
	// Seen, when set, is the last head that this process has seen of a partition's
	// gate: a gate that does not know it grants nothing.
	Seen func(partition int) string

	jobs, ends rediskit.Runner // grants; renewals and the writes that end a claim
	waits      redis.UniversalClient
	partitions rediskit.Partitions
	worker     string
	scripts    map[string]*rediskit.Script

	mu    sync.Mutex
	paced map[int]time.Duration // how long the next start of a partition has to wait
}

// NewRedis returns the leases of one worker. The three clients of a process
// keep a blocked read from starving a renewal.
func NewRedis(c rediskit.Clients, profile rediskit.Profile, ps rediskit.Partitions, worker string) (*Redis, error) {
	if err := job.CheckName("worker id", worker, job.MaxName); err != nil {
		return nil, err
	}
	s, err := rediskit.LoadAll(scripts, "grant", "renew", "finish", "retry", "release", "park", "leave", "reclaim")
	if err != nil {
		return nil, err
	}
	return &Redis{
		jobs:  rediskit.Runner{Client: c.Jobs, Profile: profile, Observe: c.Observe, Trace: c.Trace},
		ends:  rediskit.Runner{Client: c.Lease, Profile: profile, Observe: c.Observe, Trace: c.Trace},
		waits: c.Control, partitions: ps, worker: worker, scripts: s,
	}, nil
}

// scanPerGrant bounds how many entries one grant looks at per free slot.
const scanPerGrant = 4

// Grant takes up to slots jobs from a partition's road. The nonce makes a retry
// answer the same jobs; it is drawn anew for every other call. more is false
// when the road was seen empty. While the gate is frozen nothing is granted, and
// after a thaw at a rate no faster than that; Wait then waits for the next.
func (l *Redis) Grant(ctx context.Context, p int, nonce string, slots int) (granted []job.Granted, more bool, err error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := l.jobs.Run(cctx, l.scripts["grant"], rediskit.Place{Slot: l.partitions.Slot(p), Worker: l.worker},
		rediskit.Args{"worker": l.worker, "nonce": nonce, "slots": slots, "scan": slots * scanPerGrant, "seen": l.seen(p)})
	if err != nil {
		return nil, false, rediskit.Unavailable(err)
	}
	if reply.Word == "frozen" || reply.Word == "lost" {
		return nil, false, nil
	}
	if reply.Word == "paced" {
		l.pace(p, time.Duration(reply.Int(0))*time.Microsecond)
		return nil, false, nil
	}
	for i := 1; i < len(reply.Rest); i++ {
		granted = append(granted, l.granted(reply.List(i)))
	}
	return granted, reply.Str(0) == "1", nil
}

func (l *Redis) seen(p int) string {
	if l.Seen == nil {
		return ""
	}
	return l.Seen(p)
}

// granted reads one granted job. A record that is no job is granted all the
// same, so that the worker can fail it and the road keeps moving.
func (l *Redis) granted(v []any) job.Granted {
	if len(v) < 3 {
		return job.Granted{Bad: fmt.Errorf("%w: short grant", rediskit.ErrReply)}
	}
	fields, _ := v[2].([]any)
	j, err := job.FromFields(rediskit.Fields(fields))
	if err == nil && string(j.ID) != rediskit.Text(v[0]) {
		err = fmt.Errorf("%w: it says it is %s", job.ErrBadRecord, j.ID)
	}
	if err != nil {
		j = job.Job{ID: job.ID(rediskit.Text(v[0]))}
	}
	return job.Granted{Job: j, Claim: job.Claim{Worker: l.worker, Epoch: rediskit.Text(v[1])}, Bad: err}
}

// pace notes that nothing may start in a partition for a while.
func (l *Redis) pace(p int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paced == nil {
		l.paced = map[int]time.Duration{}
	}
	l.paced[p] = wait
}

// unpaced takes what was noted.
func (l *Redis) unpaced(p int) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait, ok = l.paced[p]
	delete(l.paced, p)
	return wait, ok
}

// Many workers wait for the same turn: they come back spread over a while, and
// never at once.
const leastTurn = 10 * time.Millisecond

// turn waits until one more may start after a thaw at a rate, for at most a
// second.
func turn(ctx context.Context, wait time.Duration) {
	wait = max(wait, leastTurn)
	wait += rand.N(wait) //nolint:gosec // jitter, not a secret
	timer := time.NewTimer(min(wait, rediskit.BlockFor))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Wait blocks until the partition may have work, for at most a second. It
// consumes a wake token, never a job: losing one costs a poll interval. Where the
// rate of a thaw keeps the next job, it waits for that one's turn.
func (l *Redis) Wait(ctx context.Context, p int) (woken bool, err error) {
	if wait, ok := l.unpaced(p); ok {
		turn(ctx, wait)
		return ctx.Err() == nil, nil
	}
	cctx, cancel := context.WithTimeout(ctx, rediskit.ReadDeadline)
	defer cancel()
	err = l.waits.BLPop(cctx, rediskit.BlockFor, l.partitions.Slot(p).Of("wake")).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, rediskit.Unavailable(err)
}

// renewChunk is how many claims one script renews: about a millisecond of Redis.
const renewChunk = 500

// Renew implements [Renewer]. A worker with very many jobs sends several scripts;
// if one of them fails the whole renewal has failed.
func (l *Redis) Renew(ctx context.Context, p int, row []byte, claims []Held) (job.Beat, error) {
	all, err := l.renewSome(ctx, p, row, claims[:min(renewChunk, len(claims))])
	for from := renewChunk; err == nil && from < len(claims); from += renewChunk {
		var b job.Beat
		b, err = l.renewSome(ctx, p, row, claims[from:min(from+renewChunk, len(claims))])
		all.N, all.GateHead, all.Renewals = b.N, b.GateHead, append(all.Renewals, b.Renewals...)
	}
	return all, err
}

func (l *Redis) renewSome(ctx context.Context, p int, row []byte, claims []Held) (job.Beat, error) {
	rest := make([]string, 0, 2*len(claims))
	for _, c := range claims {
		rest = append(rest, string(c.ID), c.Claim.Epoch)
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := l.ends.Run(cctx, l.scripts["renew"], rediskit.Place{Slot: l.partitions.Slot(p), Worker: l.worker},
		rediskit.Args{"worker": l.worker, "row": row}, rest...)
	if err != nil {
		return job.Beat{}, rediskit.Unavailable(err)
	}
	b := job.Beat{N: reply.Int(0), GateHead: reply.Str(1)}
	for i := 2; i < len(reply.Rest); i++ {
		v := rediskit.Texts(reply.List(i))
		if len(v) < 2 {
			return job.Beat{}, fmt.Errorf("renew: %w: short answer", rediskit.ErrReply)
		}
		r := job.Renewal{ID: job.ID(v[0]), Lost: v[1] == "lost"}
		if v[1] == "killed" && len(v) == 5 {
			r.Killed = &job.Stop{Kind: job.StopKilled, Order: job.ID(v[2]), Actor: v[3], Reason: v[4]}
		}
		b.Renewals = append(b.Renewals, r)
	}
	return b, nil
}

// Finish ends a job under its claim. Once an order stands the answer is killed,
// whatever the ending says. It returns [job.ErrFenced] for a stale claim and
// [job.ErrUnavailable] when it may be sent again, as is, for as long as it takes.
func (l *Redis) Finish(ctx context.Context, e job.Ending) (job.Ended, error) {
	return l.end(ctx, "finish", e, rediskit.Args{
		"outcome": string(e.Outcome), "cause": e.Cause, "result": e.Result, "error": e.Error,
		"delivered": ago(e.SinceDelivered), "cancelled": ago(e.SinceCancelled), "returned": ago(e.SinceReturned),
	})
}

// Retry puts a job whose attempt failed into LATER until e.Due, or ends it as
// failed when its attempts are used up. Errors as for Finish.
func (l *Redis) Retry(ctx context.Context, e job.Ending) (job.Ended, error) {
	return l.end(ctx, "retry", e, rediskit.Args{"error": e.Error, "due": rediskit.Micros(e.Due)})
}

// Release hands a job back; no attempt is counted. Errors as for Finish.
func (l *Redis) Release(ctx context.Context, e job.Ending) (job.Ended, error) {
	return l.end(ctx, "release", e, rediskit.Args{"cause": e.Cause})
}

// Park puts a job aside until it is resumed. Errors as for Finish.
func (l *Redis) Park(ctx context.Context, e job.Ending) (job.Ended, error) {
	return l.end(ctx, "park", e, rediskit.Args{"reason": e.Reason, "questions": e.Questions})
}

func (l *Redis) end(ctx context.Context, script string, e job.Ending, args rediskit.Args) (job.Ended, error) {
	slot, err := l.partitions.SlotOf(e.ID)
	if err != nil {
		return job.Ended{}, job.ErrFenced
	}
	args["id"], args["worker"], args["epoch"] = string(e.ID), e.Claim.Worker, e.Claim.Epoch
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	at := rediskit.Place{Slot: slot}
	reply, err := l.ends.Keep(cctx, l.scripts[script], at, args)
	if errors.Is(err, rediskit.ErrNotReplicated) {
		// It stands on the master. A failover may take it back, and the job then runs
		// again from its checkpoint; a slot that waited for a replica would run nothing.
		reply, err = l.ends.Run(cctx, l.scripts[script], at, args)
	}
	if err != nil {
		return job.Ended{}, rediskit.Unavailable(err)
	}
	switch reply.Word {
	case "lost":
		return job.Ended{}, job.ErrFenced
	case "killed":
		return job.Ended{State: job.Killed, Order: job.ID(reply.Str(0)), Trace: reply.Str(3), Steps: steps(reply, e)}, nil
	case "over":
		return job.Ended{State: job.State(reply.Str(0))}, nil
	case "delayed":
		return job.Ended{State: job.Delayed}, nil
	case "parked":
		return job.Ended{State: job.Parked}, nil
	default:
		return job.Ended{State: job.Queued}, nil
	}
}

// steps are those of a kill that this ending confirmed: a retry is told the
// order only.
func steps(reply rediskit.Reply, e job.Ending) *job.KillSteps {
	recorded, now := reply.Int(1), reply.Int(2)
	if recorded == 0 || now == 0 || e.SinceDelivered < 0 {
		return nil
	}
	took := time.Duration(now-recorded) * time.Microsecond
	return &job.KillSteps{
		Delivered: max(0, took-e.SinceDelivered), Cancelled: max(0, took-e.SinceCancelled), Returned: max(0, took-e.SinceReturned),
	}
}

// ago writes how long ago something was, in microseconds; empty if it was not.
func ago(d time.Duration) string {
	if d < 0 {
		return ""
	}
	return strconv.FormatInt(d.Microseconds(), 10)
}

// Leave takes the worker off a partition's table. Jobs whose work has not
// returned are flagged, so that their reclaim counts no attempt.
func (l *Redis) Leave(ctx context.Context, p int, unreturned map[job.ID]job.Claim) error {
	rest := make([]string, 0, 2*len(unreturned))
	for id, claim := range unreturned {
		if id.Partition() == p {
			rest = append(rest, string(id), claim.Epoch)
		}
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	_, err := l.ends.Run(cctx, l.scripts["leave"], rediskit.Place{Slot: l.partitions.Slot(p), Worker: l.worker},
		rediskit.Args{"worker": l.worker}, rest...)
	return rediskit.Unavailable(err)
}

// Reclaim takes back up to limit leases that are ripe. ok is false when the
// server is not the one that was watched: drop the samples. Jobs that were lost
// twice without progress wait until due.
func (l *Redis) Reclaim(ctx context.Context, p int, ripe job.Ripe, limit int, due time.Time) (taken []job.Reclaimed, ok bool, err error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := l.ends.Run(cctx, l.scripts["reclaim"], rediskit.Place{Slot: l.partitions.Slot(p)}, rediskit.Args{
		"reaper": ripe.Sampler, "nonce": ripe.Nonce, "run_id": ripe.RunID, "before": ripe.Before,
		"limit": limit, "due": rediskit.Micros(due),
	})
	if err != nil {
		return nil, false, rediskit.Unavailable(err)
	}
	if reply.Word == "other_server" {
		return nil, false, nil
	}
	for i := range reply.Rest {
		if v := rediskit.Texts(reply.List(i)); len(v) == 3 {
			taken = append(taken, job.Reclaimed{ID: job.ID(v[0]), Worker: v[1], State: job.State(v[2])})
		}
	}
	return taken, true, nil
}

// Row is how a worker shows itself to the fleet.
type Row struct {
	Host    string `json:"host"`
	Version string `json:"version"`
	Slots   int    `json:"slots"`
	Running int    `json:"running"`
	Deaf    int    `json:"deaf"`
	// DeafJobs names some of the deaf.
	DeafJobs []job.ID `json:"deaf_jobs,omitempty"`
	// NoProgress is how many of the running show no sign of life for minutes.
	NoProgress int `json:"no_progress"`
	// NoProgressJobs names those that are silent the longest.
	NoProgressJobs []job.ID `json:"no_progress_jobs,omitempty"`
	// Reclaimed is how many jobs it took back in the last five minutes, Lag the
	// longest time of these from an order's record to its arrival (µs).
	Reclaimed int   `json:"reclaimed"`
	Lag       int64 `json:"lag"`
	// Trust is S, in µs.
	Trust int64 `json:"trust"`
	Drain bool  `json:"draining"`
	// Lost: a gate does not know what this worker has seen of it.
	Lost    bool  `json:"lost,omitempty"`
	Started int64 `json:"started"` // µs
	At      int64 `json:"at"`      // µs, the worker's own clock
	// Store is where it keeps the states of jobs, Mark what that store bears.
	Store string `json:"store,omitempty"`
	Mark  string `json:"store_mark,omitempty"`
}

// Bytes encodes the row.
func (r Row) Bytes() []byte {
	b, _ := json.Marshal(r)
	return b
}
