package audit

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

//go:embed lua/*.lua
var scripts embed.FS

// Redis is the audit log of a fleet. It is safe for concurrent use.
type Redis struct {
	run        rediskit.Runner
	partitions rediskit.Partitions
	scripts    map[string]*rediskit.Script
}

// NewRedis returns the log of a fleet.
func NewRedis(run rediskit.Runner, ps rediskit.Partitions) (*Redis, error) {
	s, err := rediskit.LoadAll(scripts, "deny", "elect", "seal")
	if err != nil {
		return nil, err
	}
	return &Redis{run: run, partitions: ps, scripts: s}, nil
}

// Deny writes down an act that was refused at the door. The entry goes to the
// partition of the job it names, and to the first one otherwise.
func (a *Redis) Deny(ctx context.Context, e job.AuditEntry) error {
	slot := a.partitions.Slot(0)
	if id, err := job.ParseID(e.Fields["subject"]); err == nil {
		if s, err := a.partitions.SlotOf(id); err == nil {
			slot = s
		}
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	_, err := a.run.Run(cctx, a.scripts["deny"], rediskit.Place{Slot: slot}, rediskit.Args{
		"act": e.Act, "rule": e.Rule, "who": []byte(e.Who), "scope": e.Fields["scope"], "subject": e.Fields["subject"],
		"reason": e.Fields["reason"], "incident": e.Fields["incident"],
	})
	return rediskit.Unavailable(err)
}

// pageScan bounds how many entries of a partition one page looks at.
const pageScan = 1000

// List returns entries, newest first, and the cursor of the next page, empty at
// the end.
func (a *Redis) List(ctx context.Context, q job.AuditQuery, cursor string, limit int) ([]job.AuditEntry, string, error) {
	at, err := parseCursor(cursor, a.partitions.Count)
	if err != nil {
		return nil, "", err
	}
	var found []positioned
	for p := range at {
		entries, err := a.below(ctx, p, at[p], q)
		if err != nil {
			return nil, "", err
		}
		found = append(found, entries...)
	}
	slices.SortStableFunc(found, func(x, y positioned) int { return y.entry.At.Compare(x.entry.At) })
	var out []job.AuditEntry
	for _, f := range found {
		if len(out) == limit {
			return out, at.String(), nil
		}
		at[f.entry.Partition] = f.id
		if matches(f.entry, q) {
			out = append(out, f.entry)
		}
	}
	if len(found) < pageScan {
		return out, "", nil
	}
	return out, at.String(), nil
}

// positioned is an entry with its place in its partition's stream.
type positioned struct {
	id    string
	entry job.AuditEntry
}

func (a *Redis) below(ctx context.Context, p int, from string, q job.AuditQuery) ([]positioned, error) {
	top, bottom := "+", "-"
	if !q.Until.IsZero() {
		top = strconv.FormatInt(q.Until.UnixMilli(), 10)
	}
	if !q.Since.IsZero() {
		bottom = strconv.FormatInt(q.Since.UnixMilli(), 10)
	}
	if from != "" {
		top = "(" + from
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	got, err := a.run.Client.XRevRangeN(cctx, a.partitions.Slot(p).Of("audit"), top, bottom, pageScan).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	out := make([]positioned, len(got))
	for i, m := range got {
		out[i] = positioned{id: m.ID, entry: entryFrom(p, m)}
	}
	return out, nil
}

func entryFrom(p int, m redis.XMessage) job.AuditEntry {
	fields := make(map[string]string, len(m.Values))
	for name, v := range m.Values {
		fields[name], _ = v.(string)
	}
	return entryOf(p, fields)
}

// whoFrom is the actor as JSON; what is none is null.
func whoFrom(text string) json.RawMessage {
	if !json.Valid([]byte(text)) {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}

func matches(e job.AuditEntry, q job.AuditQuery) bool {
	switch {
	case q.Act != "" && e.Act != q.Act, q.Actor != "" && subjectOf(e) != q.Actor:
		return false
	case !q.Since.IsZero() && e.At.Before(q.Since), !q.Until.IsZero() && e.At.After(q.Until):
		return false
	case q.About == "":
		return true
	}
	id := string(q.About)
	return e.Fields["job"] == id || e.Fields["order"] == id || e.Fields["subject"] == id || q.Order != "" && e.Fields["order"] == string(q.Order)
}

// subjectOf is who acted.
func subjectOf(e job.AuditEntry) string {
	var who struct {
		Subject string `json:"subject"`
	}
	if json.Unmarshal(e.Who, &who) != nil {
		return ""
	}
	return who.Subject
}

// elected is what a dispatcher learns that seals a partition's log: how far it
// is sealed. The zero head is its beginning.
type elected struct{ head job.AuditHead }

// elect asks for the right to seal a partition, or keeps it. seen is the turn
// that the caller has watched standing still, empty if it has not. It returns
// nil and the turn of another one who has the right.
func (a *Redis) elect(ctx context.Context, p int, who, seen string) (*elected, string, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := a.run.Run(cctx, a.scripts["elect"], rediskit.Place{Slot: a.partitions.Slot(p)}, rediskit.Args{"who": who, "seen": seen})
	if err != nil {
		return nil, "", rediskit.Unavailable(err)
	}
	if reply.Word == "other" {
		return nil, reply.Str(0), nil
	}
	return &elected{a.headFrom(p, rediskit.Texts(reply.Rest[1:]))}, reply.Str(0), nil
}

// headFrom reads n, id, hash, at, key and signature.
func (a *Redis) headFrom(p int, v []string) job.AuditHead {
	if len(v) < 6 || v[2] == "" {
		return job.AuditHead{}
	}
	n, _ := strconv.ParseUint(v[0], 10, 64)
	return job.AuditHead{
		Fleet: a.partitions.Fleet, Partition: p, N: n, ID: v[1], Hash: v[2], At: v[3], Key: v[4], Signature: v[5],
	}
}

// record notes that the log is sealed up to a head. It is false when another
// dispatcher sealed beyond from, the hash that the chain was continued from.
func (a *Redis) record(ctx context.Context, p int, from string, h job.AuditHead) (bool, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := a.run.Run(cctx, a.scripts["seal"], rediskit.Place{Slot: a.partitions.Slot(p)}, rediskit.Args{
		"from": from, "n": strconv.FormatUint(h.N, 10), "id": h.ID, "hash": h.Hash, "at": h.At, "key": h.Key, "signature": h.Signature,
	})
	return reply.Word == "sealed", rediskit.Unavailable(err)
}

// Page returns up to limit entries of a partition after the entry with that id,
// oldest first, as they are in Redis. The head and the counter are read before
// the entries: the log has them all, unless something was taken out of it. It
// returns [ErrBadCursor] for an id that cannot be one.
func (a *Redis) Page(ctx context.Context, p int, after string, limit int) (job.AuditPage, error) {
	if !streamID.MatchString(after) || p < 0 || p >= a.partitions.Count {
		return job.AuditPage{}, ErrBadCursor
	}
	from, ok := rediskit.Behind(after)
	if !ok {
		from = "+"
	}
	slot := a.partitions.Slot(p)
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := a.run.Client.Pipeline()
	head := pipe.HMGet(cctx, slot.Of("seal"), "n", "id", "hash", "at", "key", "signature")
	last := pipe.Get(cctx, slot.Of("audit_n"))
	newest := pipe.XRevRangeN(cctx, slot.Of("audit"), "+", "-", 1)
	entries := pipe.XRangeN(cctx, slot.Of("audit"), from, "+", int64(limit))
	if _, err := pipe.Exec(cctx); err != nil && !errors.Is(err, redis.Nil) {
		return job.AuditPage{}, rediskit.Unread(err)
	}
	page := job.AuditPage{
		Fleet: a.partitions.Fleet, Partitions: a.partitions.Count,
		Head: a.headFrom(p, rediskit.Texts(head.Val())), Records: make([]job.AuditRecord, len(entries.Val())),
	}
	if got := newest.Val(); len(got) > 0 {
		page.LastID = got[0].ID
	}
	page.Last, _ = strconv.ParseUint(last.Val(), 10, 64)
	for i, m := range entries.Val() {
		page.Records[i] = recordFrom(m)
	}
	return page, nil
}

func recordFrom(m redis.XMessage) job.AuditRecord {
	r := job.AuditRecord{ID: m.ID, Fields: make(map[string]string, len(m.Values))}
	for name, v := range m.Values {
		text, _ := v.(string)
		r.Fields[readable(name)] = readable(text)
	}
	return r
}
