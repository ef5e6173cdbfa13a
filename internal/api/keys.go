package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type keyBody struct {
	Subject string   `json:"subject" required:"true" maxLength:"128" doc:"The person or service it stands for"`
	Owner   string   `json:"owner,omitempty" maxLength:"128" doc:"The owner whose jobs are theirs; needed for the role owner"`
	Roles   []string `json:"roles" required:"true" doc:"Some of owner, service, operator, admin" example:"[\"owner\"]"`
	Expires string   `json:"expires_at,omitempty" format:"date-time" doc:"When it stops being good; never if left out"`
}

type revokeBody struct {
	Reason string `json:"reason" required:"true" maxLength:"1024"`
}

type keyView struct {
	ID        string     `json:"id"`
	Subject   string     `json:"subject"`
	Owner     string     `json:"owner,omitempty"`
	Roles     []string   `json:"roles"`
	Prefix    string     `json:"prefix" doc:"How the secret begins" example:"gvl_1a2b3c4d"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
	CreatedBy string     `json:"created_by"`
	LastUsed  *time.Time `json:"last_used,omitempty" doc:"To the minute or so"`
}

type madeView struct {
	Secret string  `json:"secret" doc:"Shown this once; what is kept is its hash"`
	Key    keyView `json:"key"`
}

type keysView struct {
	Keys []keyView `json:"keys" doc:"Oldest first; those of the dispatcher's keys file are not among them"`
}

type revokedView struct {
	ID      string `json:"id"`
	Revoked bool   `json:"revoked" doc:"No dispatcher takes it ten seconds from now"`
}

type revokeInput struct {
	ID  string `path:"id" doc:"The key's id"`
	Key string `header:"Idempotency-Key" doc:"The same key gives the same answer"`
}

func viewKey(k access.IssuedKey) keyView {
	v := keyView{
		ID: k.ID, Subject: k.Subject, Owner: k.Owner, Prefix: k.Shown, Roles: []string{},
		ExpiresAt: at(k.Expires), CreatedAt: at(k.CreatedAt), CreatedBy: k.CreatedBy, LastUsed: at(k.LastUsed),
	}
	for _, r := range k.Roles {
		v.Roles = append(v.Roles, string(r))
	}
	return v
}

func (d *Door) mountKeys(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "create-key", Method: http.MethodPost, Path: "/v1/keys", DefaultStatus: http.StatusCreated, Summary: "Make an API key",
		Description: "For admins, and not by break glass. The secret is in this answer and nowhere else. Every dispatcher takes it within seconds.",
		RequestBody: takes[keyBody](h),
	}, d.createKey)
	route(d, h, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/v1/keys", Summary: "List the API keys", Description: "For admins.",
	}, d.keys)
	route(d, h, huma.Operation{
		OperationID: "revoke-key", Method: http.MethodPost, Path: "/v1/keys/{id}/revoke", Summary: "Revoke an API key",
		Description: "For admins. Refused by every dispatcher within ten seconds, two as a rule.", RequestBody: takes[revokeBody](h),
	}, d.revokeKey)
}

func (d *Door) createKey(ctx context.Context, _ *keyAllowed) (*answer[madeView], error) {
	body, err := decode[keyBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	like := access.Key{Subject: body.Subject, Owner: body.Owner}
	for _, r := range body.Roles {
		like.Roles = append(like.Roles, access.Role(r))
	}
	if body.Expires != "" {
		if like.Expires, err = time.Parse(time.RFC3339, body.Expires); err != nil || !like.Expires.After(d.cfg.Now()) {
			return nil, invalid("expires_at is no time to come, such as 2027-01-31T00:00:00Z.")
		}
		like.Expires = like.Expires.UTC()
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.overKeys(deed, access.CreateKey, body.Subject, "")
	if err != nil {
		return nil, err
	}
	k, secret, err := d.cfg.Keys.Create(deed, permit, like, d.cfg.Now(), from(ctx).key)
	if err != nil {
		return nil, fmt.Errorf("create a key: %w", err)
	}
	d.tell(ctx).Warn("key-create", zap.String("actor", permit.Actor().Subject), zap.String("key", k.ID),
		zap.String("subject", k.Subject), zap.String("owner", k.Owner), zap.Any("roles", k.Roles))
	return &answer[madeView]{madeView{secret, viewKey(k)}}, nil
}

func (d *Door) keys(ctx context.Context, _ *struct{}) (*answer[keysView], error) {
	if _, err := access.Authorize(from(ctx).actor, access.ReadKeys, access.WholeFleet()); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	keys, err := d.cfg.Keys.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	out := keysView{Keys: []keyView{}}
	for _, k := range keys {
		out.Keys = append(out.Keys, viewKey(k))
	}
	return &answer[keysView]{out}, nil
}

var keyID = regexp.MustCompile(`^key-[0-9a-f]{8,32}$`)

func (d *Door) revokeKey(ctx context.Context, in *revokeInput) (*answer[revokedView], error) {
	body, err := decode[revokeBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if err := checkWhy(body.Reason, ""); err != nil {
		return nil, err
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.overKeys(deed, access.RevokeKey, in.ID, body.Reason)
	if err != nil {
		return nil, err
	}
	if !keyID.MatchString(in.ID) { // no script will see it
		return nil, d.note(deed, access.RuleUnknown, job.AuditEntry{Act: string(access.RevokeKey), Fields: map[string]string{
			"scope": "key", "subject": safe(in.ID), "reason": body.Reason,
		}}, job.ErrUnknown)
	}
	if err := d.cfg.Keys.Revoke(deed, permit, in.ID, body.Reason, from(ctx).key); err != nil {
		return nil, fmt.Errorf("revoke a key: %w", err)
	}
	d.tell(ctx).Warn("key-revoke", zap.String("actor", permit.Actor().Subject), zap.String("key", in.ID),
		zap.String("reason", body.Reason))
	return &answer[revokedView]{revokedView{in.ID, true}}, nil
}

// overKeys authorises an act on the keys, and audits its denial.
func (d *Door) overKeys(ctx context.Context, act access.Act, subject, reason string) (access.Permit, error) {
	p, err := access.Authorize(from(ctx).actor, act, access.WholeFleet())
	if err != nil {
		return p, d.denied(ctx, err, job.AuditEntry{Act: string(act), Fields: map[string]string{
			"scope": "key", "subject": safe(subject), "reason": reason,
		}})
	}
	return p, nil
}
