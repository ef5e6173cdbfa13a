package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type meView struct {
	Subject    string   `json:"subject"`
	Owner      string   `json:"owner,omitempty" doc:"Whose jobs are yours; left out for a subject without jobs of its own"`
	Roles      []string `json:"roles" enum:"owner,service,operator,admin"`
	Credential string   `json:"credential,omitempty" doc:"The kind of your credential" example:"api-key"`
	Fleet      string   `json:"fleet" doc:"The fleet's name, which a kill-all has to repeat"`
	May        []string `json:"may" doc:"The acts that you are allowed on the whole fleet" example:"freeze"`
}

func (d *Door) mountMe(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "me", Method: http.MethodGet, Path: "/v1/me", Summary: "See who you are to this fleet",
		Description: "For everybody. What you may do is decided at each request, not here: this is for a client that shows only what it can offer.",
	}, d.me)
}

func (d *Door) me(ctx context.Context, _ *struct{}) (*answer[meView], error) {
	a := from(ctx).actor
	v := meView{Subject: a.Subject, Owner: a.Owner, Roles: []string{}, Credential: a.Credential.Kind, Fleet: d.cfg.Name, May: []string{}}
	for _, r := range a.Roles {
		v.Roles = append(v.Roles, string(r))
	}
	for _, act := range access.Acts() {
		if _, err := access.Authorize(a, act, widest(act)); err == nil {
			v.May = append(v.May, string(act))
		}
	}
	return &answer[meView]{v}, nil
}

// widest is the target that only those may act on who may act on all its like.
func widest(act access.Act) access.Target {
	switch act {
	case access.KillOwner:
		return access.JobsOf("anybody")
	case access.KillSelector:
		return access.Selected(job.Selector{Kind: "anything"})
	default:
		return access.WholeFleet()
	}
}
