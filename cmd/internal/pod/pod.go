package pod

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
)

// Annotation is what the ReplicaSet controller reads: it deletes the pods with
// the lowest cost first, and one without any counts as 0.
const Annotation = "controller.kubernetes.io/pod-deletion-cost"

// Account is where Kubernetes puts the token of a pod's service account.
const Account = "/var/run/secrets/kubernetes.io/serviceaccount"

// Config says which pod, and how to reach who keeps it.
type Config struct {
	Name string // the pod
	// Host and Port of the API server: KUBERNETES_SERVICE_HOST and _PORT.
	Host, Port string
	Account    string        // folder of the token; empty is [Account]
	Every      time.Duration // between two looks; 0 is 15 s
	Log        *zap.Logger
}

// Pod is the pod a worker runs in.
type Pod struct {
	cfg   Config
	url   string
	http  *http.Client
	log   *zap.Logger
	wrote int // the level Kubernetes knows, -1 for unknown
}

// callTimeout bounds one request.
const callTimeout = 5 * time.Second

// giveUp is the longest pause after failures.
const giveUp = 5 * time.Minute

// New reads what Kubernetes gives every pod whose token is mounted. It does not
// connect. It fails where there is no such token: then nobody can have meant it.
func New(cfg Config) (*Pod, error) {
	cfg.Account, cfg.Every = cmp.Or(cfg.Account, Account), cmp.Or(cfg.Every, 15*time.Second)
	if cfg.Host == "" || cfg.Port == "" {
		return nil, errors.New("--pod: this is no pod of Kubernetes: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; leave --pod out")
	}
	namespace, err := settings.ReadSecret(filepath.Join(cfg.Account, "namespace"))
	if err != nil {
		return nil, fmt.Errorf("--pod: the pod's service account is not mounted: %w; set automountServiceAccountToken, or leave --pod out", err)
	}
	if _, err := settings.ReadSecret(filepath.Join(cfg.Account, "token")); err != nil {
		return nil, fmt.Errorf("--pod: the pod's service account is not mounted: %w; set automountServiceAccountToken, or leave --pod out", err)
	}
	roots, err := settings.ReadCA(filepath.Join(cfg.Account, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("--pod: %w", err)
	}
	at := url.URL{
		Scheme: "https", Host: net.JoinHostPort(cfg.Host, cfg.Port),
		Path:     "/api/v1/namespaces/" + namespace + "/pods/" + cfg.Name + "/status",
		RawQuery: "fieldManager=gavel-worker",
	}
	return &Pod{
		cfg: cfg, url: at.String(), log: cfg.Log, wrote: -1,
		// No proxy: the token is for the API server alone.
		http: &http.Client{Timeout: callTimeout, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: callTimeout,
			MaxIdleConns: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		}},
	}, nil
}

// Run keeps the cost until ctx ends; busy says how many of how many slots run a
// job. It says in the log when the API server refuses, and when it no longer does.
func (p *Pod) Run(ctx context.Context, busy func() (running, slots int)) {
	defer p.http.CloseIdleConnections()
	next, failed := p.cfg.Every, false
	for ctx.Err() == nil {
		err := p.keep(ctx, level(busy()))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !failed {
				p.log.Warn("the cost of deleting this pod is not written; scale-in may take a busy worker", zap.Error(err))
			}
			next = min(2*next, max(giveUp, p.cfg.Every))
		default:
			if failed {
				p.log.Info("the cost of deleting this pod is written again")
			}
			next = p.cfg.Every
		}
		failed = err != nil
		wait(ctx, next/2+randv2.N(next)) //nolint:gosec // jitter, not a secret
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// level is the cost: 0 for an idle worker, then up to 100 in quarters of its
// slots, any job being the first.
func level(running, slots int) int {
	if running <= 0 || slots <= 0 {
		return 0
	}
	return 25 * min(4, (4*running+slots-1)/slots)
}

// keep writes the cost if Kubernetes knows another.
func (p *Pod) keep(ctx context.Context, cost int) error {
	if cost == p.wrote {
		return nil
	}
	p.wrote = -1 // a request that is not answered may have been obeyed
	if err := p.patch(ctx, cost); err != nil {
		return err
	}
	p.wrote = cost
	return nil
}

func (p *Pod) patch(ctx context.Context, cost int) error {
	// Kubernetes renews the token under a running pod.
	token, err := settings.ReadSecret(filepath.Join(p.cfg.Account, "token"))
	if err != nil {
		return fmt.Errorf("read the pod's token: %w", err)
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{Annotation: strconv.Itoa(cost)}}})
	if err != nil {
		return fmt.Errorf("write the pod's cost: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, p.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("write the pod's cost: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/merge-patch+json")
	req.Header.Set("Accept", "application/json")
	resp, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("write the pod's cost: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // the whole pod, so that the connection is used again
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("write the pod's cost: the API server answers %s: %s", resp.Status, why(said))
	}
	if err != nil {
		return fmt.Errorf("write the pod's cost: %w", err)
	}
	return nil
}

// why is the reason in an answer of the API server.
func why(said []byte) string {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(said, &status) == nil && status.Message != "" {
		return status.Message
	}
	return strings.ToValidUTF8(string(said[:min(len(said), 200)]), "")
}
