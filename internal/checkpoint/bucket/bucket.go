package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/rtfm-si/gavel/internal/checkpoint"
)

// Config says where the bucket is.
type Config struct {
	// Endpoint is the store's URL, https://host[:port].
	Endpoint string
	// Bucket must exist. Prefix goes before every name, without a slash at its ends.
	Bucket, Prefix string
	// Region is asked of the store when it is empty.
	Region string
	// KeyID and Secret are taken from the environment (AWS_ACCESS_KEY_ID, …), from
	// the shared credentials file or from the machine's role when both are empty.
	KeyID, Secret string
}

// Store is a bucket. It is safe for concurrent use.
type Store struct {
	client         *minio.Client
	transport      *http.Transport
	bucket, prefix string
}

// largest is the largest object read: a packed state and some more.
const largest = checkpoint.Max + 1<<20

// New checks the configuration; it does not contact the store, [Store.Check] does.
func New(cfg Config) (*Store, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("endpoint %q; want https://host[:port], without credentials or path", cfg.Endpoint)
	}
	if cfg.Bucket == "" {
		return nil, errors.New("the bucket's name is missing; want s3://bucket or s3://bucket/prefix")
	}
	creds := credentials.NewStaticV4(cfg.KeyID, cfg.Secret, "")
	transport, err := minio.DefaultTransport(u.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("prepare the connection: %w", err)
	}
	if cfg.KeyID == "" && cfg.Secret == "" {
		creds = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
		})
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: creds, Secure: u.Scheme == "https", Region: cfg.Region, MaxRetries: 1, Transport: transport,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the bucket: %w", err)
	}
	s := &Store{client: client, transport: transport, bucket: cfg.Bucket, prefix: strings.Trim(cfg.Prefix, "/")}
	if s.prefix != "" {
		s.prefix += "/"
	}
	return s, nil
}

// Close drops idle connections.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

// Put implements [checkpoint.Store].
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	_, err := s.client.PutObject(ctx, s.bucket, s.prefix+name, bytes.NewReader(data), int64(len(data)),
		minio.PutObjectOptions{DisableMultipart: true, ContentType: "application/gzip"})
	return told("put an object", err)
}

// told says what was done when the library failed.
func told(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Get implements [checkpoint.Store].
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	obj, err := s.client.GetObject(ctx, s.bucket, s.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, gone(err)
	}
	defer func() { _ = obj.Close() }()
	data, err := io.ReadAll(io.LimitReader(obj, largest))
	return data, gone(err)
}

// gone tells a missing object from a store that does not answer. A bucket that is
// not there is no missing object.
func gone(err error) error {
	if minio.ToErrorResponse(err).Code == "NoSuchKey" {
		return checkpoint.ErrGone
	}
	return told("get an object", err)
}

// Remove implements [checkpoint.Store].
func (s *Store) Remove(ctx context.Context, name string) error {
	err := s.client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{})
	if errors.Is(gone(err), checkpoint.ErrGone) {
		return nil
	}
	return told("remove an object", err)
}

// List implements [checkpoint.Store].
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	within, stop := context.WithCancel(ctx)
	defer stop()
	opts := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true, MaxKeys: min(limit, 1000)}
	if after != "" {
		opts.StartAfter = s.prefix + after
	}
	var out []string
	for obj := range s.client.ListObjectsIter(within, s.bucket, opts) {
		if obj.Err != nil {
			return nil, told("list objects", obj.Err)
		}
		if out = append(out, strings.TrimPrefix(obj.Key, s.prefix)); len(out) == limit {
			break
		}
	}
	return out, told("list objects", ctx.Err())
}

// Check implements [checkpoint.Store].
func (s *Store) Check(ctx context.Context) error {
	there, err := s.client.BucketExists(ctx, s.bucket)
	if err != nil {
		return fmt.Errorf("look for bucket %q: %w", s.bucket, err)
	}
	if !there {
		return fmt.Errorf("there is no bucket %q; make it first", s.bucket)
	}
	probe := ".probe-" + rand.Text()[:8]
	if err := s.Put(ctx, probe, []byte(probe)); err != nil {
		return fmt.Errorf("write to bucket %q: %w", s.bucket, err)
	}
	data, err := s.Get(ctx, probe)
	switch {
	case err != nil:
		err = fmt.Errorf("read from bucket %q: %w", s.bucket, err)
	case string(data) != probe:
		err = errors.New("what was written is not what is read")
	}
	return errors.Join(err, s.Remove(ctx, probe))
}
