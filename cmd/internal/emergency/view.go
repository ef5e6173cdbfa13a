package emergency

import (
	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/job"
)

// receiptOf is a receipt as the API would show it, so that whoever reads it need
// not know by which way it came.
func receiptOf(r job.Receipt) client.Receipt {
	t := r.Tally
	v := client.Receipt{
		Order: string(r.Order.ID), Scope: client.Scope{Kind: string(r.Order.Scope.Kind), Owner: r.Order.Scope.Owner},
		Stage: client.Stage(r.Stage), Actor: r.Order.Actor, Reason: r.Order.Reason, Incident: r.Order.Incident, Freeze: r.Order.Freeze, AllowResume: r.Order.AllowResume,
		Timeline: client.Timeline{Requested: r.Order.RequestedAt, Recorded: r.Order.RecordedAt},
		Tally: client.Tally{
			Targeted: t.Targeted, Stopped: t.Stopped, NotRunning: t.NotRunning, AlreadyOver: t.AlreadyOver, Fenced: t.Fenced, Waiting: t.Waiting,
			Deaf: t.Deaf, CoveredBefore: t.CoveredBefore, Unbooked: t.Unbooked, SpentAfter: client.MicroUSD(t.SpentAfter),
		},
		Missing: r.Missing, Unread: r.Unread,
	}
	for _, o := range r.Open {
		v.Open = append(v.Open, client.Open{
			Job: string(o.Job), Owner: o.Owner, Worker: o.Worker, Verdict: client.Verdict(o.Verdict), LeaseEnds: o.LeaseEnds,
		})
	}
	return v
}

func jobsOf(f job.Fleet) map[client.State]int64 {
	out := map[client.State]int64{}
	for s, n := range f.Jobs {
		if n != 0 {
			out[client.State(s)] = n
		}
	}
	return out
}
