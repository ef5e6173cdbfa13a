package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// ErrBadRecord is wrapped when a stored record is not a job this build can
// read. A worker fails such a job; a reader says so.
var ErrBadRecord = errors.New("the record is not a job")

// FromFields reads a job from the fields of its record. Unknown fields are
// ignored, so that a newer build may add some. It returns [ErrUnknown] when there
// are none, and an error that wraps [ErrBadRecord] when they are no job: a worker
// that ran one without an id or an owner would write, and spend, as nobody.
func FromFields(f map[string]string) (Job, error) {
	if len(f) == 0 {
		return Job{}, ErrUnknown
	}
	r := reader{f: f}
	j := Job{
		ID: r.id("id"), Owner: f["owner"], Submitter: f["submitter"], Kind: f["kind"],
		Labels: r.labels(), Input: []byte(f["input"]), State: State(f["state"]), Seq: r.count("seq"),
		Claim:    Claim{Worker: f["worker"], Epoch: f["epoch"]},
		Attempts: int(r.int("attempts")), MaxAttempts: int(r.int("max_attempts")), Grants: int(r.int("grants")),
		Checkpoint: r.count("checkpoint"), Timeout: time.Duration(r.int("timeout")) * time.Millisecond,
		ResumedFrom: r.id("resumed_from"), ResumedSeq: r.count("resumed_seq"), TranscriptFull: f["transcript_full"] == "1",
		Trace:  f["trace"],
		Budget: MicroUSD(r.int("budget")), Reserved: MicroUSD(r.int("reserved")), Spent: MicroUSD(r.int("spent")),
		SpentAtOrder: MicroUSD(r.int("spent_at_order")),
		Order:        r.id("order"), ParkReason: f["park_reason"], BlockedBy: r.id("blocked_by"), ShortOf: f["short_of"],
		Questions: []byte(f["questions"]), Answers: []byte(f["answers"]),
		Outcome: State(f["outcome"]), Cause: f["cause"], Result: []byte(f["result"]), Error: f["error"],
		LateResult: []byte(f["late_result"]),
		KilledBy:   f["killed_by"], KillReason: f["kill_reason"], Verdict: Verdict(f["verdict"]), AllowResume: f["allow_resume"] == "1",
		OrderMark: OrderMark{Actor: f["order_by"], Reason: f["order_reason"], At: r.time("order_at")},
		CreatedAt: r.time("created_at"), QueuedAt: r.time("queued_at"), GrantedAt: r.time("granted_at"),
		DueAt: r.time("due_at"), EndedAt: r.time("ended_at"), KilledAt: r.time("killed_at"),
		DeliveredAt: r.time("delivered_at"), CancelledAt: r.time("cancelled_at"), ReturnedAt: r.time("returned_at"),
	}
	r.must(j)
	if r.err != nil {
		return Job{}, fmt.Errorf("%w: %w", ErrBadRecord, r.err)
	}
	return j, nil
}

// reader collects the first thing wrong with a record.
type reader struct {
	f   map[string]string
	err error
}

func (r *reader) fail(field string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("field %s: %w", field, err)
	}
}

// must refuses what no script writes.
func (r *reader) must(j Job) {
	switch {
	case j.ID == "":
		r.fail("id", errors.New("missing"))
	case j.Owner == "":
		r.fail("owner", errors.New("missing"))
	case !slices.Contains(States(), j.State):
		r.fail("state", fmt.Errorf("%q is none", j.State))
	}
}

func (r *reader) id(field string) ID {
	if r.f[field] == "" {
		return ""
	}
	id, err := ParseID(r.f[field])
	if err != nil {
		r.fail(field, err)
	}
	return id
}

func (r *reader) int(field string) int64 {
	if r.f[field] == "" {
		return 0
	}
	n, err := strconv.ParseInt(r.f[field], 10, 64)
	if err != nil {
		r.fail(field, err)
	}
	return n
}

// count is a number that only grows.
func (r *reader) count(field string) uint64 {
	n := r.int(field)
	if n < 0 {
		r.fail(field, fmt.Errorf("%d is below zero", n))
		return 0
	}
	return uint64(n)
}

func (r *reader) time(field string) time.Time {
	us := r.int(field)
	at, ok := Moment(us)
	if !ok {
		r.fail(field, fmt.Errorf("%d µs is no moment", us))
	}
	return at
}

// Moment is the time that many microseconds after the epoch; the zero time for 0
// and less. ok is false behind the year 9999: JSON has no word for what is there,
// so one such time in a record would make every answer fail that it is in.
func Moment(us int64) (at time.Time, ok bool) {
	const last = 253_402_300_799_999_999
	switch {
	case us <= 0:
		return time.Time{}, true
	case us > last:
		return time.Time{}, false
	default:
		return time.UnixMicro(us).UTC(), true
	}
}

func (r *reader) labels() map[string]string {
	if r.f["labels"] == "" {
		return nil
	}
	var m map[string]string
	if err := json.Unmarshal([]byte(r.f["labels"]), &m); err != nil {
		r.fail("labels", err)
	}
	return m
}
