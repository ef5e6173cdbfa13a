package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type logQuery struct {
	Partition int    `query:"partition" minimum:"0" maximum:"255" default:"0"`
	After     string `query:"after" doc:"Id of the last entry you have; empty is from the beginning" example:"1764000000000-0"`
	Limit     int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

// logView is a stretch of the log in the form that its chain is computed over.
type logView struct {
	Fleet      string       `json:"fleet"`
	Partitions int          `json:"partitions"`
	Last       uint64       `json:"last" doc:"Number of the newest entry of the partition"`
	LastID     string       `json:"last_id,omitempty" doc:"Id of the newest entry of the partition"`
	Head       *headView    `json:"head,omitempty" doc:"How far the log is sealed"`
	Entries    []recordView `json:"entries"`
}

type recordView struct {
	ID     string            `json:"id"`
	Fields map[string]string `json:"fields"`
}

type headView struct {
	N         uint64 `json:"n"`
	ID        string `json:"id" doc:"Of the last sealed entry"`
	Hash      string `json:"hash" doc:"SHA-256 of the chain up to it, in hex"`
	At        string `json:"at"`
	Key       string `json:"key" doc:"Public key (Ed25519) of the signer, base64"`
	Signature string `json:"signature"`
}

type auditQuery struct {
	Job    string    `query:"job" doc:"Entries about this job, and those of the order that stopped it; an order's id is taken too"`
	Act    string    `query:"act" example:"kill"`
	Actor  string    `query:"actor" doc:"Who acted, or tried to"`
	Since  time.Time `query:"since" doc:"Not before, RFC 3339"`
	Until  time.Time `query:"until" doc:"Not after"`
	Cursor string    `query:"cursor"`
	Limit  int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type auditView struct {
	Entries []entryView `json:"entries"`
	Next    string      `json:"next,omitempty"`
}

func (d *Door) mountLog(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "audit", Method: http.MethodGet, Path: "/v1/audit", Summary: "Read the audit, newest first", Description: "For admins.",
	}, d.audit)
	route(d, h, huma.Operation{
		OperationID: "audit-log", Method: http.MethodGet, Path: "/v1/audit/log", Summary: "Read the audit as it is, oldest first",
		Description: "For admins. All of one partition's entries, each whole, and the signed head of their chain: what gavel audit verify checks. It answers at once, also when there is nothing new.",
	}, d.auditLog)
}

func (d *Door) auditLog(ctx context.Context, in *logQuery) (*answer[logView], error) {
	if _, err := d.overFleet(ctx, access.ReadAudit, "", ""); err != nil {
		return nil, err
	}
	if in.Partition >= d.cfg.Partitions {
		return nil, invalid(fmt.Sprintf("partition is %d; this fleet has 0–%d.", in.Partition, d.cfg.Partitions-1))
	}
	if in.After != "" && !isPosition(in.After) {
		return nil, invalid("after is no id of an entry, such as 1764000000000-0.")
	}
	page, err := d.cfg.Audit.Page(ctx, in.Partition, in.After, in.Limit)
	if err != nil {
		return nil, fmt.Errorf("read the audit's log: %w", err)
	}
	return &answer[logView]{viewLog(page)}, nil
}

func viewLog(p job.AuditPage) logView {
	v := logView{Fleet: p.Fleet, Partitions: p.Partitions, Last: p.Last, LastID: p.LastID, Entries: []recordView{}}
	if h := p.Head; h.Hash != "" {
		v.Head = &headView{h.N, h.ID, h.Hash, h.At, h.Key, h.Signature}
	}
	for _, r := range p.Records {
		v.Entries = append(v.Entries, recordView{r.ID, r.Fields})
	}
	return v
}

func (d *Door) audit(ctx context.Context, in *auditQuery) (*answer[auditView], error) {
	if _, err := d.overFleet(ctx, access.ReadAudit, "", ""); err != nil {
		return nil, err
	}
	q, err := in.check()
	if err != nil {
		return nil, err
	}
	bound := []string{"audit", from(ctx).actor.Subject, in.Act, in.Job, in.Actor, in.Since.String(), in.Until.String()}
	cursor, err := d.unseal(in.Cursor, bound...)
	if err != nil {
		return nil, err
	}
	if q.Order, err = d.stoppedBy(ctx, q.About); err != nil {
		return nil, err
	}
	entries, next, err := d.cfg.Audit.List(ctx, q, cursor, in.Limit)
	if err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	out := auditView{Entries: []entryView{}, Next: d.seal(next, bound...)}
	for _, e := range entries {
		out.Entries = append(out.Entries, viewEntry(e))
	}
	return &answer[auditView]{out}, nil
}

// stoppedBy is the order over a job, if it is one and is kept still: an order
// over many does not name them in its entry.
func (d *Door) stoppedBy(ctx context.Context, id job.ID) (job.ID, error) {
	if id == "" {
		return "", nil
	}
	j, err := d.cfg.Jobs.Job(ctx, id)
	if err != nil && !errors.Is(err, job.ErrUnknown) {
		return "", fmt.Errorf("look for the order over the job: %w", err)
	}
	return j.Order, nil
}

func (in *auditQuery) check() (job.AuditQuery, error) {
	q := job.AuditQuery{Act: in.Act, Actor: in.Actor, Since: in.Since, Until: in.Until}
	for what, name := range map[string]string{"act": in.Act, "actor": in.Actor} {
		if name == "" {
			continue
		}
		if err := job.CheckName(what, name, job.MaxName); err != nil {
			return q, err
		}
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && q.Until.Before(q.Since) {
		return q, invalid("until is before since.")
	}
	if in.Job == "" {
		return q, nil
	}
	id, err := job.ParseID(in.Job)
	if err != nil {
		return q, invalid("job is " + err.Error() + ".")
	}
	q.About = id
	return q, nil
}
