package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/beat"
	"github.com/rtfm-si/gavel/internal/budget"
	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/control"
	"github.com/rtfm-si/gavel/internal/execution"
	"github.com/rtfm-si/gavel/internal/execution/canary"
	"github.com/rtfm-si/gavel/internal/execution/deliberation"
	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/execution/process"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/lease"
	"github.com/rtfm-si/gavel/internal/stream"
	"github.com/rtfm-si/gavel/internal/telemetry"

	"github.com/rtfm-si/gavel/cmd/internal/pod"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
)

// wired is a worker whose rooms are joined.
type wired struct {
	cfg     Config
	id      string
	fleet   settings.Fleet
	log     *zap.Logger
	road    *stream.Redis
	leases  *lease.Redis
	keeper  *lease.Keeper
	watch   *control.Watch
	gates   *control.Redis
	worker  *execution.Worker
	models  []*model.Client
	metrics *telemetry.WorkerMetrics
	states  *checkpoint.Outside // nil while states are in Redis
	pod     *pod.Pod            // the pod this is in, nil for none
	// programs runs kinds as child processes, nil when there are none.
	programs *process.Executor
}

// wire joins the rooms.
func wire(cfg Config, id string, fleet settings.Fleet, outside *checkpoint.Outside, log *zap.Logger) (*wired, error) {
	p := &wired{cfg: cfg, id: id, fleet: fleet, log: log, states: outside}
	var self atomic.Pointer[execution.Worker]
	p.metrics = telemetry.NewWorkerMetrics(cfg.Version, p.state(&self))
	fleet.Clients.Observe, fleet.Clients.Trace = p.metrics.Script, endings
	if outside != nil {
		outside.Told = p.metrics.Stored
	}
	p.fleet = fleet
	ps, parts := fleet.Partitions, fleet.Partitions.All()
	var err error
	if p.road, err = stream.NewRedis(fleet.Runner(), ps, stream.Config{}); err != nil {
		return nil, err
	}
	if p.leases, err = lease.NewRedis(fleet.Clients, fleet.Profile, ps, id); err != nil {
		return nil, err
	}
	if p.keeper, err = lease.NewKeeper(cfg.Lease(), p.leases, parts, p.row(&self)); err != nil {
		return nil, err
	}
	p.gates, err = control.NewRedis(fleet.On(fleet.Clients.Control), ps, cfg.Take, log)
	if err != nil {
		return nil, err
	}
	p.leases.Seen = p.gates.Seen
	p.watch = control.NewWatch(p.gates.Line(id), parts, log)
	money, err := budget.NewRedis(fleet.Runner(), ps)
	if err != nil {
		return nil, err
	}
	journal, err := execution.NewRedis(fleet.Runner(), ps, execution.States{Outside: outside, Kept: cfg.CheckpointsKept})
	if err != nil {
		return nil, err
	}
	executors, err := p.executors()
	if err != nil {
		return nil, err
	}
	p.worker, err = execution.New(execution.Config{
		ID: id, Partitions: parts, Slots: cfg.Slots, Poll: cfg.Poll, Trust: cfg.Trust,
		DrainFinish: cfg.DrainFinish, DrainGrace: cfg.DrainGrace, DrainSettle: cfg.DrainSettle,
		KillPatience: cfg.KillPatience, Timeout: cfg.JobTimeout, Silence: cfg.JobSilence, Backoff: cfg.Backoff,
		StorePatience: cfg.CheckpointsPatience,
	}, execution.Rooms{
		Road: trusted{p.leases, p.gates}, Ender: p.leases, Keeper: p.keeper, Hints: p.watch, Table: p.leases,
		Money: meteredMoney{money, p.metrics}, Journal: journal, Meter: p.metrics, Tracer: traces{cfg.tracing},
	}, executors, log)
	if err != nil {
		return nil, err
	}
	self.Store(p.worker)
	return p, p.inPod()
}

// inPod finds the pod that the worker is in, when it is told of one.
func (p *wired) inPod() (err error) {
	if p.cfg.Pod == "" {
		return nil
	}
	p.pod, err = pod.New(pod.Config{
		Name: p.cfg.Pod, Host: os.Getenv("KUBERNETES_SERVICE_HOST"), Port: os.Getenv("KUBERNETES_SERVICE_PORT"), Account: p.cfg.Account, Log: p.log,
	})
	return err
}

// busy is what the cost of deleting the pod is reckoned from.
func (p *wired) busy() (running, slots int) {
	s := p.worker.Status()
	return s.Running, s.Slots
}

// recently is how far back a worker's row looks.
const recently = 5 * time.Minute

// row describes the worker to the fleet at each beat.
func (p *wired) row(self *atomic.Pointer[execution.Worker]) func() []byte {
	host, _ := os.Hostname()
	started := time.Now().UnixMicro()
	return func() []byte {
		r := lease.Row{Host: host, Version: p.cfg.Version, Started: started, At: time.Now().UnixMicro(), Trust: p.cfg.Trust.Microseconds()}
		store := p.states.Named()
		r.Store, r.Mark = store.Place, store.Mark
		reclaimed, lag := p.metrics.Recently(recently)
		r.Reclaimed, r.Lag = reclaimed, lag.Microseconds()
		if w := self.Load(); w != nil {
			s := w.Status()
			r.Lost = len(p.gates.Losses()) > 0
			r.Slots, r.Running, r.Deaf, r.DeafJobs, r.Drain = s.Slots, s.Running, s.Deaf, s.DeafJobs, s.Draining
			r.NoProgress, r.NoProgressJobs = s.NoProgress, s.NoProgressJobs
		}
		return r.Bytes()
	}
}

// executors are the kinds of job this worker runs.
func (p *wired) executors() (map[string]job.Executor, error) {
	chat, err := p.chat(p.cfg.ModelURL, p.cfg.ModelKeyFile, p.cfg.ModelBills)
	if err != nil {
		return nil, err
	}
	routes, err := p.routes(p.cfg.Models)
	if err != nil {
		return nil, err
	}
	prices, err := price.Embedded()
	if p.cfg.Prices != "" {
		prices, err = price.Load(p.cfg.Prices)
	}
	if err != nil {
		return nil, err
	}
	deliberate, err := deliberation.New(deliberation.Config{Model: p.cfg.Model, Routes: routes, Steps: p.cfg.Steps, Thinking: p.cfg.ModelThinking}, chat, prices)
	if err != nil {
		return nil, err
	}
	kinds := map[string]job.Executor{"deliberation": deliberate}
	if p.cfg.Canary.Canary {
		kinds["canary"] = canary.New()
	}
	return kinds, p.addPrograms(kinds)
}

// addPrograms adds the kinds that child processes run.
func (p *wired) addPrograms(kinds map[string]job.Executor) error {
	programs, err := readPrograms(p.cfg.Programs)
	if err != nil || len(programs) == 0 {
		return err
	}
	grace := p.cfg.DrainGrace
	p.programs, err = process.New(process.Config{
		Programs: programs, Drain: process.Ladder{Term: grace * 6 / 10, Kill: grace * 9 / 10},
	}, p.log)
	if err != nil {
		return err
	}
	for kind := range programs {
		if kinds[kind] != nil {
			return fmt.Errorf("%s: kind %q is built in; give the program another", p.cfg.Programs, kind)
		}
		kinds[kind] = p.programs
	}
	return nil
}

// secret reads a secret from a file that others cannot read.
func secret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read the model server's key: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("read the model server's key: %s may be read by everybody; chmod 600 it", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the model server's key: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// run works until ctx ends and everything has drained.
func (p *wired) run(ctx context.Context) error {
	aside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { p.watch.Run(aside, p.deliver) })
	gates := control.Authority{Control: p.gates, Every: min(p.cfg.Renew, time.Second), Log: p.log}
	wg.Go(func() { gates.Run(aside) })
	wg.Go(func() { p.states.Run(aside) })
	if err := p.reap(aside, &wg); err != nil {
		stop()
		wg.Wait()
		return err
	}
	for _, part := range p.fleet.Partitions.All() {
		wg.Go(func() { p.promote(aside, part) }) // a deaf worker leaves though ctx goes on
	}
	if p.pod != nil {
		wg.Go(func() { p.pod.Run(aside, p.busy) })
	}
	err := p.worker.Run(ctx)
	stop()
	wg.Wait()
	for _, m := range p.models {
		m.Close()
	}
	if p.programs != nil {
		p.programs.Close()
	}
	return err
}

// trusted is a road that nothing is taken from while the gate of its partition
// does not know what this worker has seen of it. What runs goes on by its lease.
type trusted struct {
	*lease.Redis

	gates *control.Redis
}

// Grant implements [execution.Road].
func (t trusted) Grant(ctx context.Context, p int, nonce string, slots int) ([]job.Granted, bool, error) {
	if t.gates.Lost(p) {
		return nil, false, nil
	}
	return t.Redis.Grant(ctx, p, nonce, slots)
}

// deliver passes hints on; a gap is answered by the renewals.
func (p *wired) deliver(h job.Hint) {
	p.gates.Heard(h)
	if h.Gap {
		p.keeper.RenewNow(h.Partition)
		return
	}
	p.worker.Deliver(h)
}

// reap takes back what other workers left, in every partition.
func (p *wired) reap(ctx context.Context, wg *sync.WaitGroup) error {
	timing := p.cfg.Lease()
	for _, part := range p.fleet.Partitions.All() {
		run := p.fleet.On(p.fleet.Clients.Lease)
		s, err := beat.NewSampler(run, p.fleet.Partitions.Slot(part), p.id, beat.NewStillness(timing.Take, timing.Renew))
		if err != nil {
			return err
		}
		r := lease.Reaper{
			Partition: part, Every: timing.Renew, Watch: s, Taker: p.leases, Backoff: p.cfg.Backoff, Log: p.log,
			Taken: p.metrics.Reclaimed,
		}
		wg.Go(func() {
			r.Run(ctx)
			if err := s.Leave(context.WithoutCancel(ctx)); err != nil { // it may have come back after the worker left
				p.log.Debug("sampler not taken off the table", zap.Int("partition", part), zap.Error(err))
			}
		})
	}
	return nil
}

// promoteChunk is how many delayed jobs are brought back at once.
const promoteChunk = 100

// promote brings delayed jobs back to the road when they are due.
func (p *wired) promote(ctx context.Context, part int) {
	clock.Every(ctx, min(p.cfg.Backoff, time.Second)/2, func() { p.promoteDue(ctx, part) })
}

func (p *wired) promoteDue(ctx context.Context, part int) {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if _, more, err = p.road.Promote(ctx, part, time.Now(), promoteChunk); err != nil {
			if !errors.Is(err, context.Canceled) {
				p.log.Debug("delayed jobs not looked at", zap.Int("partition", part), zap.Error(err))
			}
			return
		}
	}
}
