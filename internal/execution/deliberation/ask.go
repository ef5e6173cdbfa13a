package deliberation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/job"
)

// question is one thing to ask a model. Its id is the call id: stable over
// attempts, unique in the job.
type question struct {
	id        string
	to        Route
	messages  []model.Message
	maxTokens int
	// tell makes the event that a fresh reply is reported with; nil and an empty
	// kind tell nothing.
	tell func(e entry) (kind string, data map[string]any)
	// last: it is not put again, whatever the reply.
	last bool
}

// again is the same question after a reply that was no use.
func (q question) again(bad entry, why string) question {
	said := bad.Text
	if said == "" {
		said = "(" + bad.Fault + ")"
	}
	q.id, q.last = q.id+"/again", true
	q.messages = append(q.messages[:len(q.messages):len(q.messages)],
		model.Message{Role: model.Assistant, Text: said},
		model.Message{Role: model.User, Text: "That reply cannot be used: " + why + ". Reply once more, exactly in the form that was asked for, and with nothing else."})
	return q
}

// The faults of a reply.
const (
	faultEmpty   = "the reply was empty"
	faultSpent   = "the reply was empty: its tokens ran out before its first word"
	faultRefused = "the model declined to answer"
	faultEndless = "the reply did not end"
)

// ask gives the reply to a question: from the journal if it is there, from the
// model if not. The first error stops the whole attempt from asking on.
func (r *run) ask(ctx context.Context, q question) (entry, error) {
	if e, ok := r.journal.find(q.id); ok {
		return e, nil
	}
	release, err := r.slot(ctx)
	if err != nil {
		return entry{}, r.fail(err)
	}
	defer release()
	e, err := r.insist(ctx, q)
	if err != nil {
		return entry{}, r.fail(fmt.Errorf("%s: %w", q.id, err))
	}
	if err := r.report(ctx, q, e); err != nil {
		return entry{}, r.fail(err)
	}
	if err := r.journal.record(ctx, q.id, e, r.save); err != nil {
		return entry{}, r.fail(err)
	}
	return e, nil
}

// report tells the owner of a fresh reply, before it is recorded: an event may
// come twice, but none is missing. An unusable reply that is about to be asked
// for again is not worth telling.
func (r *run) report(ctx context.Context, q question, e entry) error {
	if q.tell == nil || e.Fault != "" && !q.last {
		return nil
	}
	kind, data := q.tell(e)
	if kind == "" {
		return nil
	}
	return r.emit(ctx, kind, data)
}

// slot waits for one of the places for calls in flight.
func (r *run) slot(ctx context.Context) (func(), error) {
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// insist asks until there is a reply, a bounded number of times.
func (r *run) insist(ctx context.Context, q question) (entry, error) {
	for try := 1; ; try++ {
		if err := r.failed(); err != nil {
			return entry{}, err
		}
		if ctx.Err() != nil {
			return entry{}, context.Cause(ctx)
		}
		reply, e, err := r.pay(ctx, q, tryID(q.id, try))
		switch {
		case err == nil:
			e.Text, e.Fault = strings.TrimSpace(reply.Text), fault(reply)
			return e, nil
		case ctx.Err() != nil:
			return entry{}, context.Cause(ctx)
		case errors.Is(err, model.ErrTooLong):
			e.Fault = faultEndless
			return e, nil
		case errors.As(err, new(*setback)), !model.Retryable(err):
			return entry{}, err
		case try == r.exec.cfg.Tries:
			return entry{}, fmt.Errorf("%w after %d tries: %w", job.ErrRetryable, try, err)
		}
		if err := r.wait(ctx, q, try, err); err != nil {
			return entry{}, err
		}
	}
}

func tryID(id string, try int) string {
	if try == 1 {
		return id
	}
	return fmt.Sprintf("%s~%d", id, try)
}

func fault(reply model.Reply) string {
	switch {
	case reply.Refusal != "" || reply.Finish == "content_filter":
		return faultRefused
	case strings.TrimSpace(reply.Text) == "" && reply.Finish == "length":
		return faultSpent
	case strings.TrimSpace(reply.Text) == "":
		return faultEmpty
	default:
		return ""
	}
}

// wait lets the model server recover: as long as it asks for, and longer with
// every try, with jitter so that many jobs do not come back at once.
func (r *run) wait(ctx context.Context, q question, try int, why error) error {
	pause := r.exec.cfg.Backoff << min(try-1, 16)
	pause = min(max(pause, 0), r.exec.cfg.Patience)
	pause = jittered(pause/2, pause/2)
	var status *model.StatusError
	if errors.As(why, &status) && status.RetryAfter > 0 {
		if status.RetryAfter > r.exec.cfg.Patience {
			return fmt.Errorf("%w: the model server asks for %v and this worker waits %v at most: %w",
				job.ErrRetryable, status.RetryAfter, r.exec.cfg.Patience, why)
		}
		pause = jittered(status.RetryAfter, status.RetryAfter/4)
	}
	err := r.emit(ctx, "model.retry", map[string]any{
		"call": q.id, "model": q.to.Model, "try": try, "of": r.exec.cfg.Tries,
		"reason": why.Error(), "wait_ms": pause.Milliseconds(),
	})
	if err != nil {
		return err
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		r.rt.Progress()
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// jittered is at least a duration and at most so much more.
func jittered(least, more time.Duration) time.Duration {
	return least + rand.N(more+1) //nolint:gosec // jitter, not a secret
}

// askFor asks for a JSON object of a certain shape, once more if the first reply
// is not one, and then fails.
func askFor[T any](ctx context.Context, r *run, q question, check func(*T) error) (T, error) {
	e, err := r.ask(ctx, q)
	if err != nil {
		var none T
		return none, err
	}
	value, bad := decode(e, check)
	if bad == nil {
		return value, nil
	}
	q2 := q.again(e, bad.Error())
	if err := r.notice(ctx, q2, bad.Error()); err != nil {
		return value, err
	}
	if e, err = r.ask(ctx, q2); err != nil {
		return value, err
	}
	if value, bad = decode(e, check); bad != nil {
		if e.Fault == faultSpent {
			bad = fmt.Errorf("%w; a model that thinks before it writes needs more of them: --model-thinking of the workers", bad)
		}
		return value, r.fail(fmt.Errorf("%s: the model's reply could not be used, nor could its second: %w", q.id, bad))
	}
	return value, nil
}

// askText asks for prose. A fault that stays after a second asking is returned
// with the entry; what it means is for the caller.
func (r *run) askText(ctx context.Context, q question) (entry, error) {
	e, err := r.ask(ctx, q)
	if err != nil || e.Fault == "" {
		return e, err
	}
	q2 := q.again(e, e.Fault)
	if err := r.notice(ctx, q2, e.Fault); err != nil {
		return entry{}, err
	}
	return r.ask(ctx, q2)
}

// notice reports that a question is put again, unless that is long past.
func (r *run) notice(ctx context.Context, q question, why string) error {
	if _, past := r.journal.find(q.id); past {
		return nil
	}
	if err := r.emit(ctx, "model.again", map[string]any{"call": q.id, "model": q.to.Model, "reason": why}); err != nil {
		return r.fail(err)
	}
	return nil
}
