package stream

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// ErrBadCursor is returned by [Redis.List] for a cursor it did not give.
var ErrBadCursor = errors.New("not a cursor of this list")

// scanLimit bounds how many records one page may look at, so that a filter that
// matches nothing cannot hold Redis.
const scanLimit = 2000

// listed are the fields a list needs: everything but input and results.
var listed = []string{ //nolint:gochecknoglobals // never written
	"id", "owner", "submitter", "kind", "labels", "state", "seq", "worker", "epoch", "attempts", "max_attempts",
	"grants", "checkpoint", "resumed_from", "resumed_seq", "budget", "reserved", "spent", "order", "order_at", "order_by", "order_reason",
	"park_reason", "short_of", "blocked_by", "outcome", "cause", "error", "killed_by", "kill_reason", "verdict", "created_at",
	"queued_at", "granted_at", "due_at", "ended_at", "killed_at", "questions", "timeout", "allow_resume", "spent_at_order",
}

// List returns one page of jobs, newest first. Over several partitions it goes
// through one after the other, highest first; each is in the order of acceptance.
func (s *Redis) List(ctx context.Context, q job.Query) (job.Page, error) {
	p, below, err := s.position(q)
	if err != nil {
		return job.Page{}, err
	}
	w := walk{road: s, q: q, left: scanLimit}
	for ; p >= 0; p-- {
		if q.Owner != "" && s.partitions.Of(q.Owner) != p {
			continue
		}
		next, err := w.partition(ctx, p, below)
		if err != nil {
			return job.Page{}, err
		}
		if next != "" {
			return job.Page{Jobs: w.out, Next: strconv.Itoa(p) + "." + next}, nil
		}
		below = ""
	}
	return job.Page{Jobs: w.out}, nil
}

// position reads a cursor: the partition and the seq below which to go on.
func (s *Redis) position(q job.Query) (p int, below string, err error) {
	if q.Cursor == "" {
		return s.partitions.Count - 1, "", nil
	}
	a, b, ok := strings.Cut(q.Cursor, ".")
	p, err = strconv.Atoi(a)
	_, seqErr := strconv.ParseUint(b, 10, 64)
	if !ok || err != nil || seqErr != nil || p < 0 || p >= s.partitions.Count {
		return 0, "", ErrBadCursor
	}
	return p, b, nil
}

// walk gathers one page.
type walk struct {
	road *Redis
	q    job.Query
	left int
	out  []job.Job
}

// partition walks one partition downwards from a seq. It returns the seq to go
// on below when the page is full, or "" at the partition's end.
func (w *walk) partition(ctx context.Context, p int, below string) (string, error) {
	slot := w.road.partitions.Slot(p)
	index := slot.Of("index")
	if w.q.Owner != "" {
		index = slot.Of("owned", w.q.Owner)
	}
	for {
		ids, seqs, err := w.road.idsBelow(ctx, index, below)
		if err != nil || len(ids) == 0 {
			return "", err
		}
		jobs, err := w.road.records(ctx, slot, ids)
		if err != nil {
			return "", err
		}
		for i, j := range jobs {
			below = seqs[i]
			w.left--
			if j != nil && matches(w.q, *j) {
				w.out = append(w.out, *j)
			}
			if len(w.out) >= w.q.Limit || w.left <= 0 {
				return below, nil
			}
		}
	}
}

func matches(q job.Query, j job.Job) bool {
	if q.Submitter != "" && q.Submitter != j.Submitter || q.Kind != "" && q.Kind != j.Kind {
		return false
	}
	if len(q.States) > 0 && !slices.Contains(q.States, j.Visible()) {
		return false
	}
	for k, v := range q.Labels {
		if j.Labels[k] != v {
			return false
		}
	}
	return true
}

// decode reads the listed fields of one record; nil when there is none. One that
// is no job is listed with its id and an error, and does not hide the others.
func decode(id string, values []any, rules string) *job.Job {
	f := make(map[string]string, len(listed))
	for i, v := range values {
		if text := rediskit.Text(v); text != "" {
			f[listed[i]] = text
		}
	}
	if values != nil && len(f) == 0 {
		return nil
	}
	j, err := job.FromFields(f)
	if err != nil {
		return &job.Job{ID: job.ID(id), Error: "unreadable record: " + err.Error()}
	}
	j = cover(j, rules)
	return &j
}
