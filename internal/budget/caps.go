package budget

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// fleetCaps is the field of caps that is the fleet's own; no owner is called so.
const fleetCaps = "*"

// home is the partition that knows what is the fleet's own.
const home = 0

// limitsFrom reads what was set, "cap=100 running=3", over the defaults.
func limitsFrom(own, capped, running string) job.Limits {
	var l job.Limits
	for _, text := range []string{"cap=" + capped, "running=" + running, own} {
		for _, word := range strings.Fields(text) {
			name, value, _ := strings.Cut(word, "=")
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				continue
			}
			if name == "cap" {
				l.Cap = new(job.MicroUSD(n))
			} else {
				l.Running = new(int(n))
			}
		}
	}
	return l
}

// limitsText writes limits as scripts read them; the cap comes first.
func limitsText(l job.Limits) string {
	var words []string
	if l.Cap != nil {
		words = append(words, "cap="+money(l.Cap))
	}
	if l.Running != nil {
		words = append(words, "running="+number(l.Running))
	}
	return strings.Join(words, " ")
}

// SetBudget sets the limits of an owner, or of the fleet for an empty one, and
// tells what holds then; no limits are the defaults again. Partitions but the
// fleet's first hear of its cap with their next tick.
func (b *Redis) SetBudget(ctx context.Context, p access.Permit, owner string, l job.Limits, reason string) (job.Budget, error) {
	if !p.Allows(access.SetBudget) {
		return job.Budget{}, ErrNoPermit
	}
	name, part := owner, b.partitions.Of(owner)
	if owner == "" {
		name, part = fleetCaps, home
	}
	if _, err := b.call(ctx, "set_budget", rediskit.Place{Slot: b.partitions.Slot(part)}, rediskit.Args{
		"name": name, "limits": limitsText(l), "reason": reason, "who": p.Who(),
	}); err != nil {
		return job.Budget{}, err
	}
	return b.Budget(ctx, owner)
}

// Budget tells the limits of an owner, or of the fleet for an empty one.
func (b *Redis) Budget(ctx context.Context, owner string) (job.Budget, error) {
	if owner == "" {
		return b.fleetBudget(ctx)
	}
	p := b.partitions.Of(owner)
	own, err := b.capsOf(ctx, p, owner)
	if err != nil {
		return job.Budget{}, err
	}
	all, err := b.budgetsIn(ctx, p, map[string]string{owner: own})
	if err != nil {
		return job.Budget{}, err
	}
	return all[0], nil
}

// Budgets tells the limits of the fleet, and of every owner who has some of
// their own, by name.
func (b *Redis) Budgets(ctx context.Context) ([]job.Budget, error) {
	fleet, err := b.fleetBudget(ctx)
	if err != nil {
		return nil, err
	}
	var owners []job.Budget
	for _, p := range b.partitions.All() {
		caps, err := b.allCaps(ctx, p)
		if err != nil {
			return nil, err
		}
		delete(caps, fleetCaps)
		some, err := b.budgetsIn(ctx, p, caps)
		if err != nil {
			return nil, err
		}
		owners = append(owners, some...)
	}
	slices.SortFunc(owners, func(x, y job.Budget) int { return strings.Compare(x.Owner, y.Owner) })
	return append([]job.Budget{fleet}, owners...), nil
}

// usage is how far a name's window is used up.
type usage struct {
	spent, reserved job.MicroUSD
	running, held   int
}

// budgetsIn tells the limits of owners of one partition.
func (b *Redis) budgetsIn(ctx context.Context, p int, caps map[string]string) ([]job.Budget, error) {
	if len(caps) == 0 {
		return nil, nil
	}
	m, err := b.moneyIn(ctx, p)
	if err != nil {
		return nil, err
	}
	var out []job.Budget
	var names []string
	for owner, own := range caps {
		out = append(out, job.Budget{Owner: owner, Own: limitsFrom(own, "", ""), InForce: limitsFrom(own, m["cap"], m["running"])})
		names = append(names, "owner:"+owner)
	}
	used, err := b.usage(ctx, p, m, names)
	if err != nil {
		return nil, err
	}
	for i, u := range used {
		u.into(&out[i], m)
	}
	return out, nil
}

func (b *Redis) fleetBudget(ctx context.Context) (job.Budget, error) {
	own, err := b.capsOf(ctx, home, fleetCaps)
	if err != nil {
		return job.Budget{}, err
	}
	out := job.Budget{Own: limitsFrom(own, "", "")}
	for _, p := range b.partitions.All() {
		m, err := b.moneyIn(ctx, p)
		if err != nil {
			return job.Budget{}, err
		}
		used, err := b.usage(ctx, p, m, []string{"total"})
		if err != nil {
			return job.Budget{}, err
		}
		if p == home {
			out.InForce = limitsFrom(own, m["fleet"], "")
		}
		used[0].into(&out, m)
	}
	return out, nil
}

// into adds what is used up to a budget, by the money's clock.
func (u usage) into(b *job.Budget, m map[string]string) {
	at, length := rediskit.Number(m["at"]), cmp.Or(rediskit.Number(m["length"]), day)
	b.Window = job.Window{
		Cap: b.InForce.Cap, Spent: b.Window.Spent + u.spent, Reserved: b.Window.Reserved + u.reserved,
		Length: time.Duration(length) * time.Microsecond, Ends: time.UnixMicro(at - at%length + length).UTC(),
	}
	b.Running, b.Held = b.Running+u.running, b.Held+u.held
}
