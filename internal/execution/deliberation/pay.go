package deliberation

import (
	"context"
	"errors"
	"fmt"

	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/job"
)

// maxPermits bounds how often one request reserves again because connecting, or
// the machine, took longer than a permit is good for.
const maxPermits = 8

// frameBytes is what the protocol adds to a message, generously.
const frameBytes = 32

// payment is one request that may cost money.
type payment struct {
	call job.Call
	rate price.Rate
	in   int // bytes of input
	max  int // tokens of output
}

func (r *run) payment(q question, id string) (payment, error) {
	rate, err := r.exec.prices.Of(q.to.Model)
	if err != nil {
		return payment{}, &setback{"price " + id, err}
	}
	p := payment{rate: rate, max: q.maxTokens}
	for _, m := range q.messages {
		p.in += len(m.Text) + frameBytes
	}
	p.call = job.Call{ID: id, Model: q.to.Model, Max: rate.Worst(p.in, p.max)}
	return p, nil
}

// pay makes one request: reserve, check, call, settle. The entry's cost is what
// was booked, also when it returns an error.
func (r *run) pay(ctx context.Context, q question, id string) (model.Reply, entry, error) {
	p, err := r.payment(q, id)
	if err != nil {
		return model.Reply{}, entry{}, err
	}
	permit, err := r.rt.Reserve(ctx, p.call)
	if err != nil {
		return model.Reply{}, entry{}, r.broken(ctx, "reserve "+id, err)
	}
	req := model.Request{
		Model: q.to.Model, Messages: q.messages, MaxTokens: q.maxTokens, Seed: r.in.Seed,
		Job: r.work.ID.String(), Call: id, Alive: r.rt.Progress,
	}
	reply, err := q.to.Chat.Chat(ctx, req, func() error { return r.permitted(ctx, p.call, permit) })
	u := p.usage(reply, err)
	if bookErr := r.settle(ctx, u); bookErr != nil {
		err = errors.Join(err, bookErr)
	}
	r.transcribe(ctx, q, reply, u, err)
	return reply, entry{
		Model: q.to.Model, Input: u.InputTokens, Output: u.OutputTokens, Cost: u.Cost, Estimated: u.Estimated,
	}, err
}

// transcribe keeps a call for post-mortem, if the input asks for it. A call that
// could not be kept is no reason to fail: what fences the job does so elsewhere.
func (r *run) transcribe(ctx context.Context, q question, reply model.Reply, u job.Usage, err error) {
	rec, ok := r.rt.(job.Recorder)
	if !ok || !r.in.Transcript {
		return
	}
	e := job.Exchange{
		Call: u.CallID, Model: u.Model, Reply: reply.Text, Refusal: reply.Refusal, Finish: reply.Finish,
		InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, Cost: u.Cost, Estimated: u.Estimated,
	}
	for _, m := range q.messages {
		e.Messages = append(e.Messages, job.Turn{Role: string(m.Role), Text: m.Text})
	}
	if err != nil {
		e.Error = err.Error()
	}
	_ = rec.Record(ctx, e)
}

// permitted is the last thing before the request is written: where it lets a
// request pass, the permit's check is the last thing it does.
func (r *run) permitted(ctx context.Context, c job.Call, permit job.Permit) error {
	for range maxPermits {
		if err := permit.Check(); !errors.Is(err, job.ErrPermitExpired) {
			return err
		}
		fresh, err := r.rt.Reserve(ctx, c)
		if err != nil {
			return r.broken(ctx, "reserve "+c.ID, err)
		}
		permit = fresh
	}
	return fmt.Errorf("send %s: %w: %d permits in a row were too old", c.ID, job.ErrRetryable, maxPermits)
}

// usage says what a request cost: nothing if it was not sent or was refused by
// the server, what the provider stated, or an estimate that is never more than
// what was reserved.
func (p payment) usage(reply model.Reply, err error) job.Usage {
	u := job.Usage{CallID: p.call.ID, Model: p.call.Model}
	var status *model.StatusError
	switch {
	case !reply.Sent, errors.As(err, &status):
	case reply.Reported:
		u.InputTokens, u.OutputTokens = reply.InputTokens, reply.OutputTokens
		u.Cost = p.rate.Cost(u.InputTokens, u.OutputTokens)
	default:
		u.Estimated = true
		u.InputTokens = price.InputTokens(p.in)
		u.OutputTokens = min(p.max, max(price.InputTokens(reply.Received), reply.Chunks))
		u.Cost = min(p.call.Max, p.rate.Cost(u.InputTokens, u.OutputTokens))
	}
	return u
}

// settle books a usage although the context may be cancelled: money that was
// spent is a fact.
func (r *run) settle(ctx context.Context, u job.Usage) error {
	r.spent.Add(int64(u.Cost))
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.exec.cfg.LastWish)
	defer cancel()
	if err := r.rt.Settle(last, u); err != nil {
		return r.broken(ctx, "settle "+u.CallID, err)
	}
	return nil
}

// save takes a checkpoint. A reply that was paid for is worth keeping even if
// the job was stopped while it arrived; the runtime refuses where it must not be.
func (r *run) save(ctx context.Context, c job.Checkpoint) error {
	if ctx.Err() != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.exec.cfg.LastWish)
		defer cancel()
		ctx = last
	}
	if err := r.rt.Checkpoint(ctx, c); err != nil {
		return r.broken(ctx, fmt.Sprintf("take checkpoint %d", c.Seq), err)
	}
	return nil
}

// setback is an error that no further try can cure: it came from the runtime and
// not from the model server.
type setback struct {
	doing string
	err   error
}

func (s *setback) Error() string { return s.doing + ": " + s.err.Error() }
func (s *setback) Unwrap() error { return s.err }

// broken makes a setback of an error of the runtime. Only one that Redis was out
// of reach is worth another attempt; what else the runtime says, it means.
func (r *run) broken(ctx context.Context, doing string, err error) error {
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, job.ErrUnavailable):
		err = fmt.Errorf("%w: %w", job.ErrRetryable, err)
	}
	return &setback{doing, err}
}
