package access

import (
	"encoding/json"
	"slices"
)

// Role is a set of rights. An actor may have several.
type Role string

// The roles. What each may do is the table in [Authorize].
const (
	// Owner reads, kills and resumes the jobs of their own tenant.
	Owner Role = "owner"
	// Service submits on behalf of any owner; it reads and kills only what it
	// submitted itself.
	Service Role = "service"
	// Operator is on call: reads the fleet, kills any single job, freezes.
	Operator Role = "operator"
	// Admin may also kill an owner's jobs or all of them, thaw, and read the
	// audit.
	Admin Role = "admin"
)

// Roles lists every role.
func Roles() []Role { return []Role{Owner, Service, Operator, Admin} }

// The kinds of credential.
const (
	APIKey     = "api-key"
	BreakGlass = "break-glass"
	// Token is a bearer token of the identity provider.
	Token = "token"
)

// Credential says by what an actor proved who they are.
type Credential struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Actor is who asks. It is made by an [Authenticator], or by [Emergency] where no
// dispatcher is left to ask one; From and RequestID are filled in by the door.
type Actor struct {
	// Subject is the person or service.
	Subject string
	// Owner is the paying tenant the subject belongs to; empty for a subject
	// that has no jobs of its own.
	Owner      string
	Roles      []Role
	Credential Credential
	// From is the address the request came from.
	From      string
	RequestID string
}

// Emergency is whoever Redis let in as the dispatchers' own user, when there is no
// dispatcher to ask: an admin by break-glass, who stops work and starts none. The
// subject is what they say of themselves; the credential that counts is user's.
func Emergency(subject, user, from, requestID string) Actor {
	return Actor{
		Subject: subject, Roles: []Role{Admin}, Credential: Credential{Kind: BreakGlass, ID: "redis-user-" + user},
		From: from, RequestID: requestID,
	}
}

// Has reports whether the actor has the role.
func (a Actor) Has(r Role) bool { return slices.Contains(a.Roles, r) }

// ByBreakGlass reports whether the actor came in by a break-glass credential:
// every such request is logged loudly, and it starts no work.
func (a Actor) ByBreakGlass() bool { return a.Credential.Kind == BreakGlass }

// Who is the actor as an audit entry keeps it: compact JSON.
func (a Actor) Who() []byte {
	raw, err := json.Marshal(struct {
		Subject        string `json:"subject"`
		CredentialKind string `json:"credential_kind"`
		CredentialID   string `json:"credential_id"`
		From           string `json:"from"`
		RequestID      string `json:"request_id"`
		Roles          []Role `json:"roles"`
	}{a.Subject, a.Credential.Kind, a.Credential.ID, a.From, a.RequestID, a.Roles})
	if err != nil { // strings only: it cannot fail
		return []byte(`{}`)
	}
	return raw
}
