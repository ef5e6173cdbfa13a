package telemetry

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// header is W3C's, and all of it that is read: what a caller puts beside it
// (tracestate, baggage) goes no further.
const header = "traceparent"

// Traceparent is the span of a context in W3C's form, empty for none.
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// under is a context whose next span is a child of one in another process. What
// is no traceparent is none.
func under(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
}

// remote is the span that a traceparent names; it is invalid for what is none.
func remote(ctx context.Context, traceparent string) trace.SpanContext {
	return trace.SpanContextFromContext(under(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), traceparent))
}

// Fields are what a line in the log says of the span it was written in: nothing
// where there is none.
func Fields(ctx context.Context) []zap.Field {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return nil
	}
	return []zap.Field{zap.String("trace_id", sc.TraceID().String()), zap.String("span_id", sc.SpanID().String())}
}

// Request begins the span of a request that was let in: for one that changes
// something, or whose caller traces. It goes on with the caller's trace if there
// is exactly one traceparent, and a good one. over is called once.
func (t *Tracing) Request(r *http.Request, id string, began time.Time) (traced *http.Request, over func(route string, status int)) {
	ctx := r.Context()
	if given := r.Header["Traceparent"]; len(given) == 1 {
		ctx = under(ctx, given[0])
		r = r.WithContext(ctx)
	}
	looks := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !t.On() || looks && !trace.SpanContextFromContext(ctx).IsValid() {
		return r, func(string, int) {}
	}
	ctx, span := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(began),
		trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("gavel.request", id)))
	return r.WithContext(ctx), func(route string, status int) {
		span.SetName(r.Method + " " + route)
		span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Note says something of the span of a context: an id, a state; never what
// somebody wrote.
func Note(ctx context.Context, key, value string) {
	trace.SpanFromContext(ctx).SetAttributes(attribute.String(key, value))
}

// Link points from the span of a context to another.
func Link(ctx context.Context, traceparent, why string) {
	link(trace.SpanFromContext(ctx), remote(ctx, traceparent), why)
}

func link(span trace.Span, to trace.SpanContext, why string) {
	if to.IsValid() {
		span.AddLink(trace.Link{SpanContext: to, Attributes: []attribute.KeyValue{attribute.String("gavel.link", why)}})
	}
}

// Begin begins a span below the one of a context, if that has one.
func Begin(ctx context.Context, name string) (context.Context, func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nothing
	}
	ctx, span := parent.TracerProvider().Tracer(instrumentation).Start(ctx, name)
	return ctx, func(err error) { end(span, err) }
}

// ScriptSpan is the span of one call of a script in one partition; it fits
// rediskit.Clients. Where nobody traces it is nothing.
func ScriptSpan(ctx context.Context, script string, partition int) func(error) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return nothing
	}
	_, span := parent.TracerProvider().Tracer(instrumentation).Start(ctx, script+".lua", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "redis"), attribute.Int("gavel.partition", partition)))
	return func(err error) { end(span, err) }
}

// end ends a span. The text of an error stays in the log, which is read by fewer.
func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "failed")
	}
	span.End()
}

func nothing(error) {}
