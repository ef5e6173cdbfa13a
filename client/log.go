package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// AuditLog is a stretch of one partition's audit as the fleet holds it, oldest
// first: what the chain of the audit is computed over.
type AuditLog struct {
	Fleet      string `json:"fleet"`
	Partitions int    `json:"partitions"`
	// Last is the number of the newest entry of the partition, LastID its place.
	Last   uint64 `json:"last"`
	LastID string `json:"last_id,omitzero"`
	// Head is how far the log is sealed; nil when it is not.
	Head    *AuditHead    `json:"head,omitzero"`
	Entries []AuditRecord `json:"entries"`
}

// AuditRecord is an entry, whole.
type AuditRecord struct {
	ID     string            `json:"id"`
	Fields map[string]string `json:"fields"`
}

// AuditHead is the signed end of a chain.
type AuditHead struct {
	N         uint64 `json:"n"`
	ID        string `json:"id"`
	Hash      string `json:"hash"`
	At        string `json:"at"`
	Key       string `json:"key"`
	Signature string `json:"signature"`
}

// AuditLog reads up to limit entries of a partition, from 0, behind the one
// with that id; an empty id is the beginning, and 0 a hundred of them. It is
// for admins.
func (c *Client) AuditLog(ctx context.Context, partition int, after string, limit int) (AuditLog, error) {
	v := url.Values{}
	add(v, "after", after)
	v.Set("partition", strconv.Itoa(partition))
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	var out AuditLog
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/audit/log", query: v}, &out)
	return out, err
}
