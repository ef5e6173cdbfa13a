package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// Limits are how much one dispatcher takes. Each subject has its own share, so
// that one who floods does not take the others' place; controls (kill, freeze,
// block and what belongs to them) have a share of their own and are never shed
// because the dispatcher is busy. The zero value limits nothing.
type Limits struct {
	// Submits is of what starts work, Reads of what only looks, Controls of all
	// else. A break-glass credential's controls have no limit.
	Submits, Reads, Controls Rate
	// InFlight is how many submits and reads are answered at once, streams
	// apart; 0 is any number.
	InFlight int
	// Refused is how many credentials of one address are refused with a reason
	// and a line in the log.
	Refused Rate
}

// Rate is a token bucket: so many requests a second, and so many at once after
// a pause. The zero value limits nothing.
type Rate struct {
	PerSecond float64
	Burst     int
}

// class is what a request is for.
type class int

const (
	submits class = iota
	reads
	controls
	classes
)

// maxSubjects is how many buckets of a class are remembered; the one that was
// asked longest ago goes first, and has been full again for long.
const maxSubjects = 10_000

// limiter keeps the buckets.
type limiter struct {
	subjects [classes]*buckets
	refused  *buckets
	inFlight chan struct{} // nil for any number
}

type buckets struct {
	of   Rate
	each *lru.Cache[string, *rate.Limiter]
}

func newLimiter(l Limits) (limiter, error) {
	var out limiter
	var errs []error
	build := func(r Rate) *buckets {
		if r == (Rate{}) {
			return nil
		}
		if r.PerSecond <= 0 || r.Burst < 1 {
			errs = append(errs, errors.New("api: Config.Limits: a rate wants more than 0 per second and a burst of at least 1"))
		}
		each, err := lru.New[string, *rate.Limiter](maxSubjects)
		errs = append(errs, err)
		return &buckets{of: r, each: each}
	}
	for c, r := range [classes]Rate{submits: l.Submits, reads: l.Reads, controls: l.Controls} {
		out.subjects[c] = build(r)
	}
	out.refused = build(l.Refused)
	if l.InFlight > 0 {
		out.inFlight = make(chan struct{}, l.InFlight)
	}
	return out, errors.Join(errs...)
}

// take takes one from a key's bucket, or says for how long there is none.
func (b *buckets) take(key string, now time.Time) (wait time.Duration) {
	if b == nil {
		return 0
	}
	full := rate.NewLimiter(rate.Limit(b.of.PerSecond), b.of.Burst)
	l, had, _ := b.each.PeekOrAdd(key, full)
	if !had {
		l = full
	}
	_, _ = b.each.Get(key) // it was used
	r := l.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// classOf says what a request to a route is for.
func classOf(method, route string) class {
	switch {
	case method == http.MethodGet || method == http.MethodHead:
		return reads
	case route == "/v1/jobs", strings.HasSuffix(route, "/resume"), strings.HasSuffix(route, "/answer"):
		return submits
	default:
		return controls
	}
}

// share refuses what is more than one subject's share.
func (d *Door) share(r *http.Request, a *asked) error {
	if public(r.URL.Path) {
		return nil
	}
	a.class = classOf(r.Method, d.routeOf(r))
	if a.class == controls && a.actor.ByBreakGlass() {
		return nil
	}
	wait := d.limits.subjects[a.class].take(a.actor.Subject, d.cfg.Now())
	if wait == 0 {
		return nil
	}
	what := map[class]string{submits: "submits", reads: "reads", controls: "kills and other controls"}[a.class]
	return problem(http.StatusTooManyRequests, typeRateLimited, "Too many requests",
		"Your credential's subject sends more "+what+" than this dispatcher takes from one. Nothing was done; send it again after a pause. Other kinds of request have a limit of their own.").
		after(max(wait, time.Second))
}

// room finds a place for a request among those in flight. Controls and streams
// need none.
func (d *Door) room(r *http.Request, a *asked) (leave func(), err error) {
	none := func() {}
	if d.limits.inFlight == nil || a.class == controls || public(r.URL.Path) || strings.HasSuffix(r.URL.Path, "/events") {
		return none, nil
	}
	select {
	case d.limits.inFlight <- struct{}{}:
		return func() { <-d.limits.inFlight }, nil
	default:
		return none, problem(http.StatusServiceUnavailable, typeOverloaded, "The dispatcher is busy",
			"It answers as many requests as it can. Nothing was done; send it again after a pause, or ask another dispatcher. Kills are taken all the same.").after(job.RetryAfter)
	}
}

// refusal is the answer to a credential that is not good; one who tries very
// many learns nothing more, and fills no log.
func (d *Door) refusal(from string, err error) (answer error, said bool) {
	if !errors.Is(err, access.ErrRefused) && !errors.Is(err, access.ErrExpired) {
		return err, false
	}
	wait := d.limits.refused.take(from, d.cfg.Now())
	if wait == 0 {
		return err, false
	}
	return problem(http.StatusTooManyRequests, typeRateLimited, "Too many credentials were refused",
		"Too many credentials that are not good came from your address. A good one is taken at once.").after(max(wait, time.Second)), true
}
