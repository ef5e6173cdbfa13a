package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type spendNowView struct {
	PerMinute job.MicroUSD `json:"micro_usd_per_minute" doc:"Booked in the last 60 s"`
	Baseline  job.MicroUSD `json:"baseline_micro_usd_per_minute" doc:"A minute of the hour before, without its last five"`
	LastFive  job.MicroUSD `json:"last_5m_micro_usd"`
	Today     job.MicroUSD `json:"today_micro_usd" doc:"Since midnight UTC"`
	Reserved  job.MicroUSD `json:"reserved_micro_usd" doc:"Set aside for calls in flight"`
	Estimated job.MicroUSD `json:"estimated_micro_usd" doc:"Of today: what no provider has confirmed"`
}

type windowView struct {
	Cap      *job.MicroUSD `json:"cap_micro_usd" nullable:"true" doc:"null is none"`
	Spent    job.MicroUSD  `json:"spent_micro_usd"`
	Reserved job.MicroUSD  `json:"reserved_micro_usd" doc:"Set aside for calls in flight"`
	Length   float64       `json:"length_seconds"`
	EndsAt   time.Time     `json:"ends_at"`
	ToCap    *float64      `json:"seconds_to_cap" nullable:"true" doc:"At the burn of now; null is never"`
}

func viewWindow(w job.Window, perMinute job.MicroUSD) windowView {
	v := windowView{Cap: w.Cap, Spent: w.Spent, Reserved: w.Reserved, Length: w.Length.Seconds(), EndsAt: w.Ends}
	if d, ok := w.ToCap(perMinute); ok {
		v.ToCap = new(d.Seconds())
	}
	return v
}

type breakerView struct {
	Mode      string        `json:"mode" enum:"off,alert,freeze,park,kill"`
	Limit     *job.MicroUSD `json:"limit_micro_usd_per_minute" nullable:"true"`
	Burn      job.MicroUSD  `json:"burn_micro_usd_per_minute" doc:"What counts against the limit: booked in the last 60 s, and reserved for calls in flight"`
	Tripped   bool          `json:"tripped"`
	TrippedAt *time.Time    `json:"tripped_at" nullable:"true"`
	Reason    string        `json:"reason,omitempty" doc:"Why it tripped"`
}

func viewBreaker(b job.Breaker) breakerView {
	return breakerView{b.Mode, b.Limit, b.Burn, b.Tripped, at(b.TrippedAt), b.Reason}
}

type minuteView struct {
	At    time.Time    `json:"at"`
	Spent job.MicroUSD `json:"micro_usd"`
}

type spenderView struct {
	Name      string       `json:"name"`
	PerMinute job.MicroUSD `json:"micro_usd_per_minute"`
	LastFive  job.MicroUSD `json:"last_5m_micro_usd"`
	Today     job.MicroUSD `json:"today_micro_usd"`
	Running   int          `json:"running" doc:"Jobs that hold a lease now; a model has none of its own"`
}

type spendView struct {
	At      time.Time     `json:"at" doc:"On the money's clock, which the dispatchers push on"`
	Now     spendNowView  `json:"now"`
	Window  windowView    `json:"window" doc:"Of the fleet, or of the owner who asks"`
	Breaker breakerView   `json:"breaker"`
	Minutes []minuteView  `json:"minutes" doc:"The last 60, oldest first"`
	By      string        `json:"by" example:"owner"`
	Top     []spenderView `json:"top" doc:"The dearest first"`
}

func viewSpend(s job.Spend, by string) spendView {
	v := spendView{
		At:      s.At,
		Now:     spendNowView{s.PerMinute, s.Baseline, s.LastFive, s.Today, s.Reserved, s.Estimated},
		Window:  viewWindow(s.Window, s.PerMinute),
		Breaker: viewBreaker(s.Breaker),
		Minutes: []minuteView{}, By: by, Top: []spenderView{},
	}
	for _, m := range s.Minutes {
		v.Minutes = append(v.Minutes, minuteView{m.At, m.Spent})
	}
	for _, t := range s.Top {
		v.Top = append(v.Top, spenderView{t.Name, t.PerMinute, t.LastFive, t.Today, t.Running})
	}
	return v
}

func (d *Door) mountSpend(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "spend", Method: http.MethodGet, Path: "/v1/spend", Summary: "See what is being spent, and by whom",
		Description: "Operators and admins see everybody's; an owner sees their own, by owner.",
	}, d.spend)
}

type spendQuery struct {
	By  string `query:"by" default:"owner" doc:"owner, submitter, kind, model, worker, version or label:KEY; version is that of the workers, and (gone) are those that have left"`
	Top int    `query:"top" minimum:"1" maximum:"200" default:"20" doc:"How many names at most"`
}

func (d *Door) spend(ctx context.Context, in *spendQuery) (*answer[spendView], error) {
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	if q.Owner, err = d.whoseMoney(ctx); err != nil {
		return nil, fmt.Errorf("spend: %w", err)
	}
	by := in.By
	if q.Owner != "" {
		q.By, q.Label, by = job.ByOwner, "", job.ByOwner
	}
	s, err := d.spendBy(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("spend: %w", err)
	}
	return &answer[spendView]{viewSpend(s, by)}, nil
}

// spendBy asks the books, which know what each worker's jobs cost, but not what
// it runs: that is in the workers' table.
func (d *Door) spendBy(ctx context.Context, q job.SpendQuery) (job.Spend, error) {
	if q.By != job.ByVersion {
		return d.cfg.Books.Spend(ctx, q)
	}
	f, err := d.cfg.Fleet.View(ctx)
	if err != nil {
		return job.Spend{}, err
	}
	top := q.Top
	q.By, q.Top = job.ByWorker, math.MaxInt32
	s, err := d.cfg.Books.Spend(ctx, q)
	s.By, s.Top = job.ByVersion, byVersion(s.Top, f.Workers)
	s.Top = s.Top[:min(len(s.Top), top)]
	return s, err
}

// byVersion adds up what workers spend by what they run, the dearest first.
func byVersion(workers []job.Spender, table []job.WorkerView) (out []job.Spender) {
	runs := map[string]string{}
	for _, w := range table {
		runs[w.ID] = w.Version
	}
	at := map[string]int{}
	for _, w := range workers {
		version, ok := runs[w.Name]
		if !ok {
			version = "(gone)"
		}
		i, ok := at[version]
		if !ok {
			i, at[version] = len(out), len(out)
			out = append(out, job.Spender{Name: version})
		}
		out[i].PerMinute += w.PerMinute
		out[i].LastFive += w.LastFive
		out[i].Today += w.Today
		out[i].Running += w.Running
	}
	slices.SortFunc(out, job.Spender.Compare)
	return out
}

func (in *spendQuery) query() (job.SpendQuery, error) {
	q := job.SpendQuery{By: in.By, Top: in.Top}
	switch in.By {
	case job.ByOwner, job.BySubmitter, job.ByKind, job.ByModel, job.ByWorker, job.ByVersion:
		return q, nil
	}
	key, ok := strings.CutPrefix(in.By, job.ByLabel+":")
	if !ok {
		return q, invalid("by is owner, submitter, kind, model, worker, version or label:KEY.")
	}
	q.By, q.Label = job.ByLabel, key
	return q, job.CheckName("the label's key", key, job.MaxLabelKey)
}

// whoseMoney is whose spend and limits the actor may see: everybody's, which is
// the empty owner, or their own.
func (d *Door) whoseMoney(ctx context.Context) (string, error) {
	actor := from(ctx).actor
	_, err := access.Authorize(actor, access.ReadFleet, access.WholeFleet())
	if err == nil || actor.Owner == "" {
		return "", err
	}
	p, err := access.Authorize(actor, access.Read, access.JobsOf(actor.Owner))
	if err != nil {
		return "", err
	}
	if p.MustHaveSubmitted() != "" {
		return "", &access.Denied{Act: access.Read, Rule: access.RuleForeign}
	}
	return actor.Owner, nil
}
