package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// lookEvery is how often a followed order is looked at.
const lookEvery = 200 * time.Millisecond

type orderEventsQuery struct {
	ID   string `path:"id" doc:"The order's id"`
	Last string `header:"Last-Event-ID" doc:"The receipt you have: it is not sent again"`
}

func (d *Door) mountFollow(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "order-events", Method: http.MethodGet, Path: "/v1/orders/{id}/events", Summary: "Follow an order to its end",
		Description: "Server-sent events of the type receipt: the whole receipt, whenever it changed, until it is quiesced. " +
			"A client that comes back with the last one is answered 204.",
		Responses: map[string]*huma.Response{
			"200": {Description: "Receipts", Content: map[string]*huma.MediaType{
				"text/event-stream": {Schema: h.OpenAPI().Components.Schemas.Schema(typeOf[receiptView](), true, "Receipt")},
			}},
			"204": {Description: "The order is quiesced and you have its last receipt"},
		},
	}, d.orderEvents)
}

func (d *Door) orderEvents(ctx context.Context, in *orderEventsQuery) (*huma.StreamResponse, error) {
	r, err := d.readableOrder(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if quiesced(r) && in.Last == mark(r) {
		return &huma.StreamResponse{Body: func(h huma.Context) { h.SetStatus(http.StatusNoContent) }}, nil
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		_, w := humago.Unwrap(h)
		d.follow(ctx, w, r, in.Last)
	}}, nil
}

// follow shows an order's receipt whenever it changed, until it is quiesced.
func (d *Door) follow(ctx context.Context, w http.ResponseWriter, r job.Receipt, last string) {
	ctx, stop := d.streaming(ctx)
	defer stop()
	out, err := openStream(w)
	if err != nil {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for said := time.Now(); ; {
		frame := receiptFrame(r, last)
		if frame == nil && time.Since(said) >= d.cfg.KeepAlive {
			frame = []byte(": beat\n\n")
		}
		if frame != nil {
			if err := out.write(frame); err != nil {
				return
			}
			last, said = mark(r), time.Now()
		}
		if quiesced(r) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next, err := d.cfg.Orders.Receipt(ctx, r.Order.ID)
		if err != nil {
			if ctx.Err() == nil {
				d.tell(ctx).Info("an order's stream ended early; its client will come again", zap.String("order", string(r.Order.ID)), zap.Error(err))
			}
			return
		}
		r = next
	}
}

// receiptFrame is the event of a receipt, nil if the client has it.
func receiptFrame(r job.Receipt, last string) []byte {
	id := mark(r)
	if id == last {
		return nil
	}
	data, err := json.Marshal(viewReceipt(r))
	if err != nil { // plain values: it cannot fail
		return nil
	}
	return fmt.Appendf(nil, "id: %s\nevent: receipt\ndata: %s\n\n", id, data)
}

// mark tells receipts apart. When a lease ends is an estimate that moves with
// every look, and no news.
func mark(r job.Receipt) string {
	v := viewReceipt(r)
	v.Open = slices.Clone(v.Open)
	for i := range v.Open {
		v.Open[i].LeaseEnds = nil
	}
	data, err := json.Marshal(v)
	if err != nil { // plain values: it cannot fail
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:12])
}
