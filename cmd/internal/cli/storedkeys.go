package cli

import (
	"context"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/access"
)

type createKeyCommand struct {
	Subject string        `name:"subject" required:"" help:"The person or service it stands for."`
	Owner   string        `name:"owner" help:"The owner whose jobs are theirs; needed for the role owner."`
	Roles   []access.Role `name:"role" default:"owner" help:"Roles, separated by commas: owner, service, operator, admin."`
	Expires string        `name:"expires" placeholder:"WHEN" help:"When it stops being good: a day (2027-01-31), or a time from now (90d, 12h). Default is never."`
}

// Run makes a key that the fleet keeps.
func (c *createKeyCommand) Run(ctx context.Context, d *desk) error {
	expires, err := readExpiry(c.Expires, time.Now())
	if err != nil {
		return err
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	like := client.NewKey{Subject: c.Subject, Owner: c.Owner, ExpiresAt: expires}
	for _, r := range c.Roles {
		like.Roles = append(like.Roles, string(r))
	}
	secret, key, err := cl.CreateKey(ctx, like)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(struct {
			Secret string     `json:"secret"`
			Key    client.Key `json:"key"`
		}{secret, key})
	}
	s := d.screen
	s.Line("%s", secret)
	s.Line("%s", s.Paint(show.Dim, "This is the secret of "+key.ID+". It is kept nowhere: copy it now, and give it as GAVEL_KEY or a bearer token."))
	s.Line("%s", s.Paint(show.Dim, "Every dispatcher takes it within two seconds. To rotate a key: make the next, change to it, revoke the last."))
	return nil
}

type listKeysCommand struct{}

// Run lists the keys that the fleet keeps.
func (listKeysCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	keys, err := cl.Keys(ctx)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(append([]client.Key{}, keys...))
	}
	if len(keys) == 0 {
		d.screen.Line("no keys but those of the dispatchers' keys files")
		return nil
	}
	now := time.Now()
	t := show.NewTable("key!", "secret!", "subject", "owner", "roles", "made!", "by", "last used!", "expires!")
	for _, k := range keys {
		t.Row(k.ID, k.Prefix+"…", k.Subject, k.Owner, strings.Join(k.Roles, " "), show.Clock(k.CreatedAt, now), k.CreatedBy, orNever(k.LastUsed, now), orNever(k.ExpiresAt, now))
		if !k.ExpiresAt.IsZero() && now.After(k.ExpiresAt) {
			t.Style(8, show.Dim)
		}
	}
	t.Write(d.screen)
	return nil
}

func orNever(at, now time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return show.Clock(at, now)
}

type revokeKeyCommand struct {
	ID     string `arg:"" help:"Id of the key, from keys list."`
	Reason string `name:"reason" short:"r" required:"" help:"Why; it is in the audit."`
}

// Run revokes a key.
func (c *revokeKeyCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	if err := cl.RevokeKey(ctx, c.ID, c.Reason); err != nil {
		return err
	}
	if d.JSON {
		return d.document(map[string]any{"id": c.ID, "revoked": true})
	}
	d.screen.Line("%s is revoked: refused by every dispatcher within ten seconds, two as a rule", c.ID)
	return nil
}
