package process

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// reserve answers one reserve with grant or deny. The permit's check is the last
// statement before the grant is written.
func (t *talk) reserve(ctx context.Context, m said) {
	if t.granted[m.CallID] {
		err := fmt.Errorf("reserve: call %q is granted already and not settled", m.CallID)
		t.badLine(err, 0)
		t.deny(ctx, m.CallID, err)
		return
	}
	grant, err := encode(callLine{Msg: "grant", CallID: m.CallID})
	if err != nil {
		t.fail("error", err)
		return
	}
	c := job.Call{ID: m.CallID, Model: m.Model, Max: m.Max}
	reserved := false
	err = job.ErrPermitExpired
	for try := 0; try < maxPermits && errors.Is(err, job.ErrPermitExpired); try++ {
		var permit job.Permit
		if permit, err = t.permit(ctx, c); err != nil {
			break
		}
		reserved = true
		err = t.mouth.say(grant, permit.Check)
	}
	if err == nil {
		t.granted[m.CallID] = true
		return
	}
	if reserved {
		t.settle(ctx, job.Usage{CallID: m.CallID, Model: m.Model}) // no grant, no call
	}
	t.deny(ctx, m.CallID, err)
}

func (t *talk) permit(ctx context.Context, c job.Call) (job.Permit, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return t.rt.Reserve(ctx, c)
}

func (t *talk) deny(ctx context.Context, id string, err error) {
	line := callLine{Msg: "deny", CallID: id, Reason: "refused", Detail: err.Error()}
	var park *job.Park
	switch {
	case errors.Is(err, errStalled), errors.Is(err, errHushed):
		t.unheard(err)
		return
	case ctx.Err() != nil:
		line.Reason = "cancelled"
	case errors.As(err, &park):
		line.Reason = park.Reason
	case errors.Is(err, job.ErrUnavailable), errors.Is(err, job.ErrPermitExpired):
		line.Reason = "unavailable"
	}
	t.tell(line)
	if park != nil {
		t.learn(func(h *heard) { h.park = park })
		t.end(ending{cause: park.Reason})
	}
}

// usage books what a call cost. It works after the job was stopped: money that
// was spent is a fact.
func (t *talk) usage(ctx context.Context, m said) {
	if !t.granted[m.CallID] {
		t.badLine(fmt.Errorf("usage: call %q was not granted, or is settled already", m.CallID), 0)
		return
	}
	delete(t.granted, m.CallID)
	t.settle(ctx, job.Usage{
		CallID: m.CallID, Model: m.Model, InputTokens: m.InputTokens, OutputTokens: m.OutputTokens,
		Cost: m.Cost, Estimated: m.Estimated,
	})
	t.transcribe(ctx, m)
}

// transcribe keeps what the program tells of a call, if the job's input asks for
// it. One that could not be kept is no reason to fail.
func (t *talk) transcribe(ctx context.Context, m said) {
	rec, ok := t.rt.(job.Recorder)
	if !ok || t.mute || !job.Transcribes(t.work.Input) {
		return
	}
	err := rec.Record(context.WithoutCancel(ctx), job.Exchange{
		Call: m.CallID, Model: m.Model, Messages: m.Messages, Reply: m.Reply, Refusal: m.Refusal, Finish: m.Finish, Error: m.Failure,
		InputTokens: m.InputTokens, OutputTokens: m.OutputTokens, Cost: m.Cost, Estimated: m.Estimated,
	})
	if err != nil {
		t.mute = ctx.Err() != nil
		t.log.Info("call not transcribed", zap.String("call", m.CallID), zap.Error(err))
	}
}

func (t *talk) settle(ctx context.Context, u job.Usage) {
	if t.mute {
		return
	}
	if err := t.rt.Settle(context.WithoutCancel(ctx), u); err != nil {
		t.mute = ctx.Err() != nil
		t.log.Warn("usage not settled; it is booked as an estimate when the claim ends", zap.String("call", u.CallID), zap.Error(err))
	}
}
