package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// Config is what a door needs. The first block is required.
type Config struct {
	// Name is the fleet's name: what a kill-all has to repeat.
	Name string
	// Partitions is how many the fleet has: an id that carries another is
	// unknown.
	Partitions  int
	Auth        access.Authenticator
	Jobs        Jobs
	Events      Events
	Orders      Orders
	Blocks      Blocks
	Gate        Gate
	Drills      Drills
	Fleet       Fleet
	Books       Books
	Raises      Raises
	Checkpoints Checkpoints
	Transcripts Transcripts
	Audit       Audit
	Keys        Keys
	// CursorKey signs cursors, at least 16 bytes, the same on every dispatcher.
	CursorKey []byte
	// Kinds are the kinds of job the fleet runs, each with a check of its input
	// whose error is shown to the caller; nil checks nothing.
	Kinds map[string]func(input []byte) error
	// Models says which models an input of a kind names, after its check; nil, or a
	// kind that is not in it, for none.
	Models map[string]func(input []byte) []string

	// Ready says whether requests can be served; nil is always.
	Ready func(ctx context.Context) error
	// Answered is told of each answer: the route's pattern, empty for none, and
	// how long it took; nil for nobody.
	Answered func(route, method string, status int, took time.Duration)
	// Trace begins to follow a request that was let in, in the context of the one it
	// returns, and is told its route and status when it is answered; nil follows
	// nothing.
	Trace func(r *http.Request, id string, began time.Time) (traced *http.Request, over func(route string, status int))
	// Limits are how much it takes of each subject, and at once.
	Limits Limits
	// Drilled is told of each drill that was written down; nil for nobody.
	Drilled func(job.Drill)
	// Hosts are the Host headers answered to, without port; empty is any.
	Hosts []string
	// Version is shown in the OpenAPI document.
	Version string
	Log     *zap.Logger
	// Now is the dispatcher's clock.
	Now func() time.Time
	// KeepAlive is how often an idle event stream says that it is alive; 0 is
	// 15 s.
	KeepAlive time.Duration
	// StreamFor is how long one event stream may last before the client has to
	// come again and show its credential; 0 is 15 minutes.
	StreamFor time.Duration
}

// Door answers HTTP. It is an [http.Handler].
type Door struct {
	cfg    Config
	log    *zap.Logger
	routes *http.ServeMux
	// openapi writes the document when it is first asked for: most who open a
	// door never ask, and it takes longer than all the rest.
	openapi func() ([]byte, error)

	glances glances
	limits  limiter

	closing chan struct{}
	once    sync.Once
}

// New checks the configuration whole and builds the door.
func New(cfg Config) (*Door, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = 15 * time.Second
	}
	if cfg.StreamFor == 0 {
		cfg.StreamFor = 15 * time.Minute
	}
	limits, err := newLimiter(cfg.Limits)
	if err != nil {
		return nil, err
	}
	d := &Door{cfg: cfg, log: cfg.Log, routes: http.NewServeMux(), closing: make(chan struct{}), limits: limits}
	d.mount()
	return d, nil
}

func (cfg Config) check() error {
	missing := map[string]bool{
		"Auth": cfg.Auth == nil, "Jobs": cfg.Jobs == nil, "Events": cfg.Events == nil, "Orders": cfg.Orders == nil, "Blocks": cfg.Blocks == nil,
		"Gate": cfg.Gate == nil, "Drills": cfg.Drills == nil, "Fleet": cfg.Fleet == nil, "Books": cfg.Books == nil, "Raises": cfg.Raises == nil, "Checkpoints": cfg.Checkpoints == nil, "Transcripts": cfg.Transcripts == nil, "Audit": cfg.Audit == nil, "Keys": cfg.Keys == nil,
	}
	for name, is := range missing {
		if is {
			return fmt.Errorf("api: Config.%s is missing", name)
		}
	}
	if err := job.CheckName("Config.Name", cfg.Name, job.MaxName); err != nil {
		return fmt.Errorf("api: %w", err)
	}
	if cfg.Partitions < 1 || cfg.Partitions > 256 {
		return fmt.Errorf("api: Config.Partitions is %d; want 1 to 256", cfg.Partitions)
	}
	if len(cfg.CursorKey) < 16 {
		return errors.New("api: Config.CursorKey has fewer than 16 bytes")
	}
	if len(cfg.Kinds) == 0 {
		return errors.New("api: Config.Kinds is empty; a fleet runs at least one kind of job")
	}
	for kind := range cfg.Kinds {
		if err := job.CheckName("a kind", kind, job.MaxName); err != nil {
			return fmt.Errorf("api: Config.Kinds: %w", err)
		}
	}
	if cfg.KeepAlive < 0 || cfg.StreamFor < 0 || cfg.StreamFor > 0 && cfg.StreamFor < cfg.KeepAlive {
		return errors.New("api: Config.StreamFor must not be shorter than KeepAlive, nor either negative")
	}
	return nil
}

// CloseStreams ends the event streams that are open, now and from now on, so
// that a server can shut down. It may be called any number of times.
func (d *Door) CloseStreams() { d.once.Do(func() { close(d.closing) }) }

// OpenAPI is the OpenAPI 3.1 document of the door, as JSON. An error is one of
// the routes' declarations.
func (d *Door) OpenAPI() ([]byte, error) { return d.openapi() }

// mount registers every route with huma, on the door's own mux.
func (d *Door) mount() {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	h := humago.New(d.routes, huma.Config{
		OpenAPI: &huma.OpenAPI{
			Info: &huma.Info{
				Title: "Gavel", Version: d.cfg.Version,
				License:     &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"},
				Description: "Runs LLM deliberations on a fleet of workers and can stop any of them, or all of them, at once.",
			},
			Servers: []*huma.Server{{URL: "/", Description: "The dispatcher that serves this document"}},
			Components: &huma.Components{
				Schemas:         registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}},
			},
			Security: []map[string][]string{{"bearer": {}}},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{fromHuma},
	})
	d.mountJobs(h)
	d.mountOrders(h)
	d.mountIssue(h)
	d.mountFollow(h)
	d.mountBlocks(h)
	d.mountFleet(h)
	d.mountDrills(h)
	d.mountWatch(h)
	d.mountMe(h)
	d.mountSpend(h)
	d.mountBudgets(h)
	d.mountKeys(h)
	d.mountResume(h)
	d.mountCheckpoints(h)
	d.mountTranscript(h)
	delete(registry.Map(), "ErrorModel")
	delete(registry.Map(), "ErrorDetail")
	d.openapi = sync.OnceValues(h.OpenAPI().MarshalJSON)
	d.routes.HandleFunc("GET "+pathOpenAPI, d.document)
	d.routes.HandleFunc("GET "+pathHealth, d.health)
	d.routes.HandleFunc("GET "+pathReady, d.ready)
}

func (d *Door) document(w http.ResponseWriter, r *http.Request) {
	doc, err := d.openapi()
	if err != nil {
		d.refuse(w, r, fmt.Errorf("write the OpenAPI document: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/openapi+json")
	_, _ = w.Write(doc)
}

// The routes that need no credential.
const (
	pathOpenAPI = "/openapi.json"
	pathHealth  = "/healthz"
	pathReady   = "/readyz"
)

func public(path string) bool {
	return path == pathOpenAPI || path == pathHealth || path == pathReady
}

// health says that the process runs.
func (d *Door) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
}

// ready says that requests can be served.
func (d *Door) ready(w http.ResponseWriter, r *http.Request) {
	if d.cfg.Ready != nil {
		if err := d.cfg.Ready(r.Context()); err != nil {
			d.log.Warn("not ready", zap.Error(err))
			d.refuse(w, r, problem(http.StatusServiceUnavailable, typeNotReady, "Not ready",
				"This dispatcher cannot serve requests now; ask another, or this one later.").after(job.RetryAfter))
			return
		}
	}
	if lost := d.cfg.Gate.Losses(); len(lost) > 0 {
		// Ready all the same: what is refused is to start work, and whoever has to
		// kill, freeze or adopt needs a door.
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"authority-lost"}` + "\n"))
		return
	}
	d.health(w, r)
}

// route registers one operation: its errors go through problemOf, its document
// says that every failure is a problem.
func route[I, O any](d *Door, h huma.API, op huma.Operation, fn func(context.Context, *I) (*O, error)) {
	problems := &huma.Response{
		Description: "A problem (RFC 9457)",
		Content: map[string]*huma.MediaType{
			problemType: {Schema: h.OpenAPI().Components.Schemas.Schema(typeOf[Problem](), true, "Problem")},
		},
	}
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["4XX"], op.Responses["default"] = problems, problems
	// The guard has read and checked the body: huma only documents it.
	body := op.RequestBody
	op.RequestBody = nil
	huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := fn(ctx, in)
		if err != nil {
			return nil, d.problemOf(ctx, err)
		}
		return out, nil
	})
	if body != nil {
		documented := h.OpenAPI().Paths[op.Path].Post
		if op.Method == http.MethodPut {
			documented = h.OpenAPI().Paths[op.Path].Put
		}
		documented.RequestBody = body
	}
}
