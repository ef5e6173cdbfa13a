package api

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rtfm-si/gavel/internal/job"
)

// object is a JSON object passed on as it is.
type object json.RawMessage

// Schema is huma's question what an object looks like.
func (object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// MarshalJSON writes it as it is.
func (o object) MarshalJSON() ([]byte, error) { return json.RawMessage(o).MarshalJSON() }

// UnmarshalJSON keeps it as it is.
func (o *object) UnmarshalJSON(raw []byte) error { return (*json.RawMessage)(o).UnmarshalJSON(raw) }

// asObject shows stored bytes: nothing when they are empty or no JSON.
func asObject(raw []byte) object {
	if len(raw) == 0 || !json.Valid(raw) {
		return nil
	}
	return object(raw)
}

func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

type jobView struct {
	ID          string            `json:"id" doc:"UUIDv7"`
	Owner       string            `json:"owner" doc:"The paying tenant"`
	Submitter   string            `json:"submitter" doc:"Who asked for it: the owner, or a service on their behalf"`
	Kind        string            `json:"kind"`
	Labels      map[string]string `json:"labels,omitempty"`
	State       string            `json:"state" enum:"queued,running,parked,delayed,held,killing,succeeded,failed,killed" doc:"killing: an order stands, the job is not yet over"`
	ParkReason  string            `json:"park_reason,omitempty"`
	ShortOf     string            `json:"short_of,omitempty" enum:"job,owner,fleet,breaker" doc:"Of a job parked for budget: its own, which has to be raised, or what it comes back from by itself: the window of its owner or of the fleet, the breaker's freeze"`
	BlockedBy   string            `json:"blocked_by,omitempty" doc:"The standing order that keeps it parked"`
	Questions   value             `json:"questions,omitempty" doc:"What it waits to be told"`
	Cause       string            `json:"cause,omitempty" doc:"Why it ended"`
	Error       string            `json:"error,omitempty" doc:"The last error"`
	Worker      string            `json:"worker,omitempty" doc:"Who runs it now"`
	Attempts    int               `json:"attempts" doc:"Failed attempts since the last progress"`
	MaxAttempts int               `json:"max_attempts"`
	Grants      int               `json:"grants" doc:"How often a worker began or resumed it"`
	Checkpoint  uint64            `json:"checkpoint" doc:"Number of the last checkpoint"`
	ResumedFrom string            `json:"resumed_from,omitempty" doc:"The killed or failed job whose checkpoint it began at"`
	ResumedSeq  uint64            `json:"resumed_from_seq,omitempty" doc:"The number of that checkpoint"`
	Timeout     float64           `json:"timeout_seconds,omitempty" doc:"Bound of one attempt"`

	Budget   job.MicroUSD `json:"budget_micro_usd"`
	Reserved job.MicroUSD `json:"reserved_micro_usd"`
	Spent    job.MicroUSD `json:"spent_micro_usd"`

	Order        string       `json:"order,omitempty" doc:"The order that stands over it"`
	KilledBy     string       `json:"killed_by,omitempty"`
	KillReason   string       `json:"kill_reason,omitempty"`
	KilledAt     *time.Time   `json:"killed_at,omitempty"`
	Verdict      string       `json:"verdict,omitempty"`
	AllowResume  bool         `json:"allow_resume,omitempty" doc:"Its owner may go on from a checkpoint of it, though it was killed from above"`
	SpentAtOrder job.MicroUSD `json:"spent_at_order_micro_usd,omitempty"`

	CreatedAt *time.Time `json:"created_at,omitempty"`
	QueuedAt  *time.Time `json:"queued_at,omitempty"`
	GrantedAt *time.Time `json:"granted_at,omitempty"`
	DueAt     *time.Time `json:"due_at,omitempty"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`

	Input object `json:"input,omitempty" doc:"Left out of lists"`
}

// shortOf is what a job parked for budget waits for.
func shortOf(j job.Job) string {
	if j.State != job.Parked || j.ParkReason != "budget" {
		return ""
	}
	return j.ShortOf
}

func viewJob(j job.Job) jobView {
	v := jobView{
		ID: string(j.ID), Owner: j.Owner, Submitter: j.Submitter, Kind: j.Kind, Labels: j.Labels,
		State: string(j.Visible()), ParkReason: j.ParkReason, ShortOf: shortOf(j), BlockedBy: string(j.BlockedBy), Questions: value(asObject(j.Questions)),
		Cause: j.Cause, Error: j.Error,
		Attempts: j.Attempts, MaxAttempts: j.MaxAttempts, Grants: j.Grants, Checkpoint: j.Checkpoint,
		ResumedFrom: string(j.ResumedFrom), ResumedSeq: j.ResumedSeq, Timeout: j.Timeout.Seconds(), Budget: j.Budget, Reserved: j.Reserved, Spent: j.Spent,
		Order: string(j.Order), KilledBy: j.KilledBy, KillReason: j.KillReason, KilledAt: at(j.KilledAt),
		Verdict: string(j.Verdict), AllowResume: j.AllowResume, SpentAtOrder: j.SpentAtOrder,
		CreatedAt: at(j.CreatedAt), QueuedAt: at(j.QueuedAt), GrantedAt: at(j.GrantedAt), DueAt: at(j.DueAt), EndedAt: at(j.EndedAt),
		Input: asObject(j.Input),
	}
	if j.State == job.Running {
		v.Worker = j.Claim.Worker
	}
	if j.Visible() == job.Killing && v.KilledBy == "" {
		v.KilledBy, v.KillReason, v.KilledAt = j.OrderMark.Actor, j.OrderMark.Reason, at(j.OrderMark.At)
	}
	return v
}

type resultView struct {
	Job        string       `json:"job"`
	Outcome    string       `json:"outcome" enum:"succeeded,failed,killed"`
	Cause      string       `json:"cause,omitempty"`
	Error      string       `json:"error,omitempty"`
	Result     object       `json:"result,omitempty" doc:"Set when it succeeded"`
	LateResult object       `json:"late_result,omitempty" doc:"A result that came after the kill: kept, but not the outcome"`
	Spent      job.MicroUSD `json:"spent_micro_usd"`
	EndedAt    *time.Time   `json:"ended_at,omitempty"`
}

func viewResult(j job.Job) resultView {
	return resultView{
		Job: string(j.ID), Outcome: string(j.State), Cause: j.Cause, Error: j.Error,
		Result: asObject(j.Result), LateResult: asObject(j.LateResult), Spent: j.Spent, EndedAt: at(j.EndedAt),
	}
}

type scopeView struct {
	Kind     string        `json:"kind" enum:"job,owner,fleet,selector"`
	Job      string        `json:"job,omitempty"`
	Owner    string        `json:"owner,omitempty"`
	Selector *selectorView `json:"selector,omitempty"`
}

func viewScope(s job.Scope) scopeView {
	v := scopeView{Kind: string(s.Kind), Job: string(s.Job), Owner: s.Owner}
	if s.Selector != nil {
		v.Selector = viewSelector(*s.Selector)
	}
	return v
}

type scanView struct {
	Looked int64 `json:"looked" doc:"How many live jobs it has looked at"`
	Open   []int `json:"open_partitions,omitempty" doc:"Where it goes on"`
}

type timelineView struct {
	Requested *time.Time `json:"requested,omitempty" doc:"On the dispatcher's clock; the others are on Redis's"`
	Recorded  *time.Time `json:"recorded,omitempty"`
	Delivered *time.Time `json:"delivered,omitempty"`
	Cancelled *time.Time `json:"cancelled,omitempty"`
	Returned  *time.Time `json:"returned,omitempty"`
}

type openView struct {
	Job       string     `json:"job"`
	Owner     string     `json:"owner"`
	Worker    string     `json:"worker"`
	Verdict   string     `json:"verdict" enum:"waiting,deaf"`
	LeaseEnds *time.Time `json:"lease_ends,omitempty" doc:"When it is fenced at the latest, if its worker stays silent"`
}

type receiptView struct {
	Order    string    `json:"order"`
	Scope    scopeView `json:"scope"`
	Stage    string    `json:"stage" enum:"recording,accepted,replicated,quiesced" doc:"Only quiesced means stopped"`
	Actor    string    `json:"actor"`
	Reason   string    `json:"reason"`
	Incident string    `json:"incident,omitempty"`
	Freeze   bool      `json:"freeze,omitempty" doc:"The gate was closed in the same step"`

	AllowResume bool `json:"allow_resume,omitempty" doc:"The owner may go on from what it killed"`

	Verdict  string       `json:"verdict,omitempty" enum:"stopped,not_running,already_over,fenced,waiting,deaf" doc:"Of a single job"`
	State    string       `json:"state,omitempty" doc:"The state of the single job"`
	Timeline timelineView `json:"timeline"`
	Tally    job.Tally    `json:"tally" doc:"targeted = stopped + not_running + already_over + fenced + waiting, always"`
	Missing  []int        `json:"missing_partitions,omitempty" doc:"Those the tally says nothing of: they have not taken the order yet, or could not be read; the order is then recording"`
	Unread   []int        `json:"unread_partitions,omitempty" doc:"Those of the missing that could not be read"`
	Scan     *scanView    `json:"scan,omitempty" doc:"Of a selector order: how far its walk has come; targeted grows while it goes on"`
	Open     []openView   `json:"open,omitempty" doc:"Jobs that somebody still holds, at most 100"`
}

func viewReceipt(r job.Receipt) receiptView {
	v := receiptView{
		Order: string(r.Order.ID), Stage: string(r.Stage), Actor: r.Order.Actor, Reason: r.Order.Reason,
		Incident: r.Order.Incident, Freeze: r.Order.Freeze, AllowResume: r.Order.AllowResume, Verdict: string(r.Verdict), Tally: r.Tally, Missing: r.Missing, Unread: r.Unread,
		Scope: viewScope(r.Order.Scope),
		Timeline: timelineView{
			Requested: at(r.Timeline.Requested), Recorded: at(r.Timeline.Recorded), Delivered: at(r.Timeline.Delivered),
			Cancelled: at(r.Timeline.Cancelled), Returned: at(r.Timeline.Returned),
		},
	}
	if v.Timeline.Requested == nil {
		v.Timeline.Requested = at(r.Order.RequestedAt)
	}
	if v.Timeline.Recorded == nil {
		v.Timeline.Recorded = at(r.Order.RecordedAt)
	}
	if r.Job != nil {
		v.State = string(r.Job.Visible())
	}
	if r.Scan != nil {
		v.Scan = &scanView{r.Scan.Looked, r.Scan.Open}
	}
	for _, o := range r.Open {
		v.Open = append(v.Open, openView{string(o.Job), o.Owner, o.Worker, string(o.Verdict), at(o.LeaseEnds)})
	}
	return v
}

type gateView struct {
	Frozen   bool       `json:"frozen"`
	Reason   string     `json:"reason,omitempty"`
	Incident string     `json:"incident,omitempty"`
	Actor    string     `json:"actor,omitempty"`
	FrozenAt *time.Time `json:"frozen_at,omitempty"`
	Head     string     `json:"head" doc:"What a thaw has to say it saw"`
	Missing  []int      `json:"missing_partitions,omitempty" doc:"Partitions that could not be read, or did not take the act: how their gates are is not known"`

	Rate      float64    `json:"rate_per_second,omitempty" doc:"How many jobs of the whole fleet may start in a second, since it was thawed at a rate"`
	RateUntil *time.Time `json:"rate_until,omitempty" doc:"When that ends by itself"`
}

func viewGate(g job.Gate) gateView {
	return gateView{g.Frozen, g.Reason, g.Incident, g.Actor, at(g.FrozenAt), strings.Join(g.Heads, ","), g.Missing, g.Rate, at(g.RateUntil)}
}

type workerView struct {
	ID        string     `json:"id"`
	Host      string     `json:"host"`
	Version   string     `json:"version"`
	Slots     int        `json:"slots"`
	Running   int        `json:"running"`
	Deaf      int        `json:"deaf" doc:"Jobs that ignore their cancellation"`
	DeafJobs  []string   `json:"deaf_jobs,omitempty" doc:"Some of them"`
	Draining  bool       `json:"draining"`
	Lost      bool       `json:"lost,omitempty" doc:"A gate does not know what it has seen of it; it takes nothing"`
	StartedAt *time.Time `json:"started_at,omitempty"`
	Silent    float64    `json:"silent_seconds" doc:"How long this dispatcher has watched its beat stand still"`
	SeenAt    *time.Time `json:"seen_at,omitempty" doc:"The worker's own clock at its last beat"`

	NoProgress     int      `json:"no_progress" doc:"Running jobs without a sign of life for more than two minutes"`
	NoProgressJobs []string `json:"no_progress_jobs,omitempty" doc:"Those of them that are silent the longest, at most 20"`
	TrustLeft      float64  `json:"trust_left_seconds" doc:"How long it may act on its leases unless it beats again, as far as this dispatcher has watched"`
	LeaseLeft      float64  `json:"lease_left_seconds" doc:"When its jobs may be taken or fenced unless it beats again"`

	Checkpoints string `json:"checkpoints,omitempty" doc:"Where it keeps the states of jobs"`
	Elsewhere   bool   `json:"checkpoints_elsewhere,omitempty" doc:"That is another store than the one the dispatcher that answers looks in: what one keeps the other does not find"`
}

type fleetView struct {
	Name       string           `json:"name"`
	Partitions int              `json:"partitions"`
	Missing    []int            `json:"missing_partitions,omitempty" doc:"Partitions that could not be read: no number here counts what they hold"`
	Durability string           `json:"durability" enum:"local,replicated" doc:"What the dispatcher that answers promises of the jobs, orders and freezes that it accepts"`
	Gate       gateView         `json:"gate"`
	Slots      int              `json:"slots"`
	Workers    []workerView     `json:"workers"`
	Unlisted   int              `json:"workers_unlisted,omitempty" doc:"How many workers there are beyond those listed, which are the longest silent: no number here counts what they say"`
	Store      string           `json:"checkpoints,omitempty" doc:"Where the dispatcher that answers looks for the states of jobs"`
	Jobs       map[string]int64 `json:"jobs" doc:"Live jobs by state"`
	OpenOrders []string         `json:"open_orders" doc:"Orders not yet quiesced"`
	Losses     []lossView       `json:"losses,omitempty" doc:"Gates that do not know what the dispatcher that answers has seen of them: Redis lost data"`
	Breaker    breakerView      `json:"breaker"`

	At           *time.Time `json:"at" doc:"When this was seen, on the dispatcher's clock"`
	NoProgress   int        `json:"no_progress" doc:"Running jobs without a sign of life for more than two minutes"`
	QueuedOldest float64    `json:"queued_oldest_seconds" doc:"How long the first job on the road has waited"`
	Reclaimed    int64      `json:"reclaimed_5m" doc:"Jobs taken back from silent workers in the last five minutes"`
	ControlLag   float64    `json:"control_lag_seconds" doc:"The longest time from an order's record to its arrival at a worker in the last five minutes; 0 when none arrived"`
	Redis        float64    `json:"redis_seconds" doc:"One round trip from this dispatcher to Redis"`
}

type lossView struct {
	Partition int        `json:"partition"`
	Since     *time.Time `json:"since,omitempty"`
	Seen      string     `json:"seen" doc:"The head that is missing"`
	Found     string     `json:"found" doc:"The head that is there"`
}

func viewFleet(f job.Fleet) fleetView {
	v := fleetView{
		Name: f.Name, Partitions: f.Partitions, Missing: f.Missing, Durability: cmp.Or(f.Durability, local), Gate: viewGate(f.Gate), Slots: f.Slots,
		Workers: []workerView{}, Unlisted: f.Unlisted, Store: f.Store, Jobs: map[string]int64{}, OpenOrders: []string{}, Breaker: viewBreaker(f.Breaker),
		At: at(f.At), NoProgress: f.NoProgress, QueuedOldest: f.QueuedOldest.Seconds(), Reclaimed: f.Reclaimed,
		ControlLag: f.ControlLag.Seconds(), Redis: f.RedisTook.Seconds(),
	}
	for _, w := range f.Workers {
		v.Workers = append(v.Workers, workerView{
			w.ID, w.Host, w.Version, w.Slots, w.Running, w.Deaf, texts(w.DeafJobs), w.Draining, w.Lost, at(w.StartedAt), w.Silent.Seconds(), at(w.SeenAt),
			w.NoProgress, texts(w.NoProgressJobs), w.TrustLeft.Seconds(), w.LeaseLeft.Seconds(), w.Store, w.Elsewhere,
		})
	}
	for _, l := range f.Losses {
		v.Losses = append(v.Losses, lossView{l.Partition, at(l.Since), l.Seen, l.Found})
	}
	for s, n := range f.Jobs {
		v.Jobs[string(s)] = n
	}
	for _, id := range f.OpenOrders {
		v.OpenOrders = append(v.OpenOrders, string(id))
	}
	return v
}

func texts(ids []job.ID) []string {
	var out []string
	for _, id := range ids {
		out = append(out, string(id))
	}
	return out
}

type entryView struct {
	Partition int               `json:"partition"`
	N         uint64            `json:"n" doc:"Its number in the partition, without gaps"`
	At        *time.Time        `json:"at,omitempty"`
	Act       string            `json:"act"`
	Decision  string            `json:"decision" enum:"allowed,denied"`
	Rule      string            `json:"rule,omitempty" doc:"Which rule denied it"`
	Who       object            `json:"who,omitempty" doc:"Subject, credential, address, request"`
	Fields    map[string]string `json:"fields,omitempty"`
}

func viewEntry(e job.AuditEntry) entryView {
	return entryView{e.Partition, e.N, at(e.At), e.Act, e.Decision, e.Rule, asObject(e.Who), e.Fields}
}
