package budget

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// shown is how many minutes a view goes back.
const shown = 60

// topNames is how many names a view tells when it is not told how many.
const topNames = 20

// Spend tells what is being spent. A partition that does not answer fails it:
// half of a sum would be taken for the whole.
func (b *Redis) Spend(ctx context.Context, q job.SpendQuery) (job.Spend, error) {
	var sheets []sheet
	var at int64
	for _, p := range b.seen(q.Owner) {
		s, err := b.sheet(ctx, p, q)
		if err != nil {
			return job.Spend{}, err
		}
		sheets, at = append(sheets, s), max(at, s.at)
	}
	fleet, err := b.moneyIn(ctx, home)
	if err != nil {
		return job.Spend{}, err
	}
	out := job.Spend{At: time.UnixMicro(at).UTC(), By: q.By, Breaker: rediskit.Breaker(fleet)}
	last := at / minute
	for n := last - shown + 1; n <= last; n++ {
		out.Minutes = append(out.Minutes, job.Minute{At: time.UnixMicro(n * minute).UTC()})
	}
	tops := map[string]*job.Spender{}
	for _, s := range sheets {
		s.into(&out, last, tops)
	}
	burn := newBurn(at)
	for i, m := range out.Minutes {
		ago := int64(shown - 1 - i)
		out.PerMinute += burn.of(m.Spent, ago, 1)
		out.LastFive += burn.of(m.Spent, ago, 5)
		if ago >= 5 {
			out.Baseline += m.Spent
		}
	}
	out.Baseline /= shown - 5
	for _, t := range tops {
		out.Top = append(out.Top, *t)
	}
	slices.SortFunc(out.Top, job.Spender.Compare)
	out.Top = out.Top[:min(len(out.Top), cmp.Or(q.Top, topNames))]
	return out, nil
}

// seen are the partitions that a view has to look at.
func (b *Redis) seen(owner string) []int {
	if owner != "" {
		return []int{b.partitions.Of(owner)}
	}
	return b.partitions.All()
}

const minute, day = int64(time.Minute / time.Microsecond), int64(24 * time.Hour / time.Microsecond)

// burn makes a rate of whole minutes: this one, and of the oldest that is asked
// for what this one does not cover yet.
type burn struct{ into int64 } // how far into this minute

func newBurn(at int64) burn { return burn{at % minute} }

// of is the share of a minute that many minutes ago in the last n.
func (b burn) of(spent job.MicroUSD, ago, n int64) job.MicroUSD {
	switch {
	case ago < n:
		return spent
	case ago == n:
		return spent * job.MicroUSD(minute-b.into) / job.MicroUSD(minute)
	default:
		return 0
	}
}

// sheet is what one partition has to say.
type sheet struct {
	at             int64
	owner          string // whose view it is
	dim            string // "owner:", "label:batch=", …
	minutes        map[int64]job.MicroUSD
	recent         map[int64]map[string]string // the last six minutes, whole
	today          map[string]string
	holding, money map[string]string
	window         map[string]string
	caps           string // the own caps of the view's owner, or the fleet's
	home           bool   // the partition that knows the fleet's
	running        map[string]int
}

// into adds a sheet to the view.
func (s sheet) into(v *job.Spend, last int64, tops map[string]*job.Spender) {
	for i := range v.Minutes {
		v.Minutes[i].Spent += s.minutes[last-shown+1+int64(i)]
	}
	total, estimated := "total", "estimated"
	if s.owner != "" {
		total, estimated = "owner:"+s.owner, "estimated:"+s.owner
	}
	v.Today += amount(s.today[total])
	v.Estimated += amount(s.today[estimated])
	v.Reserved += amount(s.holding[total])
	w := s.windowOf(total)
	v.Window.Spent += w.Spent
	v.Window.Reserved += w.Reserved
	v.Window.Length, v.Window.Ends = w.Length, w.Ends
	if w.Cap != nil {
		v.Window.Cap = w.Cap
	}
	s.names(newBurn(s.at), last, tops)
}

// names adds what a sheet knows of the names of its dimension.
func (s sheet) names(b burn, last int64, tops map[string]*job.Spender) {
	of := func(field string) *job.Spender {
		name, ok := strings.CutPrefix(field, s.dim)
		if !ok && field == strings.SplitAfter(s.dim, ":")[0]+"(other)" {
			name, ok = "(other)", true
		}
		if !ok || s.owner != "" && name != s.owner {
			return nil
		}
		if tops[name] == nil {
			tops[name] = &job.Spender{Name: name}
		}
		return tops[name]
	}
	for field, spent := range s.today {
		if t := of(field); t != nil {
			t.Today += amount(spent)
		}
	}
	for n, fields := range s.recent {
		for field, spent := range fields {
			if t := of(field); t != nil {
				t.PerMinute += b.of(amount(spent), last-n, 1)
				t.LastFive += b.of(amount(spent), last-n, 5)
			}
		}
	}
	for field, n := range s.running {
		if t := of(field); t != nil {
			t.Running += n
		}
	}
}

// windowOf is how far a name's window is used up.
func (s sheet) windowOf(name string) job.Window {
	length := cmp.Or(rediskit.Number(s.money["length"]), day)
	return job.Window{
		Spent: amount(s.window[name]), Reserved: amount(s.holding[name]), Cap: s.limits().Cap,
		Length: time.Duration(length) * time.Microsecond, Ends: time.UnixMicro(s.at - s.at%length + length).UTC(),
	}
}

// limits are those of the view's owner, or of the fleet; its home knows them.
func (s sheet) limits() job.Limits {
	if s.owner != "" {
		return limitsFrom(s.caps, s.money["cap"], s.money["running"])
	}
	if s.home {
		return limitsFrom(s.caps, s.money["fleet"], "")
	}
	return job.Limits{}
}

func amount(s string) job.MicroUSD { return job.MicroUSD(rediskit.Number(s)) }
