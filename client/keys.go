package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Key is an API key that was made through the API, without its secret.
type Key struct {
	ID      string   `json:"id"`
	Subject string   `json:"subject"`
	Owner   string   `json:"owner,omitzero"`
	Roles   []string `json:"roles"`
	// Prefix is how its secret begins.
	Prefix    string    `json:"prefix"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	CreatedBy string    `json:"created_by"`
	// LastUsed is good to a minute or so; zero is never.
	LastUsed time.Time `json:"last_used,omitzero"`
}

// NewKey describes a key to be made.
type NewKey struct {
	Subject string   `json:"subject"`
	Owner   string   `json:"owner,omitempty"`
	Roles   []string `json:"roles"`
	// ExpiresAt is when it stops being good; zero is never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// CreateKey makes a key and returns its secret, which nobody can show again. When
// an earlier try of the same call made it and its answer was lost, the error is
// [ErrConflict]: revoke that key and make another. It is for admins.
func (c *Client) CreateKey(ctx context.Context, k NewKey) (secret string, made Key, err error) {
	var out struct {
		Secret string `json:"secret"`
		Key    Key    `json:"key"`
	}
	err = c.do(ctx, request{method: http.MethodPost, path: "/v1/keys", key: orDrawn(""), body: k}, &out)
	return out.Secret, out.Key, err
}

// Keys lists the keys that were made through the API. It is for admins.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	var out struct {
		Keys []Key `json:"keys"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/keys"}, &out)
	return out.Keys, err
}

// RevokeKey ends a key: every dispatcher refuses it within ten seconds. It is for
// admins.
func (c *Client) RevokeKey(ctx context.Context, id, reason string) error {
	var out struct{}
	return c.do(ctx, request{method: http.MethodPost, path: "/v1/keys/" + url.PathEscape(id) + "/revoke", key: orDrawn(""), body: struct {
		Reason string `json:"reason"`
	}{reason}}, &out)
}
