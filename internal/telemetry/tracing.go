package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

// Tracing makes spans and sends them away, or does neither. It is off unless the
// environment asks for it in OpenTelemetry's own words (OTEL_*), which the SDK
// reads: a collector's endpoint, or OTEL_TRACES_EXPORTER=otlp.
//
// What a process does never waits for it: spans are queued, what does not fit is
// dropped, and a collector that does not answer is a line in the log.
type Tracing struct {
	tracer   trace.Tracer
	provider *sdk.TracerProvider // nil while off
	sent     *patientExporter
}

// LastFlush is how long a process may take to send its last spans; it is part of
// the grace (deploy/README.md).
const LastFlush = time.Second

// Process says whose spans they are.
type Process struct {
	// Service is the name where OTEL_SERVICE_NAME gives none.
	Service string
	Version string
	Fleet   string
	// Instance tells processes of one service apart; empty for the SDK's choice.
	Instance string
}

// instrumentation names who made the spans.
const instrumentation = "github.com/rtfm-si/gavel"

// NewTracing reads OTEL_* with env. A value that the SDK would pass over in
// silence is an error here: nobody finds out otherwise why there are no traces.
func NewTracing(ctx context.Context, p Process, env func(string) string, log *zap.Logger) (*Tracing, error) {
	asked, err := tracesAsked(env)
	if err != nil {
		return nil, err
	}
	if !asked {
		return &Tracing{tracer: noop.NewTracerProvider().Tracer(instrumentation)}, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Debug("traces: " + Redact(err.Error())) }))
	to, err := exporter(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	own := []attribute.KeyValue{
		attribute.String("service.name", p.Service), attribute.String("service.version", p.Version), attribute.String("gavel.fleet", p.Fleet),
	}
	if p.Instance != "" {
		own = append(own, attribute.String("service.instance.id", p.Instance))
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(own...), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("traces: %w", err)
	}
	t := &Tracing{sent: &patientExporter{SpanExporter: to, log: log, every: time.Minute}}
	t.provider = sdk.NewTracerProvider(sdk.WithBatcher(t.sent), sdk.WithResource(about), sdk.WithIDGenerator(idGenerator{}))
	t.tracer = t.provider.Tracer(instrumentation, trace.WithInstrumentationVersion(p.Version))
	log.Info("spans are sent", zap.String("protocol", protocol(env)))
	return t, nil
}

// exporter is the SDK's; endpoint, headers, certificates and timeouts are its
// to read.
func exporter(ctx context.Context, env func(string) string) (sdk.SpanExporter, error) {
	if protocol(env) == "grpc" {
		return otlptracegrpc.New(ctx) //nolint:wrapcheck // its caller does
	}
	return otlptracehttp.New(ctx) //nolint:wrapcheck // its caller does
}

func protocol(env func(string) string) string {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if v := strings.TrimSpace(env(name)); v != "" {
			return v
		}
	}
	return "http/protobuf"
}

// tracesAsked says whether the environment asks for traces, and what is wrong
// with how it does.
func tracesAsked(env func(string) string) (bool, error) {
	switch v := strings.ToLower(env("OTEL_SDK_DISABLED")); v {
	case "", "false":
	case "true":
		return false, nil
	default:
		return false, fmt.Errorf("OTEL_SDK_DISABLED is %q; want true or false", v)
	}
	switch v := strings.TrimSpace(env("OTEL_TRACES_EXPORTER")); v {
	case "otlp":
	case "none":
		return false, nil
	case "":
		if env("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return false, nil
		}
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q; want otlp or none", v)
	}
	if p := protocol(env); !slices.Contains([]string{"grpc", "http/protobuf"}, p) {
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; want http/protobuf or grpc", p)
	}
	return true, samplerAsked(env)
}

func samplerAsked(env func(string) string) error {
	name, arg := strings.ToLower(strings.TrimSpace(env("OTEL_TRACES_SAMPLER"))), strings.TrimSpace(env("OTEL_TRACES_SAMPLER_ARG"))
	switch name {
	case "", "always_on", "always_off", "parentbased_always_on", "parentbased_always_off":
		return nil
	case "traceidratio", "parentbased_traceidratio":
		if arg == "" {
			return nil
		}
		if f, err := strconv.ParseFloat(arg, 64); err != nil || !(f >= 0 && f <= 1) {
			return fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %q; want a share from 0 to 1", arg)
		}
		return nil
	default:
		return fmt.Errorf("OTEL_TRACES_SAMPLER is %q; want always_on, always_off, traceidratio, or one of these behind parentbased_", name)
	}
}

// On says whether spans are made.
func (t *Tracing) On() bool { return t.provider != nil }

// Close sends what is queued, for at most as long as it may take, and no more
// after that.
func (t *Tracing) Close(ctx context.Context, within time.Duration) {
	if !t.On() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.sent.log.Warn("not all spans were sent at the end", zap.Error(err))
	}
}

// patientExporter lets the process go on as if nothing were, and says no more
// than once in a while that spans are lost.
type patientExporter struct {
	sdk.SpanExporter

	log   *zap.Logger
	every time.Duration

	mu   sync.Mutex
	said time.Time
	lost int
}

// ExportSpans implements [sdk.SpanExporter].
func (p *patientExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := p.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost += len(spans)
	if p.said.IsZero() || time.Since(p.said) >= p.every {
		p.log.Warn("spans lost: the collector does not take them", zap.Int("spans", p.lost), zap.String("error", Redact(err.Error())))
		p.said, p.lost = time.Now(), 0
	}
	return nil
}
