package access

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const aJob = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00")

func actor(role Role) Actor {
	return Actor{Subject: "s-" + string(role), Owner: "acme", Roles: []Role{role}, Credential: Credential{APIKey, "k1"}}
}

// where an act can be tried, and the record found there.
func targets(a Actor) map[string]Target {
	one := job.Scope{Kind: job.ScopeJob, Job: aJob}
	return map[string]Target{
		"own":       {one, "acme", "somebody"},
		"submitted": {one, "other", a.Subject},
		"foreign":   {one, "other", "somebody"},
		"unread":    OneJob(aJob),
		"own all":   JobsOf("acme"),
		"other all": JobsOf("other"),
		"fleet":     WholeFleet(),
		"selected":  Selected(job.Selector{Kind: "deliberation"}),
	}
}

// The whole rule, one line per act and role: the targets on which it is allowed.
// What a line does not name is denied, or has no meaning for that act.
func TestAuthorizeIsThisTable(t *testing.T) {
	const (
		everyJob  = "own submitted foreign unread"
		ownJob    = "own"
		everyRead = everyJob + ",own all,other all,fleet"
	)
	allowed := map[string]string{
		"submit owner": "own all", "submit service": "own all,other all", "submit operator": "", "submit admin": "own all",
		"read owner": "own,own all", "read service": "submitted,own all,other all", "read operator": everyRead, "read admin": everyRead,
		"kill owner": "own unread", "kill service": "submitted", "kill operator": everyJob, "kill admin": everyJob,
		"kill-owner owner": "", "kill-owner service": "", "kill-owner operator": "", "kill-owner admin": "own all,other all",
		"kill-fleet owner": "", "kill-fleet service": "", "kill-fleet operator": "", "kill-fleet admin": "fleet",
		"kill-selector owner": "", "kill-selector service": "", "kill-selector operator": "", "kill-selector admin": "selected",
		"block owner": "", "block service": "", "block operator": "fleet", "block admin": "fleet",
		"lift owner": "", "lift service": "", "lift operator": "", "lift admin": "fleet",
		"drill owner": "", "drill service": "", "drill operator": "", "drill admin": "fleet",
		"adopt owner": "", "adopt service": "", "adopt operator": "", "adopt admin": "fleet",
		"freeze owner": "", "freeze service": "", "freeze operator": "fleet", "freeze admin": "fleet",
		"thaw owner": "", "thaw service": "", "thaw operator": "", "thaw admin": "fleet",
		"resume owner": ownJob, "resume service": "submitted", "resume operator": "", "resume admin": everyJob,
		"fleet-read owner": "", "fleet-read service": "", "fleet-read operator": "fleet", "fleet-read admin": "fleet",
		"key-create owner": "", "key-create service": "", "key-create operator": "", "key-create admin": "fleet",
		"key-revoke owner": "", "key-revoke service": "", "key-revoke operator": "", "key-revoke admin": "fleet",
		"keys-read owner": "", "keys-read service": "", "keys-read operator": "", "keys-read admin": "fleet",
		"budget-set owner": "", "budget-set service": "", "budget-set operator": "", "budget-set admin": "fleet",
		"audit-read owner": "", "audit-read service": "", "audit-read operator": "", "audit-read admin": "fleet",
	}
	require.Len(t, allowed, len(Acts())*len(Roles()), "a new act or role needs its lines here")
	for _, act := range Acts() {
		for _, role := range Roles() {
			line, ok := allowed[fmt.Sprintf("%s %s", act, role)]
			require.True(t, ok)
			want := map[string]bool{}
			for part := range strings.SplitSeq(line, ",") {
				if strings.HasSuffix(part, "all") || part == "fleet" {
					want[part] = true
					continue
				}
				for name := range strings.FieldsSeq(part) {
					want[name] = true
				}
			}
			a := actor(role)
			for name, on := range targets(a) {
				p, err := Authorize(a, act, on)
				require.Equal(t, want[name], err == nil, "%s by %s on %s: %v", act, role, name, err)
				require.Equal(t, want[name], p.Allows(act))
			}
		}
	}
}

func TestDenialNamesItsRule(t *testing.T) {
	rule := func(a Actor, act Act, on Target) string {
		t.Helper()
		_, err := Authorize(a, act, on)
		var d *Denied
		require.ErrorAs(t, err, &d)
		require.Equal(t, act, d.Act)
		require.Contains(t, d.Error(), d.Rule)
		return d.Rule
	}
	foreign := Target{Scope: OneJob(aJob).Scope, Owner: "other", Submitter: "x"}
	require.Equal(t, RuleAnonymous, rule(Actor{Owner: "acme", Roles: []Role{Admin}}, Kill, OneJob(aJob)))
	require.Equal(t, RuleRole, rule(Actor{Subject: "x"}, Kill, OneJob(aJob)))
	require.Equal(t, RuleRole, rule(actor(Owner), KillFleet, WholeFleet()))
	require.Equal(t, RuleForeign, rule(actor(Owner), Kill, foreign))
	require.Equal(t, RuleForeign, rule(actor(Service), Kill, foreign))
	glass := actor(Admin)
	glass.Credential.Kind = BreakGlass
	require.Equal(t, RuleBreakGlass, rule(glass, Submit, JobsOf("acme")))
	require.Equal(t, RuleBreakGlass, rule(glass, Resume, foreign))
	require.Equal(t, RuleBreakGlass, rule(glass, CreateKey, WholeFleet()))
	require.Equal(t, RuleBreakGlass, rule(glass, SetBudget, WholeFleet()))
	for _, act := range []Act{RevokeKey, ReadKeys, KillFleet, Freeze, Thaw, Block, Lift, ReadFleet, ReadAudit} {
		_, err := Authorize(glass, act, WholeFleet())
		require.NoError(t, err)
	}
}

// An actor of no tenant owns nothing, not even what has no owner.
func TestAnEmptyOwnerOwnsNothing(t *testing.T) {
	a := actor(Owner)
	a.Owner = ""
	for _, on := range []Target{OneJob(aJob), {Scope: OneJob(aJob).Scope, Submitter: a.Subject}} {
		_, err := Authorize(a, Kill, on)
		require.Error(t, err)
	}
}

func TestPermitSaysWhatTheScriptMustCheckAgain(t *testing.T) {
	p, err := Authorize(actor(Owner), Kill, OneJob(aJob))
	require.NoError(t, err)
	require.Equal(t, "acme", p.MustOwn())
	require.Equal(t, aJob, p.Scope().Job)
	require.False(t, p.Allows(KillFleet), "a permit is for its own act only")

	p, err = Authorize(actor(Service), Kill, Target{Scope: OneJob(aJob).Scope, Owner: "other", Submitter: "s-service"})
	require.NoError(t, err)
	require.Equal(t, "other", p.MustOwn())
	require.Equal(t, "s-service", p.MustHaveSubmitted())

	both := actor(Owner)
	both.Roles = []Role{Service, Owner}
	p, err = Authorize(both, Read, JobsOf("acme"))
	require.NoError(t, err)
	require.Empty(t, p.MustHaveSubmitted(), "an owner sees all of their own, also what others submitted")

	both.Roles = append(both.Roles, Operator)
	p, err = Authorize(both, Kill, OneJob(aJob))
	require.NoError(t, err)
	require.Empty(t, p.MustOwn(), "the widest role counts")

	require.False(t, Permit{}.Allows(Kill), "the zero permit allows nothing")
	require.False(t, Permit{}.Allows(""))
}

func TestPermitKeepsTheRolesItWasGivenFor(t *testing.T) {
	a := actor(Admin)
	p, err := Authorize(a, KillFleet, WholeFleet())
	require.NoError(t, err)
	a.Roles[0] = Owner
	require.Equal(t, []Role{Admin}, p.Actor().Roles)
}

func TestWhoIsCompactJSON(t *testing.T) {
	a := actor(Admin)
	a.From, a.RequestID = "10.0.0.7", "req-12345678"
	var got map[string]any
	require.NoError(t, json.Unmarshal(a.Who(), &got))
	require.Equal(t, map[string]any{
		"subject": "s-admin", "credential_kind": "api-key", "credential_id": "k1",
		"from": "10.0.0.7", "request_id": "req-12345678", "roles": []any{"admin"},
	}, got)
	require.NotContains(t, string(a.Who()), " ")
}

func TestAnActHasNoMeaningOnTheWrongScope(t *testing.T) {
	for act, on := range map[Act]Target{KillFleet: OneJob(aJob), Kill: WholeFleet(), KillOwner: WholeFleet(), Thaw: JobsOf("acme"), Submit: OneJob(aJob), KillSelector: WholeFleet(), Read: Selected(job.Selector{Kind: "x"})} {
		_, err := Authorize(actor(Admin), act, on)
		require.ErrorIs(t, err, job.ErrBadScope)
	}
	_, err := Authorize(actor(Admin), Kill, Target{})
	require.ErrorIs(t, err, job.ErrBadScope)
	_, err = Authorize(actor(Admin), KillSelector, Selected(job.Selector{}))
	require.ErrorIs(t, err, job.ErrBadScope, "an empty selector is the whole fleet, and must be said so")
	_, err = Authorize(actor(Admin), "erase", WholeFleet())
	require.ErrorContains(t, err, "no act")
}
