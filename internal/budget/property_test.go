package budget

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// yard is one owner's jobs, the workers that run them with the scripts of the
// house, and who watches their money.
type yard struct {
	b      *Redis
	beside map[string]*rediskit.Script
	deeds  [][]deed
	limits yardLimits

	mu    sync.Mutex
	paid  job.MicroUSD // as the workers themselves know it
	err   error
	done  map[job.ID]int // deeds of a job so far
	which map[job.ID]int
}

type yardLimits struct {
	job, owner, fleet job.MicroUSD
	running           int
}

// deed is one paid call of a job: what it may cost, what it costs, and what
// becomes of it.
type deed struct {
	most, cost job.MicroUSD
	how        string
}

func drawYard(t *rapid.T, jobs int) (yardLimits, [][]deed) {
	amount := rapid.Custom(func(t *rapid.T) deed {
		most := rapid.IntRange(0, 100).Draw(t, "most")
		return deed{
			most: job.MicroUSD(most), cost: job.MicroUSD(rapid.IntRange(0, most).Draw(t, "cost")),
			how: rapid.SampledFrom([]string{"settle", "settle", "settle twice", "abandon", "abandon, settle late"}).Draw(t, "how"),
		}
	})
	var all [][]deed
	for range jobs {
		all = append(all, rapid.SliceOfN(amount, 1, 4).Draw(t, "deeds"))
	}
	limit := func(name string, most int) job.MicroUSD {
		return job.MicroUSD(rapid.IntRange(0, most).Draw(t, name))
	}
	return yardLimits{limit("budget of a job", 300), limit("cap of the owner", 3000), limit("cap of the fleet", 4000), rapid.IntRange(1, 64).Draw(t, "running")}, all
}

func newYard(t *testing.T, l yardLimits, deeds [][]deed) *yard {
	t.Helper()
	s := redistest.Start(t)
	b, err := NewRedis(rediskit.Runner{Client: s.Client(t), Profile: rediskit.Server}, rediskit.Partitions{Fleet: "f-" + rand.Text()[:8], Count: 1})
	require.NoError(t, err)
	y := &yard{b: b, beside: map[string]*rediskit.Script{}, deeds: deeds, limits: l, done: map[job.ID]int{}, which: map[job.ID]int{}}
	for room, names := range map[string][]string{"stream": {"submit"}, "lease": {"grant", "finish", "release", "park"}} {
		for _, name := range names {
			y.beside[name], err = rediskit.Load(os.DirFS("../"+room), name)
			require.NoError(t, err)
		}
	}
	return y
}

func (y *yard) script(ctx context.Context, name string, at rediskit.Place, args rediskit.Args) (rediskit.Reply, error) {
	at.Slot = y.b.partitions.Slot(0)
	return y.b.run.Run(ctx, y.beside[name], at, args)
}

func (y *yard) fail(err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.err = errors.Join(y.err, err)
}

// submit brings the jobs in while there is nothing spent yet.
func (y *yard) submit(ctx context.Context) error {
	for i := range y.deeds {
		id, err := y.b.partitions.NewID(0)
		if err != nil {
			return err
		}
		y.which[id] = i
		reply, err := y.script(ctx, "submit", rediskit.Place{Job: string(id), Owner: "ann", Idem: fmt.Sprint(i)}, rediskit.Args{
			"id": string(id), "owner": "ann", "submitter": "ann", "kind": "talk", "labels": "{}", "input": "{}", "budget": int64(y.limits.job),
			"max_attempts": 3, "timeout": 0, "digest": "d", "floor": 0, "idem_seconds": 60, "seen": "", "from": "", "from_seq": "", "place": "", "who": "", "models": "", "trace": "",
		})
		if err != nil || reply.Word != "created" && reply.Word != "reached" {
			return fmt.Errorf("submit: %v %w", reply, err)
		}
	}
	return nil
}

// work is a worker: it takes jobs and makes their calls, several at once.
func (y *yard) work(ctx context.Context, name string, rounds int) {
	for n := range rounds {
		reply, err := y.script(ctx, "grant", rediskit.Place{Worker: name}, rediskit.Args{
			"worker": name, "nonce": fmt.Sprintf("%s-%d", name, n), "slots": 8, "scan": 16, "seen": "",
		})
		if err != nil {
			y.fail(err)
			return
		}
		var wg sync.WaitGroup
		for i := 1; i < len(reply.Rest); i++ {
			one := reply.List(i)
			id, claim := job.ID(rediskit.Text(one[0])), job.Claim{Worker: name, Epoch: rediskit.Text(one[1])}
			wg.Go(func() {
				if err := y.run(ctx, id, claim); err != nil {
					y.fail(fmt.Errorf("%s: %w", id, err))
				}
			})
		}
		wg.Wait()
	}
}

// run makes a job's calls, from where it had come, until there is no money, it is
// abandoned, or it is done.
func (y *yard) run(ctx context.Context, id job.ID, claim job.Claim) error {
	end := func(script string, more rediskit.Args) error {
		args := rediskit.Args{"id": string(id), "worker": claim.Worker, "epoch": claim.Epoch}
		for k, v := range more {
			args[k] = v
		}
		_, err := y.script(ctx, script, rediskit.Place{Job: string(id)}, args)
		return err
	}
	for {
		n, d, ok := y.next(id)
		if !ok {
			return end("finish", rediskit.Args{"outcome": "succeeded", "cause": "done", "result": "{}", "error": "", "delivered": "", "cancelled": "", "returned": ""})
		}
		call := fmt.Sprintf("c%d", n)
		var park *job.Park
		err := y.b.Reserve(ctx, id, claim, job.Call{ID: call, Model: "gpt", Max: d.most})
		if errors.As(err, &park) {
			return end("park", rediskit.Args{"reason": "budget", "questions": "[]"})
		}
		if err != nil {
			return err
		}
		y.did(id, d.paid())
		settle := func() error { return y.b.Settle(ctx, id, job.Usage{CallID: call, Model: "gpt", Cost: d.cost}) }
		if strings.HasPrefix(d.how, "abandon") {
			err := end("release", rediskit.Args{"cause": "draining"})
			if d.how == "abandon, settle late" {
				err = errors.Join(err, settle())
			}
			return err
		}
		if err := settle(); err != nil {
			return err
		}
		if d.how == "settle twice" {
			if err := settle(); err != nil {
				return err
			}
		}
	}
}

// paid is what a deed is booked at in the end: a call that nobody settled at its
// worst case.
func (d deed) paid() job.MicroUSD {
	if d.how == "abandon" {
		return d.most
	}
	return d.cost
}

func (y *yard) next(id job.ID) (int, deed, bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	n, all := y.done[id], y.deeds[y.which[id]]
	if n == len(all) {
		return n, deed{}, false
	}
	return n, all[n], true
}

func (y *yard) did(id job.ID, paid job.MicroUSD) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.done[id]++
	y.paid += paid
}

// glance reads one instant: the windows with what is set aside, a job, and how
// many run.
const glance = `
local at, length = tonumber(redis.call('HGET', KEYS[1] .. 'money', 'at') or '0'), tonumber(redis.call('HGET', KEYS[1] .. 'money', 'length'))
local window = KEYS[1] .. 'window:' .. string.format('%d', at - at % length)
local out = {}
for _, name in ipairs({ 'owner:ann', 'total' }) do
  out[#out + 1] = tonumber(redis.call('HGET', window, name) or '0') + tonumber(redis.call('HGET', KEYS[1] .. 'holding', name) or '0')
end
local j = redis.call('HMGET', KEYS[1] .. 'job:' .. ARGV[1], 'spent', 'reserved')
out[3] = tonumber(j[1] or '0') + tonumber(j[2] or '0')
out[4] = redis.call('ZCARD', KEYS[1] .. 'leases')
return out`

// watch looks all the time, and says when a limit was passed.
func (y *yard) watch(ctx context.Context, over <-chan struct{}) (looks int) {
	script := redis.NewScript(glance)
	for {
		for id := range y.which {
			v, err := script.Run(ctx, y.b.run.Client, []string{string(y.b.partitions.Slot(0))}, string(id)).Int64Slice()
			if err != nil {
				y.fail(err)
				return looks
			}
			looks++
			l := y.limits
			if v[0] > int64(l.owner) || v[1] > int64(l.fleet) || v[2] > int64(l.job) || v[3] > int64(l.running) {
				y.fail(fmt.Errorf("spent + reserved, and running, are %v, the limits %+v", v, l))
				return looks
			}
			select {
			case <-over:
				return looks
			default:
			}
		}
	}
}

// 64 jobs of one owner on eight workers of eight slots, and dispatchers that bring
// parked jobs back: at no instant are spent + reserved more than the budget of a
// job, the cap of the owner or that of the fleet, nor do more run than may; and in
// the end every call is booked once, at what it cost.
func TestSpentAndReservedNeverPassACap(t *testing.T) {
	fewer(t)
	rapid.Check(t, func(rt *rapid.T) {
		l, deeds := drawYard(rt, 64)
		y := newYard(t, l, deeds)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		clerk := Clerk{Books: y.b, Settings: Settings{OwnerCap: &l.owner, FleetCap: &l.fleet, OwnerRunning: &l.running}, Log: zap.NewNop()}
		clerk.once(ctx, map[int]string{})
		require.NoError(rt, y.submit(ctx))

		over := make(chan struct{})
		var workers, others sync.WaitGroup
		looks := 0
		others.Go(func() { looks = y.watch(ctx, over) })
		for range 2 {
			others.Go(func() {
				for after := map[int]string{}; ; {
					clerk.once(ctx, after)
					select {
					case <-over:
						return
					default:
					}
				}
			})
		}
		for i := range 8 {
			workers.Go(func() { y.work(ctx, fmt.Sprintf("w%d", i), 12) })
		}
		workers.Wait()
		close(over)
		others.Wait()
		require.NoError(rt, y.err)
		require.Positive(rt, looks)
		y.check(ctx, rt)
	})
}

// check counts what was booked, by job, by call and in the window.
func (y *yard) check(ctx context.Context, t *rapid.T) {
	slot, c := y.b.partitions.Slot(0), y.b.run.Client
	var spent, calls job.MicroUSD
	for id := range y.which {
		m, err := c.HMGet(ctx, slot.Of("job", string(id)), "spent", "reserved").Result()
		require.NoError(t, err)
		spent += amount(rediskit.Text(m[0]))
		require.Zero(t, amount(rediskit.Text(m[1])), "nothing is in flight any more")
		booked, err := c.HGetAll(ctx, slot.Of("calls", string(id))).Result()
		require.NoError(t, err)
		require.Len(t, booked, y.done[id])
		for _, text := range booked {
			cost, _, _ := strings.Cut(text, " ")
			calls += amount(cost)
		}
	}
	all, err := y.b.Budgets(ctx)
	require.NoError(t, err)
	require.Equal(t, []job.MicroUSD{y.paid, y.paid, y.paid}, []job.MicroUSD{spent, calls, all[0].Window.Spent})
	require.Zero(t, all[0].Window.Reserved)
}

// fewer asks for less than rapid's usual number of checks, each of which is a
// fleet; -rapid.checks asks for more.
func fewer(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue {
		return
	}
	require.NoError(t, flag.Set("rapid.checks", "10"))
	t.Cleanup(func() { _ = flag.Set("rapid.checks", checks.DefValue) })
}
