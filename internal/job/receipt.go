package job

import "time"

// Stage is how far an order has come. Only [Quiesced] means "stopped".
type Stage string

// The stages, in the order they are reached.
const (
	// Recording: not every partition is known to have taken the order; it will be
	// completed by any dispatcher. The receipt names the missing ones, and its
	// tally is of the others only.
	Recording Stage = "recording"
	// Accepted: durable in every partition. Nothing it covers can start.
	Accepted Stage = "accepted"
	// Replicated: acknowledged by all promotable replicas, where configured.
	Replicated Stage = "replicated"
	// Quiesced: nobody holds authority over any covered job any more.
	Quiesced Stage = "quiesced"
)

// Tally counts the verdicts of an order. It sums up at every instant:
// Targeted = Stopped + NotRunning + AlreadyOver + Fenced + Waiting.
type Tally struct {
	Targeted    int64 `json:"targeted"`
	Stopped     int64 `json:"stopped"`
	NotRunning  int64 `json:"not_running"`
	AlreadyOver int64 `json:"already_over"`
	Fenced      int64 `json:"fenced"`
	Waiting     int64 `json:"waiting"`
	// Deaf is how many of the waiting ignore their context; it is inside Waiting.
	Deaf int64 `json:"deaf"`
	// CoveredBefore were already under an earlier order; outside the sum.
	CoveredBefore int64 `json:"covered_before"`
	// Unbooked are dead already, but their record does not say so yet.
	Unbooked int64 `json:"unbooked"`
	// SpentAfter is what was booked on covered jobs after the order was recorded.
	SpentAfter MicroUSD `json:"spent_after_micro_usd"`
}

// Sums reports whether the tally adds up.
func (t Tally) Sums() bool {
	return t.Targeted == t.Stopped+t.NotRunning+t.AlreadyOver+t.Fenced+t.Waiting
}

// Add returns the sum of two tallies, as over partitions.
func (t Tally) Add(o Tally) Tally {
	t.Targeted += o.Targeted
	t.Stopped += o.Stopped
	t.NotRunning += o.NotRunning
	t.AlreadyOver += o.AlreadyOver
	t.Fenced += o.Fenced
	t.Waiting += o.Waiting
	t.Deaf += o.Deaf
	t.CoveredBefore += o.CoveredBefore
	t.Unbooked += o.Unbooked
	t.SpentAfter += o.SpentAfter
	return t
}

// Timeline is the course of one kill, on Redis's clock except Requested, which
// is the dispatcher's. A zero time has not happened.
type Timeline struct {
	Requested, Recorded, Delivered, Cancelled, Returned time.Time
}

// Open is a covered job that somebody still holds.
type Open struct {
	Job     ID
	Owner   string
	Worker  string
	Verdict Verdict // Waiting or Deaf
	// LeaseEnds is an estimate of when the job is fenced at the latest if its
	// worker stays silent from now on.
	LeaseEnds time.Time
}

// Receipt says what an order really did.
type Receipt struct {
	Order Order
	Stage Stage
	Tally Tally
	// Missing names the partitions that the tally says nothing of: they have not
	// taken the order, or could not be read (Recording).
	Missing []int
	// Unread are those of Missing that could not be read: whether they have taken
	// the order, and what it did there, is not known now.
	Unread []int
	// Open names the jobs still held, at most 100.
	Open []Open
	// Scan is set for a selector order: Targeted grows while it goes on.
	Scan *Scan
	// Job, Verdict and Timeline are set for a single-job order.
	Job      *Job
	Timeline Timeline
	Verdict  Verdict
}
