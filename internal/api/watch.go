package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

const (
	// glanceEvery is how often the watched fleet is looked at.
	glanceEvery = time.Second
	// glanceFor bounds one look: later than that it is no news.
	glanceFor = 2 * time.Second
)

// fleetNews is the fleet at a moment.
type fleetNews struct {
	At    *time.Time `json:"at" doc:"When it was looked at, on the dispatcher's clock"`
	Fleet fleetView  `json:"fleet"`
}

type fleetEventsQuery struct {
	Last string `header:"Last-Event-ID" doc:"Taken and not needed: each event says everything, and a client that comes back is told how it is now"`
}

// glances shares one look at the fleet between all who watch it.
type glances struct {
	mu   sync.Mutex
	at   time.Time
	view job.Fleet
	err  error
}

// glance is the fleet as it was seen within the last second.
func (d *Door) glance(ctx context.Context) (job.Fleet, time.Time, error) {
	g := &d.glances
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.at) >= glanceEvery*9/10 {
		// The look is for everybody: it goes on when the one who asked leaves.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), glanceFor)
		defer cancel()
		g.at = now
		g.view, g.err = d.cfg.Fleet.View(ctx)
		if errors.Is(g.err, context.DeadlineExceeded) {
			g.err = fmt.Errorf("%w: %w", job.ErrUnavailable, g.err)
		}
	}
	return g.view, g.at, g.err
}

func (d *Door) mountWatch(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "fleet-events", Method: http.MethodGet, Path: "/v1/fleet/events", Summary: "Watch the whole fleet",
		Description: "For operators and admins. Server-sent events, one a second: of the type fleet with the whole view, or of the type trouble " +
			"with a problem while it cannot be looked at. It ends after a while, and when the dispatcher leaves: come again.",
		Responses: map[string]*huma.Response{
			"200": {Description: "The fleet, every second", Content: map[string]*huma.MediaType{
				"text/event-stream": {Schema: h.OpenAPI().Components.Schemas.Schema(typeOf[fleetNews](), true, "FleetNews")},
			}},
		},
	}, d.fleetEvents)
}

func (d *Door) fleetEvents(ctx context.Context, _ *fleetEventsQuery) (*huma.StreamResponse, error) {
	if _, err := access.Authorize(from(ctx).actor, access.ReadFleet, access.WholeFleet()); err != nil {
		return nil, fmt.Errorf("watch the fleet: %w", err)
	}
	if _, _, err := d.glance(ctx); err != nil {
		return nil, fmt.Errorf("watch the fleet: %w", err)
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		_, w := humago.Unwrap(h)
		d.watch(ctx, w)
	}}, nil
}

// watch tells how the fleet is, every second.
func (d *Door) watch(ctx context.Context, w http.ResponseWriter) {
	ctx, stop := d.streaming(ctx)
	defer stop()
	out, err := openStream(w)
	if err != nil {
		return
	}
	tick := time.NewTicker(glanceEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if out.write(d.news(ctx)) != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// news is the event of this second.
func (d *Door) news(ctx context.Context) []byte {
	f, seen, err := d.glance(ctx)
	kind, what := "fleet", any(fleetNews{at(seen), viewFleet(f)})
	if err != nil {
		kind, what = "trouble", d.problemOf(ctx, fmt.Errorf("watch the fleet: %w", err))
	}
	data, err := json.Marshal(what)
	if err != nil { // plain values: it cannot fail
		return []byte(": beat\n\n")
	}
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", seen.UnixMilli(), kind, data)
}
