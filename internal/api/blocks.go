package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type blockBody struct {
	On       string `json:"on" required:"true" enum:"owner,kind,label"`
	Label    string `json:"label,omitempty" doc:"The label's key, on a label"`
	Value    string `json:"value" required:"true" doc:"The owner, the kind, or the label's value"`
	Reason   string `json:"reason" required:"true" maxLength:"1024" doc:"Shown to whoever is refused"`
	Incident string `json:"incident,omitempty" maxLength:"128"`
}

type liftBody struct {
	Seen   string `json:"seen" required:"true" doc:"The gate's head as you last saw it: nothing is lifted if it changed since"`
	Reason string `json:"reason" required:"true" maxLength:"1024"`
}

type blockView struct {
	ID         string     `json:"id"`
	On         string     `json:"on" enum:"owner,kind,label"`
	Label      string     `json:"label,omitempty"`
	Value      string     `json:"value"`
	Actor      string     `json:"actor"`
	Reason     string     `json:"reason"`
	Incident   string     `json:"incident,omitempty"`
	RecordedAt *time.Time `json:"recorded_at,omitempty"`
	Missing    []int      `json:"missing_partitions,omitempty" doc:"Where it is not known to stand: not yet, or no more, or the partition cannot be read"`
	Lifted     bool       `json:"lifted,omitempty" doc:"It refuses nothing any more; what it had put aside comes back to the road"`
}

func viewBlock(b job.Block) blockView {
	return blockView{string(b.ID), string(b.On), b.Label, b.Value, b.Actor, b.Reason, b.Incident, at(b.RecordedAt), b.Missing, b.Lifted}
}

type blocksView struct {
	Blocks []blockView `json:"blocks" doc:"Those that stand, oldest first"`
	Head   string      `json:"head" doc:"What a lift has to say it saw"`
}

type blockedAnswer struct {
	Status int
	Body   blockView
}

type liftInput struct {
	ID  string `path:"id" doc:"The standing order's id"`
	Key string `header:"Idempotency-Key" doc:"The same key gives the same answer"`
}

func (d *Door) mountBlocks(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "block", Method: http.MethodPost, Path: "/v1/blocks", Summary: "Block an owner, a kind or a label",
		Description: "For operators and admins. A standing order: until it is lifted such jobs are neither admitted (403 blocked-by-order) nor started; " +
			"what runs goes on. 200 when it stands everywhere, 202 while it is being recorded.",
		RequestBody: takes[blockBody](h),
	}, d.block)
	route(d, h, huma.Operation{
		OperationID: "list-blocks", Method: http.MethodGet, Path: "/v1/blocks", Summary: "List the standing orders", Description: "For operators and admins.",
	}, d.blocks)
	route(d, h, huma.Operation{
		OperationID: "lift", Method: http.MethodPost, Path: "/v1/blocks/{id}/lift", Summary: "Lift a standing order",
		Description: "For admins. The jobs it had put aside come back to the road. 409 gate-changed if the gate changed since you looked.",
		RequestBody: takes[liftBody](h),
	}, d.lift)
}

func (d *Door) block(ctx context.Context, _ *keyAllowed) (*blockedAnswer, error) {
	body, err := decode[blockBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if err := checkWhy(body.Reason, body.Incident); err != nil {
		return nil, err
	}
	b := job.Block{On: job.BlockedThing(body.On), Label: body.Label, Value: body.Value, Reason: body.Reason, Incident: body.Incident}
	if err := b.Check(); err != nil {
		return nil, fmt.Errorf("block: %w", err)
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.overFleet(deed, access.Block, body.Reason, body.Incident)
	if err != nil {
		return nil, err
	}
	if b, err = d.cfg.Blocks.Block(deed, permit, b, from(ctx).key); err != nil {
		return nil, fmt.Errorf("block: %w", err)
	}
	d.tell(ctx).Warn("block", zap.String("order", string(b.ID)), zap.String("actor", permit.Actor().Subject),
		zap.String("on", body.On), zap.String("label", body.Label), zap.String("value", body.Value), zap.String("reason", body.Reason))
	out := &blockedAnswer{Status: http.StatusOK, Body: viewBlock(b)}
	if len(b.Missing) > 0 {
		out.Status = http.StatusAccepted
	}
	return out, nil
}

func (d *Door) blocks(ctx context.Context, _ *struct{}) (*answer[blocksView], error) {
	if _, err := access.Authorize(from(ctx).actor, access.ReadFleet, access.WholeFleet()); err != nil {
		return nil, fmt.Errorf("list blocks: %w", err)
	}
	bs, heads, err := d.cfg.Blocks.Blocks(ctx)
	if err != nil {
		return nil, fmt.Errorf("list blocks: %w", err)
	}
	out := blocksView{Blocks: []blockView{}, Head: strings.Join(heads, ",")}
	for _, b := range bs {
		out.Blocks = append(out.Blocks, viewBlock(b))
	}
	return &answer[blocksView]{out}, nil
}

func (d *Door) lift(ctx context.Context, in *liftInput) (*answer[blockView], error) {
	body, err := decode[liftBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if err := checkWhy(body.Reason, ""); err != nil {
		return nil, err
	}
	if err := job.CheckText("seen", body.Seen, maxSeen); err != nil {
		return nil, err
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.overFleet(deed, access.Lift, body.Reason, "")
	if err != nil {
		return nil, err
	}
	id, err := d.parse(in.ID)
	if err != nil { // no script will see it
		return nil, d.note(deed, access.RuleUnknown, job.AuditEntry{Act: string(access.Lift), Fields: map[string]string{
			"scope": "block", "subject": safe(in.ID), "reason": body.Reason,
		}}, job.ErrUnknown)
	}
	b, err := d.cfg.Blocks.Lift(deed, permit, id, body.Seen, body.Reason, from(ctx).key)
	if err != nil {
		return nil, fmt.Errorf("lift: %w", err)
	}
	d.tell(ctx).Warn("lift", zap.String("order", string(b.ID)), zap.String("actor", permit.Actor().Subject),
		zap.String("reason", body.Reason))
	return &answer[blockView]{viewBlock(b)}, nil
}
