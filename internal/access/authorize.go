package access

import (
	"fmt"
	"slices"

	"github.com/rtfm-si/gavel/internal/job"
)

// Act is something an actor may be allowed to do.
type Act string

// The acts.
const (
	Submit    Act = "submit"
	Read      Act = "read"
	Kill      Act = "kill"
	KillOwner Act = "kill-owner"
	KillFleet Act = "kill-fleet"
	// KillSelector kills what a selector asks for, whosever it is.
	KillSelector Act = "kill-selector"
	Freeze       Act = "freeze"
	Thaw         Act = "thaw"
	// Block and Lift are about standing orders.
	Block Act = "block"
	Lift  Act = "lift"
	// Adopt says that what Redis has after a loss is the truth.
	Adopt Act = "adopt"
	// Drill writes down what a kill drill came to.
	Drill     Act = "drill"
	Resume    Act = "resume"
	ReadFleet Act = "fleet-read"
	ReadAudit Act = "audit-read"
	// CreateKey, RevokeKey and ReadKeys are about API keys.
	CreateKey Act = "key-create"
	RevokeKey Act = "key-revoke"
	ReadKeys  Act = "keys-read"
	// SetBudget is about the limits of an owner or of the fleet.
	SetBudget Act = "budget-set"
)

// Acts lists every act.
func Acts() []Act {
	return []Act{Submit, Read, Kill, KillOwner, KillFleet, KillSelector, Freeze, Thaw, Block, Lift, Adopt, Drill, Resume, ReadFleet, ReadAudit, CreateKey, RevokeKey, ReadKeys, SetBudget}
}

// Target is what an act is about to reach.
type Target struct {
	// Scope is one job, one owner's jobs (submit and list name the owner), or
	// the fleet.
	Scope job.Scope
	// Owner and Submitter are those of the job's record, where it was read. A
	// kill may leave both empty: the permit then says which owner the script
	// must find.
	Owner, Submitter string
}

// OneJob is a target whose record was not read.
func OneJob(id job.ID) Target { return Target{Scope: job.Scope{Kind: job.ScopeJob, Job: id}} }

// Record is a target whose record was read.
func Record(j job.Job) Target {
	return Target{Scope: job.Scope{Kind: job.ScopeJob, Job: j.ID}, Owner: j.Owner, Submitter: j.Submitter}
}

// JobsOf is everything of one owner.
func JobsOf(owner string) Target {
	return Target{Scope: job.Scope{Kind: job.ScopeOwner, Owner: owner}, Owner: owner}
}

// WholeFleet is everything of everybody.
func WholeFleet() Target { return Target{Scope: job.Scope{Kind: job.ScopeFleet}} }

// Selected is what a selector asks for.
func Selected(s job.Selector) Target {
	return Target{Scope: job.Scope{Kind: job.ScopeSelector, Selector: &s}}
}

// The rules that a [Denied] names.
const (
	// RuleAnonymous: nobody in particular asked.
	RuleAnonymous = "anonymous"
	// RuleRole: none of the actor's roles allows the act at all.
	RuleRole = "role"
	// RuleForeign: a role allows the act, but not on this target.
	RuleForeign = "foreign"
	// RuleBreakGlass: a break-glass credential stops work; it starts none.
	RuleBreakGlass = "break-glass"
	// RuleUnknown is for the door: the target does not exist.
	RuleUnknown = "unknown"
)

// Denied is returned by [Authorize] for an act that is not allowed. The caller
// writes it into the audit where the act is a control act, and answers as for
// something unknown where the target is a job.
type Denied struct {
	Act  Act
	Rule string
}

func (d *Denied) Error() string { return fmt.Sprintf("%s denied by the rule %q", d.Act, d.Rule) }

// reach is how far a role lets an act go.
type reach int

const (
	nothing   reach = iota
	own             // jobs whose owner is the actor's
	submitted       // jobs that the actor submitted
	anything
)

// Authorize is the owner/admin rule, all of it:
//
//	               owner  service    operator  admin
//	submit         own    any owner  -         own
//	read           own    submitted  any       any
//	kill           own    submitted  any       any
//	kill-owner     -      -          -         any
//	kill-fleet     -      -          -         any
//	kill-selector  -      -          -         any
//	freeze         -      -          any       any
//	thaw           -      -          -         any
//	block          -      -          any       any
//	lift           -      -          -         any
//	adopt          -      -          -         any
//	drill          -      -          -         any
//	resume         own    submitted  -         any
//	fleet-read     -      -          any       any
//	audit-read     -      -          -         any
//	key-create     -      -          -         any
//	key-revoke     -      -          -         any
//	keys-read      -      -          -         any
//	budget-set     -      -          -         any
//
// A break-glass credential never submits or resumes, nor makes a key or raises a cap that could. The error is a [*Denied],
// or wraps [job.ErrBadScope] when the act has no meaning on the target.
func Authorize(a Actor, act Act, on Target) (Permit, error) {
	if err := fits(act, on.Scope); err != nil {
		return Permit{}, err
	}
	if a.Subject == "" {
		return Permit{}, &Denied{act, RuleAnonymous}
	}
	if a.ByBreakGlass() && startsWork(act) {
		return Permit{}, &Denied{act, RuleBreakGlass}
	}
	p := Permit{actor: a, act: act, scope: on.Scope, granted: true}
	p.actor.Roles = slices.Clone(a.Roles)
	rule := RuleRole
	for _, r := range Roles() {
		if !a.Has(r) {
			continue
		}
		switch table(r, act) {
		case anything:
			p.mustOwn, p.submitted = "", ""
			return p, nil
		case own:
			rule = RuleForeign
			if a.Owner != "" && (on.Owner == a.Owner || on.Owner == "" && act == Kill) {
				p.mustOwn, p.submitted = a.Owner, ""
			}
		case submitted:
			rule = RuleForeign
			if p.mustOwn == "" && bySubmission(a, act, on) {
				p.mustOwn, p.submitted = on.Owner, a.Subject
			}
		case nothing:
		}
	}
	if p.mustOwn == "" {
		return Permit{}, &Denied{act, rule}
	}
	return p, nil
}

// startsWork: the act starts work, or gives somebody what could.
func startsWork(act Act) bool {
	return act == Submit || act == Resume || act == CreateKey || act == SetBudget
}

// bySubmission: the record was read and names the actor as its submitter; or
// it is a list of one owner's jobs, of which those are shown.
func bySubmission(a Actor, act Act, on Target) bool {
	if on.Scope.Kind == job.ScopeOwner {
		return act == Read
	}
	return on.Owner != "" && on.Submitter == a.Subject
}

func table(r Role, act Act) reach {
	switch r {
	case Admin:
		if act == Submit {
			return own
		}
		return anything
	case Operator:
		if act == Read || act == Kill || act == Freeze || act == Block || act == ReadFleet {
			return anything
		}
	case Owner:
		if act == Submit || act == Read || act == Kill || act == Resume {
			return own
		}
	case Service:
		if act == Submit {
			return anything
		}
		if act == Read || act == Kill || act == Resume {
			return submitted
		}
	}
	return nothing
}

// fits refuses an act on a scope it has no meaning for.
func fits(act Act, s job.Scope) error {
	if err := s.Check(); err != nil {
		return fmt.Errorf("authorise %s: %w", act, err)
	}
	want := []job.ScopeKind{job.ScopeFleet}
	switch act {
	case Kill, Resume:
		want = []job.ScopeKind{job.ScopeJob}
	case Submit, KillOwner:
		want = []job.ScopeKind{job.ScopeOwner}
	case Read:
		want = []job.ScopeKind{job.ScopeJob, job.ScopeOwner, job.ScopeFleet}
	case KillSelector:
		want = []job.ScopeKind{job.ScopeSelector}
	case KillFleet, Freeze, Thaw, Block, Lift, Adopt, Drill, ReadFleet, ReadAudit, CreateKey, RevokeKey, ReadKeys, SetBudget:
	default:
		return fmt.Errorf("authorise: there is no act %q", act)
	}
	if !slices.Contains(want, s.Kind) {
		return fmt.Errorf("authorise %s: %w: it does not act on a %s", act, job.ErrBadScope, s.Kind)
	}
	return nil
}
