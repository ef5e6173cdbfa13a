package audit

import (
	"context"
	"embed"
	"encoding/json"
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
	deny       *rediskit.Script
}

// NewRedis returns the log of a fleet.
func NewRedis(run rediskit.Runner, ps rediskit.Partitions) (*Redis, error) {
	s, err := rediskit.Load(scripts, "deny")
	if err != nil {
		return nil, err
	}
	return &Redis{run: run, partitions: ps, deny: s}, nil
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
	_, err := a.run.Run(cctx, a.deny, rediskit.Place{Slot: slot}, rediskit.Args{
		"act": e.Act, "rule": e.Rule, "who": []byte(e.Who), "scope": e.Fields["scope"], "subject": e.Fields["subject"],
		"reason": e.Fields["reason"], "incident": e.Fields["incident"],
	})
	return rediskit.Unavailable(err)
}

// pageScan bounds how many entries of a partition one page looks at.
const pageScan = 1000

// List returns entries, newest first, and the cursor of the next page, empty at
// the end. An empty act or id does not filter; id matches the job, the order or
// the subject of an entry.
func (a *Redis) List(ctx context.Context, act string, id job.ID, cursor string, limit int) ([]job.AuditEntry, string, error) {
	at, err := parseCursor(cursor, a.partitions.Count)
	if err != nil {
		return nil, "", err
	}
	var found []positioned
	for p := range at {
		entries, err := a.below(ctx, p, at[p])
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
		if matches(f.entry, act, id) {
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

func (a *Redis) below(ctx context.Context, p int, from string) ([]positioned, error) {
	top := "+"
	if from != "" {
		top = "(" + from
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	got, err := a.run.Client.XRevRangeN(cctx, a.partitions.Slot(p).Of("audit"), top, "-", pageScan).Result()
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
	e := job.AuditEntry{Partition: p, Fields: map[string]string{}}
	for k, v := range m.Values {
		text, _ := v.(string)
		switch k {
		case "n":
			e.N, _ = strconv.ParseUint(text, 10, 64)
		case "at":
			e.At = rediskit.Time(text)
		case "act":
			e.Act = text
		case "decision":
			e.Decision = text
		case "rule":
			e.Rule = text
		case "who":
			e.Who = json.RawMessage(text)
		default:
			if text != "" {
				e.Fields[k] = text
			}
		}
	}
	if !json.Valid(e.Who) {
		e.Who = json.RawMessage("null")
	}
	return e
}

func matches(e job.AuditEntry, act string, id job.ID) bool {
	if act != "" && e.Act != act {
		return false
	}
	return id == "" || e.Fields["job"] == string(id) || e.Fields["order"] == string(id) || e.Fields["subject"] == string(id)
}
