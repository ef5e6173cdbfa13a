package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	aliceJob = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00") // running
	overJob  = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0f00") // succeeded
	noJob    = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6bff00")
	askJob   = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b1f00") // parked with two questions
	farJob   = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e07") // a partition that does not exist
	deadJob  = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b2f00") // killed by its owner
	fellJob  = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b3f00") // killed by a kill-all
	anOrder  = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6bcc00") // over aliceJob
	allOrder = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6bdd00") // over the fleet
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is what lies behind the door: every room, in memory.
type world struct {
	mu        sync.Mutex
	fail      error // what every room answers
	missing   []int // the partitions that every room cannot reach
	jobs      map[job.ID]job.Job
	receipts  map[job.ID]job.Receipt
	idem      map[string]job.Submission
	submitErr error
	submitted []job.Submission
	queries   []job.Query
	page      job.Page
	events    []job.StreamEvent
	wake      chan struct{}
	kills     []killed
	gate      job.Gate
	thawErr   error
	losses    []job.Loss
	denials   []job.AuditEntry
	denyErr   error
	asked     []string // audit cursors
	sought    []job.AuditQuery
	drills    []job.Drill
	drilled   int
	nextAudit string
	logs      *observer.ObservedLogs
	panics    bool
	covered   *job.Receipt // what a kill finds standing already
	blocks    []job.Block
	previews  []access.Permit
	blockErr  error
	answers   []job.Answering
	spends    []job.SpendQuery
	tops      []job.Spender
	workers   []job.WorkerView
	made      []access.Key
	revoked   []string
	raises    []job.MicroUSD
	kept      []job.Kept
	limits    []limited
}

type limited struct {
	permit access.Permit
	owner  string
	limits job.Limits
	reason string
}

type killed struct {
	permit access.Permit
	order  job.Order
	key    string
}

type (
	fakeJobs   struct{ *world }
	fakeEvents struct{ *world }
	fakeOrders struct{ *world }
	fakeBlocks struct{ *world }
	fakeGate   struct{ *world }
	fakeFleet  struct{ *world }
	fakeBooks  struct{ *world }
	fakeDrills struct{ *world }
	fakeRaises struct{ *world }
	fakeKept   struct{ *world }
	fakeAudit  struct{ *world }
	fakeKeys   struct{ *world }
)

func (w *world) lock() func() { w.mu.Lock(); return w.mu.Unlock }

func (f fakeJobs) Submit(_ context.Context, s job.Submission) (job.Admission, error) {
	defer f.lock()()
	if f.fail != nil || f.submitErr != nil {
		return job.Admission{}, firstOf(f.submitErr, f.fail)
	}
	scope := s.Owner + "|" + s.Submitter + "|" + s.IdempotencyKey
	if was, ok := f.idem[scope]; ok {
		if was.Digest != s.Digest {
			return job.Admission{}, &job.Conflict{Existing: was.ID}
		}
		return job.Admission{ID: was.ID}, nil
	}
	s.ID = job.ID(fmt.Sprintf("0199f1c2-6c1e-7d3a-9b1e-%010x00", len(f.submitted)+1))
	f.idem[scope] = s
	f.submitted = append(f.submitted, s)
	return job.Admission{ID: s.ID, Created: true}, nil
}

func (f fakeJobs) Job(_ context.Context, id job.ID) (job.Job, error) {
	defer f.lock()()
	if f.panics {
		panic(fmt.Errorf("the fake was told to"))
	}
	if f.fail != nil {
		return job.Job{}, f.fail
	}
	j, ok := f.jobs[id]
	if !ok {
		return job.Job{}, job.ErrUnknown
	}
	return j, nil
}

func (f fakeJobs) Answer(_ context.Context, a job.Answering) (job.State, error) {
	defer f.lock()()
	j, ok := f.jobs[a.ID]
	switch {
	case f.fail != nil:
		return "", f.fail
	case !ok:
		return "", job.ErrUnknown
	case j.State != job.Parked:
		return "", &job.NotWaiting{State: j.State}
	}
	f.answers = append(f.answers, a)
	return job.Queued, nil
}

func (f fakeJobs) List(_ context.Context, q job.Query) (job.Page, error) {
	defer f.lock()()
	f.queries = append(f.queries, q)
	page := job.Page{Next: f.page.Next}
	for _, j := range f.page.Jobs {
		if q.Submitter == "" || q.Submitter == j.Submitter {
			page.Jobs = append(page.Jobs, j)
		}
	}
	return page, f.fail
}

func (f fakeEvents) Read(ctx context.Context, _ job.ID, after string, wait time.Duration, limit int) ([]job.StreamEvent, error) {
	for {
		unlock := f.lock()
		err := f.fail
		var out []job.StreamEvent
		for _, e := range f.events {
			if (after == "" || later(e.ID, after)) && len(out) < limit {
				out = append(out, e)
			}
		}
		wake := f.wake
		unlock()
		if err != nil || len(out) > 0 || wait == 0 {
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(wait, 5*time.Millisecond)): // a room may come back sooner
			return nil, nil
		case <-wake:
		}
	}
}

func later(a, b string) bool {
	var am, as, bm, bs uint64
	_, _ = fmt.Sscanf(a, "%d-%d", &am, &as)
	_, _ = fmt.Sscanf(b, "%d-%d", &bm, &bs)
	return am > bm || am == bm && as > bs
}

// happen appends events and wakes the readers.
func (w *world) happen(events ...job.StreamEvent) {
	defer w.lock()()
	w.events = append(w.events, events...)
	close(w.wake)
	w.wake = make(chan struct{})
}

func (w *world) set(change func()) { defer w.lock()(); change() }

func (f fakeOrders) Kill(ctx context.Context, p access.Permit, o job.Order, key string) (job.Receipt, error) {
	defer f.lock()()
	if f.fail != nil || ctx.Err() != nil {
		return job.Receipt{}, firstOf(f.fail, ctx.Err())
	}
	f.kills = append(f.kills, killed{p, o, key})
	j, ok := f.jobs[p.Scope().Job]
	if !ok || p.MustOwn() != "" && p.MustOwn() != j.Owner {
		f.denials = append(f.denials, job.AuditEntry{Act: "kill", Rule: "by the script"})
		return job.Receipt{}, job.ErrUnknown
	}
	if f.covered != nil {
		return *f.covered, nil
	}
	o.ID = anOrder
	r := job.Receipt{Order: o, Stage: job.Accepted, Job: &j, Verdict: job.Waiting, Tally: job.Tally{Targeted: 1, Waiting: 1}}
	if j.State.Over() {
		r.Verdict, r.Stage, r.Tally = job.AlreadyOver, job.Quiesced, job.Tally{Targeted: 1, AlreadyOver: 1}
	}
	return r, nil
}

func (f fakeOrders) KillAll(_ context.Context, p access.Permit, o job.Order, key string) (job.Receipt, error) {
	defer f.lock()()
	if f.fail != nil {
		return job.Receipt{}, f.fail
	}
	f.kills = append(f.kills, killed{p, o, key})
	o.ID = allOrder
	return job.Receipt{Order: o, Stage: job.Accepted, Tally: job.Tally{Targeted: 7, Waiting: 3, NotRunning: 4}}, nil
}

func (f fakeOrders) Receipt(_ context.Context, id job.ID) (job.Receipt, error) {
	defer f.lock()()
	r, ok := f.receipts[id]
	if f.fail != nil || !ok {
		return job.Receipt{}, firstOf(f.fail, job.ErrUnknown)
	}
	return r, nil
}

func (f fakeOrders) Orders(_ context.Context, limit int) ([]job.Receipt, []int, error) {
	defer f.lock()()
	var out []job.Receipt
	for _, r := range f.receipts {
		if len(out) < limit {
			out = append(out, r)
		}
	}
	return out, f.missing, f.fail
}

func (f fakeOrders) Preview(_ context.Context, p access.Permit) (job.Preview, error) {
	defer f.lock()()
	f.previews = append(f.previews, p)
	return job.Preview{
		Scope: p.Scope(), Jobs: 7, Spent: job.USD, PerMinute: 50, Owners: 1, CoveredBefore: 2,
		ByOwner: []job.Count{{Name: "acme", Jobs: 7, Spent: job.USD, PerMinute: 50}},
		ByKind:  []job.Count{{Name: "deliberation", Jobs: 7}}, ByState: []job.Count{{Name: "running", Jobs: 7}},
	}, f.fail
}

func (f fakeBlocks) Block(_ context.Context, p access.Permit, b job.Block, _ string) (job.Block, error) {
	defer f.lock()()
	b.ID, b.Actor, b.RecordedAt = anOrder, p.Actor().Subject, noon
	f.blocks = append(f.blocks, b)
	return b, firstOf(f.blockErr, f.fail)
}

func (f fakeBlocks) Lift(_ context.Context, _ access.Permit, id job.ID, _, _, _ string) (job.Block, error) {
	defer f.lock()()
	if id != anOrder {
		f.denials = append(f.denials, job.AuditEntry{Act: "lift", Rule: "by the script"})
		return job.Block{}, job.ErrUnknown
	}
	return job.Block{ID: id, On: job.OnKind, Value: "deliberation", Lifted: true}, firstOf(f.thawErr, f.fail)
}

func (f fakeBlocks) Blocks(context.Context) ([]job.Block, []string, error) {
	defer f.lock()()
	return f.blocks, []string{"2.b", "3.c"}, f.fail
}

func (f fakeGate) State(context.Context) (job.Gate, error) { return f.gate, f.fail }

func (f fakeGate) Freeze(_ context.Context, _ access.Permit, reason, incident, _ string) (job.Gate, error) {
	defer f.lock()()
	f.gate = job.Gate{Frozen: true, Reason: reason, Incident: incident, Heads: []string{"2.b", "3.c"}, Missing: f.missing}
	return f.gate, f.fail
}

func (f fakeGate) Adopt(_ context.Context, p access.Permit, _, _ string) (job.Gate, error) {
	defer f.lock()()
	f.losses = nil
	return job.Gate{Heads: []string{"3.c"}, Actor: p.Actor().Subject}, f.fail
}

func (f fakeGate) Losses() []job.Loss {
	defer f.lock()()
	return f.losses
}

func (f fakeGate) Thaw(_ context.Context, _ access.Permit, t job.Thawing, _ string) (job.Gate, error) {
	defer f.lock()()
	if f.thawErr != nil {
		return job.Gate{}, f.thawErr
	}
	return job.Gate{Heads: []string{t.Seen}, Rate: t.Rate, Missing: f.missing}, f.fail
}

func (f fakeRaises) Raise(_ context.Context, id job.ID, budget job.MicroUSD, _ []byte) (job.State, error) {
	defer f.lock()()
	if f.fail != nil {
		return "", f.fail
	}
	f.raises = append(f.raises, budget)
	if j := f.jobs[id]; j.State != job.Parked {
		return "", &job.NotParked{State: j.State}
	}
	if budget > 0 && budget <= f.jobs[id].Spent {
		return "", &job.BudgetUsedUp{Spent: f.jobs[id].Spent, Budget: budget}
	}
	return job.Queued, nil
}

func (f fakeKept) Checkpoints(_ context.Context, id job.ID) ([]job.Kept, error) {
	defer f.lock()()
	if id == aliceJob {
		return nil, f.fail
	}
	return slices.Clone(f.kept), f.fail
}

func (f fakeKept) Checkpoint(_ context.Context, id job.ID, seq uint64) (job.Kept, error) {
	defer f.lock()()
	for _, k := range f.kept {
		switch {
		case id == aliceJob || k.Seq != seq:
		case !k.Sound:
			return k, &job.DamagedCheckpoint{Seq: seq}
		default:
			return k, f.fail
		}
	}
	return job.Kept{}, firstOf(f.fail, job.ErrUnknown)
}

func (f fakeKept) Transcript(_ context.Context, id job.ID, after string, limit int) ([]job.Transcribed, error) {
	defer f.lock()()
	var out []job.Transcribed
	for n := range 3 {
		at := fmt.Sprintf("%d-0", n+1)
		if id == overJob && (after == "" || later(at, after)) && len(out) < limit {
			out = append(out, job.Transcribed{ID: at, At: noon, Data: fmt.Appendf(nil, `{"call":"c%d"}`, n+1)})
		}
	}
	return out, f.fail
}

func (f fakeBooks) Spend(_ context.Context, q job.SpendQuery) (job.Spend, error) {
	defer f.lock()()
	f.spends = append(f.spends, q)
	return job.Spend{
		At: noon, PerMinute: 600, Baseline: 9, LastFive: 3000, Today: 5000, Reserved: 61, Estimated: 14, By: q.By,
		Window:  job.Window{Cap: new(job.MicroUSD(8000)), Spent: 5000, Reserved: 61, Length: 24 * time.Hour, Ends: noon.Add(12 * time.Hour)},
		Breaker: job.Breaker{Mode: "freeze", Limit: new(job.MicroUSD(500)), Burn: 661, Tripped: true, TrippedAt: noon, Reason: "it burns"},
		Minutes: []job.Minute{{At: noon, Spent: 600}},
		Top:     append([]job.Spender{{Name: "acme", PerMinute: 600, LastFive: 3000, Today: 5000, Running: 2}}, f.tops...),
	}, f.fail
}

func (f fakeBooks) Budgets(context.Context) ([]job.Budget, error) {
	defer f.lock()()
	own := job.Limits{Cap: new(job.MicroUSD(700))}
	return []job.Budget{{InForce: job.Limits{Cap: new(job.MicroUSD(9000))}}, {Owner: "acme", Own: own, InForce: own, Running: 2}}, f.fail
}

func (f fakeBooks) Budget(_ context.Context, owner string) (job.Budget, error) {
	defer f.lock()()
	return job.Budget{Owner: owner, Window: job.Window{Spent: 5, Reserved: 6, Length: time.Hour, Ends: noon}, Running: 2}, f.fail
}

func (f fakeBooks) SetBudget(_ context.Context, p access.Permit, owner string, l job.Limits, reason string) (job.Budget, error) {
	defer f.lock()()
	f.limits = append(f.limits, limited{p, owner, l, reason})
	return job.Budget{Owner: owner, Own: l, InForce: l}, f.fail
}

func (f fakeFleet) View(context.Context) (job.Fleet, error) {
	defer f.lock()()
	return job.Fleet{
		Name: "prod", Partitions: 1, Jobs: map[job.State]int64{job.Running: 1}, NoProgress: 3, QueuedOldest: 4 * time.Minute,
		Reclaimed: 2, ControlLag: 80 * time.Millisecond, RedisTook: 600 * time.Microsecond, At: time.Unix(1_764_000_000, 0),
		Losses:  f.losses,
		Missing: f.missing,
		Breaker: job.Breaker{Mode: "park", Limit: new(job.MicroUSD(500)), Burn: 9},
		Workers: append([]job.WorkerView{{ID: "w1", NoProgress: 3, NoProgressJobs: []job.ID{aliceJob}, TrustLeft: 7 * time.Second, LeaseLeft: 12 * time.Second}}, f.workers...),
	}, f.fail
}

func (f fakeAudit) Deny(_ context.Context, e job.AuditEntry) error {
	defer f.lock()()
	if f.denyErr != nil {
		return f.denyErr
	}
	f.denials = append(f.denials, e)
	return nil
}

func (f fakeAudit) List(_ context.Context, q job.AuditQuery, cursor string, _ int) ([]job.AuditEntry, string, error) {
	defer f.lock()()
	f.sought = append(f.sought, q)
	f.asked = append(f.asked, cursor)
	return []job.AuditEntry{{N: 1, Act: "kill", Decision: "allowed", Who: []byte(`{"subject":"x"}`)}}, f.nextAudit, f.fail
}

func (f fakeAudit) Page(_ context.Context, partition int, after string, _ int) (job.AuditPage, error) {
	defer f.lock()()
	f.asked = append(f.asked, after)
	return job.AuditPage{
		Fleet: "prod", Partitions: 1, Last: 1, Head: job.AuditHead{Fleet: "prod", Partition: partition, N: 1, ID: "5-0", Hash: "aa"},
		Records: []job.AuditRecord{{ID: "5-0", Fields: map[string]string{"n": "1", "act": "kill"}}},
	}, f.fail
}

func (f fakeKeys) Create(_ context.Context, p access.Permit, like access.Key, at time.Time, _ string) (access.IssuedKey, string, error) {
	defer f.lock()()
	k, secret, err := access.NewKey(like)
	if err != nil || f.fail != nil {
		return access.IssuedKey{}, "", firstOf(err, f.fail)
	}
	f.made = append(f.made, k)
	return access.IssuedKey{Key: k, Shown: access.Shown(secret), CreatedAt: at, CreatedBy: p.Actor().Subject}, secret, nil
}

func (f fakeKeys) Keys(context.Context) ([]access.IssuedKey, error) {
	defer f.lock()()
	k := access.Key{ID: "key-1", Subject: "alice", Owner: "acme", Roles: []access.Role{access.Owner}, Hash: access.Hash("x")}
	return []access.IssuedKey{{Key: k, Shown: "gvl_1a2b3c4d", CreatedBy: "root"}}, f.fail
}

func (f fakeKeys) Revoke(_ context.Context, _ access.Permit, id, _, _ string) error {
	defer f.lock()()
	if id != aKey {
		f.denials = append(f.denials, job.AuditEntry{Act: "key-revoke", Rule: "by the script"})
		return firstOf(f.fail, job.ErrUnknown)
	}
	f.revoked = append(f.revoked, id)
	return f.fail
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (f fakeDrills) Drill(_ context.Context, p access.Permit, d job.Drill, _ string) error {
	defer f.lock()()
	if f.fail == nil && p.Allows(access.Drill) {
		f.drills = append(f.drills, d)
	}
	return f.fail
}

// heard is the metrics.
func (w *world) heard(job.Drill) {
	defer w.lock()()
	w.drilled++
}

func newWorld() *world {
	alice := job.Job{
		ID: aliceJob, Owner: "acme", Submitter: "importer", Kind: "deliberation", State: job.Running, Seq: 1,
		Input: []byte(`{"problem":"x"}`), Claim: job.Claim{Worker: "w1", Epoch: "1.a"}, CreatedAt: noon,
	}
	over := alice
	over.ID, over.State, over.Result, over.Claim = overJob, job.Succeeded, []byte(`{"synthesis":"y"}`), job.Claim{}
	asks := alice
	asks.ID, asks.State, asks.ParkReason, asks.Questions, asks.Claim = askJob, job.Parked, "input", []byte(`["why?","how?"]`), job.Claim{}
	dead := alice
	dead.ID, dead.State, dead.Order, dead.Claim, dead.Budget = deadJob, job.Killed, anOrder, job.Claim{}, 700
	dead.Labels, dead.MaxAttempts, dead.Timeout = map[string]string{"batch": "nightly"}, 4, time.Minute
	fell := dead
	fell.ID, fell.Order = fellJob, allOrder
	return &world{
		jobs: map[job.ID]job.Job{aliceJob: alice, overJob: over, askJob: asks, deadJob: dead, fellJob: fell},
		receipts: map[job.ID]job.Receipt{
			anOrder: {
				Order: job.Order{ID: anOrder, Scope: job.Scope{Kind: job.ScopeJob, Job: aliceJob}}, Job: &alice,
				Stage: job.Quiesced, Verdict: job.Stopped, Tally: job.Tally{Targeted: 1, Stopped: 1},
			},
			allOrder: {Order: job.Order{ID: allOrder, ByAdmin: true, Scope: job.Scope{Kind: job.ScopeFleet}}, Stage: job.Quiesced},
		},
		kept: []job.Kept{
			{Checkpoint: job.Checkpoint{Seq: 3, Node: "s1/r1/risk", Data: []byte(`{"version":1}`)}, At: noon, Grant: 1, Size: 13, Stored: 120, Sound: true},
			{Checkpoint: job.Checkpoint{Seq: 4, Node: "s1/vote", Data: []byte("\x00state")}, At: noon, Grant: 2, Size: 6, Stored: 110, Sound: true},
			{Checkpoint: job.Checkpoint{Seq: 5, Node: "s1/end"}, At: noon, Grant: 2, Stored: 90},
		},
		idem: map[string]job.Submission{},
		page: job.Page{Jobs: []job.Job{alice, {ID: overJob, Owner: "acme", Submitter: "alice", State: job.Succeeded}}},
		wake: make(chan struct{}),
	}
}

// The people at the door; each one's credential is their own name.
var people = []struct {
	name   string
	actor  access.Actor
	secret string
}{
	{"anonymous", access.Actor{}, ""},
	{"stranger", access.Actor{Subject: "mallory", Owner: "evil", Roles: []access.Role{access.Owner}}, "stranger"},
	{"owner", access.Actor{Subject: "alice", Owner: "acme", Roles: []access.Role{access.Owner}}, "owner"},
	{"service", access.Actor{Subject: "importer", Roles: []access.Role{access.Service}}, "service"},
	{"operator", access.Actor{Subject: "oncall", Roles: []access.Role{access.Operator}}, "operator"},
	{"admin", access.Actor{Subject: "root", Owner: "ops", Roles: []access.Role{access.Admin}}, "admin"},
	{"other service", access.Actor{Subject: "exporter", Roles: []access.Role{access.Service}}, "other-service"},
	{"break-glass", access.Actor{Subject: "glass", Owner: "ops", Roles: []access.Role{access.Admin}, Credential: access.Credential{Kind: access.BreakGlass, ID: "g1"}}, "break-glass"},
}

type fakeAuth struct{}

func (fakeAuth) Authenticate(_ context.Context, presented string, _ time.Time) (access.Actor, error) {
	switch presented {
	case "":
		return access.Actor{}, access.ErrNone
	case "old":
		return access.Actor{}, access.ErrExpired
	}
	for _, p := range people {
		if p.secret == presented {
			return p.actor, nil
		}
	}
	return access.Actor{}, access.ErrRefused
}

func config(w *world) Config {
	core, logs := observer.New(zap.InfoLevel)
	w.logs = logs
	return Config{
		Name: "prod", Partitions: 1, Auth: fakeAuth{}, Jobs: fakeJobs{w}, Events: fakeEvents{w}, Orders: fakeOrders{w}, Blocks: fakeBlocks{w},
		Gate: fakeGate{w}, Drills: fakeDrills{w}, Drilled: w.heard, Fleet: fakeFleet{w}, Books: fakeBooks{w}, Raises: fakeRaises{w}, Checkpoints: fakeKept{w}, Transcripts: fakeKept{w}, Audit: fakeAudit{w}, Keys: fakeKeys{w}, CursorKey: []byte("0123456789abcdef"),
		Kinds: map[string]func([]byte) error{"deliberation": func(in []byte) error {
			if !bytes.Contains(in, []byte(`"problem"`)) {
				return fmt.Errorf("problem is missing; say what to deliberate")
			}
			return nil
		}},
		Models: map[string]func([]byte) []string{"deliberation": func([]byte) []string { return []string{"m1"} }},
		Log:    zap.New(core), Now: func() time.Time { return noon },
	}
}

func open(t *testing.T, w *world, change ...func(*Config)) *Door {
	t.Helper()
	cfg := config(w)
	for _, c := range change {
		c(&cfg)
	}
	d, err := New(cfg)
	require.NoError(t, err)
	return d
}

// call is one request; body "" is none.
type call struct {
	method, path, body string
	as                 string
	head               map[string]string
}

func (c call) request() *http.Request {
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	r := httptest.NewRequest(c.method, c.path, body)
	if c.method == http.MethodPost || c.method == http.MethodPut {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "key-1")
	}
	if c.as != "" {
		r.Header.Set("Authorization", "Bearer "+c.as)
	}
	for k, v := range c.head {
		if k == "twice" {
			r.Header.Add(v, r.Header.Get(v))
		} else if v == "" {
			r.Header.Del(k)
		} else {
			r.Header.Set(k, v)
		}
	}
	return r
}

func (c call) on(h http.Handler) *httptest.ResponseRecorder { return record(h, c.request()) }

func record(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// kind is the last word of a problem's type, and checks that it is one.
func kind(t *testing.T, rec *httptest.ResponseRecorder) string {
	t.Helper()
	require.Equal(t, problemType, rec.Header().Get("Content-Type"), rec.Body.String())
	var p Problem
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &p))
	require.Equal(t, rec.Code, p.Status)
	require.NotEmpty(t, p.Title)
	return strings.TrimPrefix(p.Type, "urn:gavel:problem:")
}

func fieldsOf(t *testing.T, rec *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	m := map[string]any{}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &m), rec.Body.String())
	return maps.Clone(m)
}

const (
	goodSubmit = `{"kind":"deliberation","input":{"problem":"shall we?"},"labels":{"batch":"nightly"}}`
	goodKill   = `{"reason":"it loops"}`
	goodAnswer = `{"answers":["because","so"]}`
	aKey       = "key-0a1b2c3d"
	goodDrill  = `{"reason":"weekly","workers":2,"canaries":[{"scope":"job","worker":"w1","stopped":true,"took_us":9000},{"scope":"selector","worker":"w2","stopped":true,"took_us":5000}]}`
	goodKey    = `{"subject":"bob","owner":"acme","roles":["owner"]}`
	goodBudget = `{"cap_micro_usd":5000000,"reason":"agreed"}`
	goodBlock  = `{"on":"kind","value":"deliberation","reason":"it loops"}`
	goodLift   = `{"seen":"2.b,3.c","reason":"over"}`
	selected   = `{"scope":"selector","selector":{"kind":"deliberation","min_age_seconds":60}}`
	goodIssue  = `{"scope":"selector","selector":{"kind":"deliberation"},"reason":"it loops","break_glass":true}`
	goodAll    = `{"scope":"fleet","reason":"it burns","incident":"inc-1","confirm":"prod"}`
)
