package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type ordersQuery struct {
	Limit int `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type ordersView struct {
	Orders  []receiptView `json:"orders"`
	Missing []int         `json:"missing_partitions,omitempty" doc:"Partitions that could not be read: orders that only they know are not here"`
}

type orderID struct {
	ID string `path:"id" doc:"The order's id"`
}

func (d *Door) mountOrders(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "list-orders", Method: http.MethodGet, Path: "/v1/orders", Summary: "List the last orders, newest first",
		Description: "For operators and admins.",
	}, d.orders)
	route(d, h, huma.Operation{
		OperationID: "receipt", Method: http.MethodGet, Path: "/v1/orders/{id}", Summary: "Read an order's receipt",
		Description: "For operators and admins, and for whoever may read the one job it is about.",
	}, d.receipt)
}

func (d *Door) orders(ctx context.Context, in *ordersQuery) (*answer[ordersView], error) {
	if _, err := access.Authorize(from(ctx).actor, access.ReadFleet, access.WholeFleet()); err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	rs, missing, err := d.cfg.Orders.Orders(ctx, in.Limit)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	out := ordersView{Orders: []receiptView{}, Missing: missing}
	for _, r := range rs {
		out.Orders = append(out.Orders, viewReceipt(r))
	}
	return &answer[ordersView]{out}, nil
}

func (d *Door) receipt(ctx context.Context, in *orderID) (*answer[receiptView], error) {
	r, err := d.readableOrder(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &answer[receiptView]{viewReceipt(r)}, nil
}

// readableOrder returns the receipt if the actor may see it, and job.ErrUnknown
// if not.
func (d *Door) readableOrder(ctx context.Context, raw string) (job.Receipt, error) {
	id, err := d.parse(raw)
	if err != nil {
		return job.Receipt{}, err
	}
	r, err := d.cfg.Orders.Receipt(ctx, id)
	if err != nil {
		return job.Receipt{}, fmt.Errorf("read the receipt: %w", err)
	}
	target := access.WholeFleet()
	if r.Order.Scope.Kind == job.ScopeJob && r.Job != nil {
		target = access.Record(*r.Job)
	}
	if _, err := access.Authorize(from(ctx).actor, access.Read, target); err != nil {
		return job.Receipt{}, job.ErrUnknown
	}
	return r, nil
}
