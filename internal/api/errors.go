package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// This file is the only place that turns errors into answers.

// problemOf says how an error looks from outside. What it does not know is an
// internal error: its detail goes to the log and not to the caller.
func (d *Door) problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	if p := ofAccess(err); p != nil {
		return p
	}
	if p := ofKeys(err); p != nil {
		return p
	}
	if p := ofJob(err); p != nil {
		return p
	}
	if p := ofMoney(err); p != nil {
		return p
	}
	if p := ofCheckpoint(err); p != nil {
		return p
	}
	if p := ofRedis(err); p != nil {
		d.tell(ctx).Warn("redis did not answer", zap.Error(err))
		return p
	}
	d.tell(ctx).Error("internal error", zap.Error(err))
	return problem(http.StatusInternalServerError, typeInternal, "Internal error",
		"Something failed that should not have. Give the X-Request-Id of this answer to whoever runs the fleet.")
}

func ofAccess(err error) *Problem {
	var denied *access.Denied
	switch {
	case errors.Is(err, access.ErrNone):
		return unauthenticated(`Bearer realm="gavel"`, "No credential was presented. Send one as: Authorization: Bearer <key>")
	case errors.Is(err, access.ErrExpired):
		return unauthenticated(`Bearer realm="gavel", error="invalid_token"`, "The credential has expired. Get a new one from whoever runs the fleet.")
	case errors.Is(err, access.ErrRefused):
		return unauthenticated(`Bearer realm="gavel", error="invalid_token"`, "The credential is not known here.")
	case errors.Is(err, access.ErrUnasked):
		return problem(http.StatusServiceUnavailable, typeIdentity, "Who you are could not be checked",
			"Those who could tell do not answer. Send it again later; keys of the dispatcher's keys file, break-glass keys among them, still work.").after(job.RetryAfter)
	case errors.As(err, &denied):
		p := problem(http.StatusForbidden, typeForbidden, "Not allowed", "Your roles do not allow "+string(denied.Act)+" here.")
		p.Rule = denied.Rule
		return p
	default:
		return nil
	}
}

// ofKeys is what can be wrong with a key to be made.
func ofKeys(err error) *Problem {
	switch {
	case errors.Is(err, access.ErrBadKey):
		return invalid(err.Error())
	case errors.Is(err, access.ErrKeyMade):
		return problem(http.StatusConflict, typeConflict, "The key was made before",
			"This Idempotency-Key made a key already, and its secret is shown once only. If you did not get it, revoke that key and make another with a new Idempotency-Key.")
	case errors.Is(err, access.ErrTooManyKeys):
		return problem(http.StatusConflict, typeTooManyKeys, "There are too many keys", "Revoke those that nobody uses first.")
	default:
		return nil
	}
}

func unauthenticated(challenge, detail string) *Problem {
	return problem(http.StatusUnauthorized, typeUnauthenticated, "Not authenticated", detail).with("WWW-Authenticate", challenge)
}

func ofJob(err error) *Problem {
	var (
		conflict *job.Conflict
		frozen   *job.Frozen
		blocked  *job.Blocked
		stale    *job.StaleGate
		asks     *job.NotWaiting
		lost     *job.AuthorityLost
	)
	switch {
	case errors.Is(err, job.ErrUnknown), errors.Is(err, job.ErrBadID):
		return notFound()
	case errors.As(err, &asks):
		return problem(http.StatusConflict, typeNotWaiting, "The job does not wait for answers", asks.Error())
	case errors.Is(err, job.ErrBadText), errors.Is(err, job.ErrBadScope), errors.Is(err, job.ErrBadAnswers):
		return invalid(err.Error())
	case errors.As(err, &conflict):
		p := problem(http.StatusConflict, typeConflict, "The idempotency key was used for another body", conflict.Error())
		p.Job = string(conflict.Existing)
		return p
	case errors.As(err, &frozen):
		p := problem(http.StatusServiceUnavailable, typeFrozen, "The fleet is frozen",
			"Nothing is admitted until it is thawed. Send the same request with the same Idempotency-Key later.")
		p.Reason, p.Incident = frozen.Reason, frozen.Incident
		return p.after(15 * job.RetryAfter)
	case errors.As(err, &blocked):
		p := problem(http.StatusForbidden, typeBlocked, "The job is blocked", blocked.Error())
		p.Order, p.Reason = string(blocked.Order), blocked.Reason
		return p
	case errors.Is(err, job.ErrTooManyBlocks):
		return problem(http.StatusConflict, typeTooManyBlocks, "There are too many standing orders", err.Error())
	case errors.As(err, &lost):
		return problem(http.StatusServiceUnavailable, typeAuthorityLost, "Redis lost data",
			"Nothing is admitted and no gate is opened until an admin has looked at what was lost and adopted it. Kills and freezes are taken.").after(15 * job.RetryAfter)
	case errors.As(err, &stale):
		p := problem(http.StatusConflict, typeGateChanged, "The gate changed since you looked", stale.Error())
		p.Head = stale.Now
		return p
	default:
		return nil
	}
}

// ofMoney is what is parked, and what there is no money for.
func ofMoney(err error) *Problem {
	var (
		unparked *job.NotParked
		short    *job.BudgetUsedUp
		reached  *job.CapReached
	)
	switch {
	case errors.As(err, &reached):
		p := problem(http.StatusPaymentRequired, typeCapReached, "The window's budget is used up",
			reached.Error()+". Send the same request with the same Idempotency-Key then, or have the cap raised.")
		p.Window = &reachedView{reached.Of, reached.Cap, reached.Spent, reached.Reserved, reached.Ends}
		return p
	case errors.As(err, &unparked):
		return problem(http.StatusConflict, typeNotParked, "The job is not parked", unparked.Error())
	case errors.As(err, &short):
		return problem(http.StatusConflict, typeBudgetUsedUp, "The budget is used up", short.Error())
	default:
		return nil
	}
}

func ofCheckpoint(err error) *Problem {
	var (
		damaged *job.DamagedCheckpoint
		none    *job.NoCheckpoint
	)
	switch {
	case errors.As(err, &damaged):
		return problem(http.StatusConflict, typeDamaged, "The checkpoint is damaged", damaged.Error())
	case errors.As(err, &none):
		return problem(http.StatusConflict, typeNoCheckpoint, "There is no such checkpoint", none.Error())
	case errors.Is(err, job.ErrStoreAway):
		return problem(http.StatusServiceUnavailable, typeStoreAway, "The store of checkpoints is unavailable",
			"Where the states of jobs are kept nobody answers. Nothing was done. Send it again later.").after(job.RetryAfter)
	default:
		return nil
	}
}

func ofRedis(err error) *Problem {
	switch {
	case errors.Is(err, job.ErrOutcomeUnknown):
		return problem(http.StatusServiceUnavailable, typeOutcomeUnknown, "The outcome is unknown",
			"The request may have been done, or may still be. Send the same request with the same Idempotency-Key again: it is never done twice.").after(job.RetryAfter)
	case errors.Is(err, job.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusServiceUnavailable, typeRedisUnavailable, "Redis is unavailable",
			"Redis did not take the request. Send it again later.").after(job.RetryAfter)
	default:
		return nil
	}
}

// fromHuma turns the problems that huma itself writes, all of them about
// parameters, into ours. What the caller sent is not repeated.
func fromHuma(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := invalid("Some parameters were refused; see errors.")
	if m.Status >= http.StatusInternalServerError {
		p = problem(m.Status, typeInternal, "Internal error", "")
	}
	p.Status = m.Status
	for _, e := range m.Errors {
		p.Errors = append(p.Errors, Fault{Location: e.Location, Message: e.Message})
	}
	return p, nil
}

// refuse writes a problem where huma is not reached.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := d.problemOf(r.Context(), err)
	for k, vs := range p.GetHeaders() {
		w.Header()[k] = vs
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		d.tell(r.Context()).Debug("the caller left before its answer", zap.Error(err))
	}
}
