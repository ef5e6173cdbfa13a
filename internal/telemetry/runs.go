package telemetry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/rtfm-si/gavel/internal/job"
)

// A run's span has an id that follows from its job and the number of its grant,
// so that the next run of the job, on whatever worker, can point at it; and where
// nobody traced the submit, the trace has one that follows from the job.
func spanOf(id job.ID, grants int) (s trace.SpanID) {
	sum := sha256.Sum256([]byte("run " + strconv.Itoa(grants) + " " + string(id)))
	copy(s[:], sum[:])
	return s
}

func traceOf(id job.ID) (t trace.TraceID) {
	sum := sha256.Sum256([]byte("job " + string(id)))
	copy(t[:], sum[:])
	return t
}

// chosen are ids that the next span of a context has to have; a zero one is drawn.
type chosen struct {
	trace trace.TraceID
	span  trace.SpanID
}

type chosenKey struct{}

// idGenerator draws ids, unless the context says which.
type idGenerator struct{}

// NewIDs implements the SDK's IDGenerator.
func (g idGenerator) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	c, _ := ctx.Value(chosenKey{}).(chosen)
	if !c.trace.IsValid() {
		_, _ = rand.Read(c.trace[:])
	}
	return c.trace, g.NewSpanID(ctx, c.trace)
}

// NewSpanID implements the SDK's IDGenerator.
func (idGenerator) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	c, _ := ctx.Value(chosenKey{}).(chosen)
	if !c.span.IsValid() {
		_, _ = rand.Read(c.span[:])
	}
	return c.span
}

// Trail is the span of one run, with what the work did as its events and each
// paid call as a span below it. It is safe for concurrent use; the nil Trail
// tells nobody.
type Trail struct {
	tracer trace.Tracer
	ctx    func() context.Context // carries the run's span
	span   trace.Span

	mu    sync.Mutex
	calls map[string]trace.Span
	over  bool
}

// Run begins the trail of a claim that was asked for at a time: first how long
// the job has waited on the road, by Redis's clock, then the run itself.
func (t *Tracing) Run(ctx context.Context, g job.Granted, asked time.Time) (context.Context, *Trail) {
	if !t.On() {
		return under(ctx, g.Job.Trace), nil
	}
	j := g.Job
	base := under(ctx, j.Trace)
	of := trace.SpanContextFromContext(base)
	ids := chosen{trace: of.TraceID()}
	if !of.IsValid() {
		ids.trace = traceOf(j.ID)
	}
	about := trace.WithAttributes(
		attribute.String("gavel.job", string(j.ID)), attribute.String("gavel.owner", j.Owner), attribute.String("gavel.kind", j.Kind),
		attribute.String("gavel.worker", g.Claim.Worker), attribute.Int("gavel.grant", j.Grants), attribute.Int("gavel.attempt", j.Attempts+1),
	)
	waiting := context.WithValue(base, chosenKey{}, ids)
	if !j.QueuedAt.IsZero() && j.GrantedAt.After(j.QueuedAt) {
		_, road := t.tracer.Start(waiting, "road", about, trace.WithTimestamp(j.QueuedAt))
		road.End(trace.WithTimestamp(j.GrantedAt))
	}
	_, grant := t.tracer.Start(waiting, "grant", about, trace.WithTimestamp(asked))
	grant.End()
	ids.span = spanOf(j.ID, j.Grants)
	_, span := t.tracer.Start(context.WithValue(base, chosenKey{}, ids), "run", about, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attribute.String("gavel.epoch", g.Claim.Epoch)))
	if j.Grants > 1 {
		link(span, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: ids.trace, SpanID: spanOf(j.ID, j.Grants-1), TraceFlags: span.SpanContext().TraceFlags(), Remote: true,
		}), "the run before")
	}
	ctx = trace.ContextWithSpan(ctx, span)
	return ctx, &Trail{tracer: t.tracer, span: span, calls: map[string]trace.Span{}, ctx: func() context.Context { return ctx }}
}

// word is a caller's word as far as it is fit for a span: a name, not a text.
func word(s string) string {
	if job.CheckName("word", s, job.MaxName) != nil {
		return "other"
	}
	return s
}

// Event notes that the work reported something of a type; what it said is its
// owner's.
func (t *Trail) Event(kind string) {
	if t != nil {
		t.span.AddEvent(word(kind))
	}
}

// Saved notes a checkpoint that was accepted.
func (t *Trail) Saved(c job.Checkpoint) {
	if t != nil {
		t.span.AddEvent("checkpoint", trace.WithAttributes(
			attribute.Int64("gavel.checkpoint", int64(c.Seq)), attribute.String("gavel.node", word(c.Node)))) //nolint:gosec // counted, not given
	}
}

// Reserved begins the span of a paid call, or notes that its permit was renewed.
func (t *Trail) Reserved(c job.Call) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.calls[c.ID]; s != nil {
		s.AddEvent("reserved again")
		return
	}
	if t.over {
		return
	}
	model := word(c.Model)
	_, t.calls[c.ID] = t.tracer.Start(t.ctx(), "call "+model, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("gen_ai.request.model", model), attribute.String("gavel.call", word(c.ID)), attribute.Int64("gavel.reserved_micro_usd", int64(c.Max))))
}

// Settled ends the span of a call that was booked.
func (t *Trail) Settled(u job.Usage) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.calls[u.CallID]
	if s == nil {
		return
	}
	delete(t.calls, u.CallID)
	s.SetAttributes(
		attribute.Int("gen_ai.usage.input_tokens", u.InputTokens), attribute.Int("gen_ai.usage.output_tokens", u.OutputTokens),
		attribute.Int64("gavel.cost_micro_usd", int64(u.Cost)), attribute.Bool("gavel.estimated", u.Estimated))
	s.End()
}

// Ended ends the run's span: how its claim ended, where the job is now, and why.
// A killed one points at the kill. What ends twice has ended the first time.
func (t *Trail) Ended(how, cause string, e job.Ended) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	t.over = true
	for _, s := range t.calls {
		s.SetStatus(codes.Error, "not settled")
		s.End()
	}
	t.span.SetAttributes(attribute.String("gavel.ended_by", how), attribute.String("gavel.cause", cause), attribute.String("gavel.state", string(e.State)))
	if e.Order != "" {
		t.span.SetAttributes(attribute.String("gavel.order", string(e.Order)))
		link(t.span, remote(t.ctx(), e.Trace), "the kill")
	}
	switch e.State {
	case job.Succeeded:
		t.span.SetStatus(codes.Ok, "")
	case job.Failed, job.Killed, job.Delayed:
		t.span.SetStatus(codes.Error, cause)
	default:
	}
	t.span.End()
}
