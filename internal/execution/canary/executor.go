package canary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// Kind is the kind of job this executor runs.
const Kind = "canary"

// ErrPrescribed is wrapped by a failure that the input asked for.
var ErrPrescribed = errors.New("failed as prescribed")

// Parse says whether a canary would take the input; every refusal wraps
// job.ErrBadCanary.
func Parse(input []byte) error { return job.CheckCanary(input) }

// Executor runs canaries. It is safe for concurrent use.
type Executor struct{ witnesses []string }

// New returns an executor. A job's call_url may lead to a loopback address, or
// to one of the given witnesses, each a host:port.
func New(witnesses ...string) *Executor { return &Executor{witnesses: witnesses} }

// Outcome is the result of a canary.
type Outcome struct {
	// StepsDone counts the steps of all attempts, Calls the paid ones that were
	// sent in this attempt and in those whose checkpoint it stands on.
	StepsDone int `json:"steps_done"`
	Calls     int `json:"calls"`
	// ResumedFrom is the step of the checkpoint, 0 for none.
	ResumedFrom int `json:"resumed_from"`
}

// state is what a checkpoint holds.
type state struct {
	Step  int `json:"step"`  // steps done
	Calls int `json:"calls"` // paid in them and in the next
	// Paid are the calls of the next step that are made already.
	Paid int `json:"paid,omitempty"`
}

// run is one attempt.
type run struct {
	in      job.Canary
	work    job.Work
	rt      job.Runtime
	witness *witness
	state   state
	seq     uint64
}

// Execute does what the input says.
func (x *Executor) Execute(ctx context.Context, work job.Work, rt job.Runtime) (job.Result, error) {
	in, err := job.ParseCanary(work.Input)
	if err != nil {
		return nil, err
	}
	r := &run{in: in, work: work, rt: rt}
	if err := r.resume(work.Checkpoint); err != nil {
		return nil, err
	}
	from := r.state.Step
	r.witness = newWitness(in.CallURL, x.witnesses)
	defer r.witness.hangUp()

	hearing, listen := deafen(ctx, in.Deaf)
	defer listen()
	if err := r.steps(hearing); err != nil {
		return nil, r.left(ctx, hearing, err)
	}
	data, err := json.Marshal(Outcome{StepsDone: r.state.Step, Calls: r.state.Calls, ResumedFrom: from})
	if err != nil {
		return nil, fmt.Errorf("write the canary's result: %w", err)
	}
	return data, nil
}

func (r *run) resume(c *job.Checkpoint) error {
	if c == nil {
		return nil
	}
	if err := json.Unmarshal(c.Data, &r.state); err != nil || r.state.Step < 0 {
		return fmt.Errorf("checkpoint %d is not a canary's: submit the job anew", c.Seq)
	}
	r.seq = c.Seq
	return nil
}

// left says why an attempt that was left early was. What the work ran into does
// not matter once it was stopped, and a deaf one is not back before it hears.
func (r *run) left(ctx, hearing context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	<-hearing.Done()
	cause := context.Cause(ctx)
	if r.in.Checkpoint && r.state.Paid > 0 && errors.Is(cause, &job.Stop{Kind: job.StopDraining}) {
		_ = r.checkpoint(ctx) // a courtesy to the next worker: without it those calls are made again
	}
	return cause
}

func (r *run) steps(ctx context.Context) error {
	for r.state.Step < r.in.Steps {
		if err := r.step(ctx, r.state.Step+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) step(ctx context.Context, n int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if n == r.in.ParkAt && len(r.work.Answers) == 0 {
		q := fmt.Appendf(nil, `[{"id":"go_on","text":"The canary waits before step %d. Shall it go on?"}]`, n)
		return &job.Park{Reason: "input", Questions: q, Detail: fmt.Sprintf("before step %d", n)}
	}
	if n == r.in.FailAt && (r.in.FailTimes == 0 || r.work.Attempt <= r.in.FailTimes) {
		if err := r.fail(n); err != nil {
			return err
		}
	}
	for r.state.Paid < r.in.Calls {
		if err := r.call(ctx, fmt.Sprintf("s%d-c%d", n, r.state.Paid+1)); err != nil {
			return err
		}
		r.state.Paid++
	}
	if err := wait(ctx, r.in.Step); err != nil {
		return err
	}
	r.state.Step, r.state.Paid = n, 0
	return r.record(ctx, n)
}

// record writes what a step leaves behind.
func (r *run) record(ctx context.Context, n int) error {
	r.rt.Progress()
	if r.in.Events {
		e := job.Event{Type: "step.done", Data: fmt.Appendf(nil, `{"step":%d,"calls":%d}`, n, r.state.Calls)}
		if err := r.rt.Event(ctx, e); err != nil {
			return broken(ctx, "write the event of step", n, err)
		}
	}
	if !r.in.Checkpoint {
		return nil
	}
	if err := r.checkpoint(ctx); err != nil {
		return broken(ctx, "take the checkpoint of step", n, err)
	}
	return nil
}

func (r *run) checkpoint(ctx context.Context) error {
	data, err := json.Marshal(r.state)
	if err != nil {
		return fmt.Errorf("write the canary's state: %w", err)
	}
	r.seq++
	return r.rt.Checkpoint(ctx, job.Checkpoint{Seq: r.seq, Node: fmt.Sprintf("step %d", r.state.Step), Data: data})
}

func (r *run) fail(n int) error {
	switch r.in.Fail {
	case "retryable":
		return fmt.Errorf("%w: %w: step %d of attempt %d", job.ErrRetryable, ErrPrescribed, n, r.work.Attempt)
	case "panic":
		return crash(nil, n)
	default:
		return fmt.Errorf("%w: step %d of attempt %d", ErrPrescribed, n, r.work.Attempt)
	}
}

// crash panics as work does that has a fault in it: the house calls no panic.
func crash(failures []error, n int) error { return failures[n] }

// broken explains an error of the runtime. Only one that Redis was out of reach
// is worth another attempt.
func broken(ctx context.Context, doing string, what any, err error) error {
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, job.ErrUnavailable):
		err = fmt.Errorf("%w: %w", job.ErrRetryable, err)
	}
	return fmt.Errorf("%s %v: %w", doing, what, err)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// deafen returns a context that hears of ctx's end only after d. The function
// it returns ends it and waits for what it started.
func deafen(ctx context.Context, d time.Duration) (hearing context.Context, listen func()) {
	if d <= 0 {
		return ctx, func() {}
	}
	hearing, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var ear sync.WaitGroup
	ear.Go(func() {
		select {
		case <-hearing.Done():
		case <-ctx.Done():
			_ = wait(hearing, d) // ended early when the work is over
			cancel(context.Cause(ctx))
		}
	})
	return hearing, func() {
		cancel(nil)
		ear.Wait()
	}
}
