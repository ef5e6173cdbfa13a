package access

import "github.com/rtfm-si/gavel/internal/job"

// Permit is proof that [Authorize] allowed one act on one scope to one actor.
// Its fields are not exported: there is no other way to make one that allows
// anything. The zero Permit allows nothing.
type Permit struct {
	actor     Actor
	act       Act
	scope     job.Scope
	mustOwn   string
	submitted string
	granted   bool
}

// Allows reports whether the permit is for that act.
func (p Permit) Allows(act Act) bool { return p.granted && p.act == act }

// Actor is who it was given to.
func (p Permit) Actor() Actor { return p.actor }

// Act is what it allows.
func (p Permit) Act() Act { return p.act }

// Scope is what it reaches; a permit for one scope is none for another.
func (p Permit) Scope() job.Scope { return p.scope }

// MustOwn is the owner that a script must find on the record before it acts;
// empty when the actor may reach everyone's jobs.
func (p Permit) MustOwn() string { return p.mustOwn }

// MustHaveSubmitted is the submitter that every job reached must carry; empty
// when the right does not come from having submitted it.
func (p Permit) MustHaveSubmitted() string { return p.submitted }

// Who is the actor as an audit entry keeps it: compact JSON.
func (p Permit) Who() []byte { return p.actor.Who() }
