package settings

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/checkpoint/bucket"
	"github.com/rtfm-si/gavel/internal/checkpoint/directory"
)

// Checkpoints is where the states of jobs are kept.
type Checkpoints struct {
	Place    string `name:"checkpoints" env:"GAVEL_CHECKPOINTS" default:"redis" help:"Where the states of jobs are kept: redis; dir:/path, a directory that every worker and dispatcher sees; or s3://bucket/prefix. The same on every process of a fleet."`
	Endpoint string `name:"checkpoints-endpoint" env:"GAVEL_CHECKPOINTS_ENDPOINT" default:"https://s3.amazonaws.com" help:"URL of the S3-compatible store, for s3://."`
	Region   string `name:"checkpoints-region" env:"GAVEL_CHECKPOINTS_REGION" help:"Its region; asked of the store if left out."`
	KeyFile  string `name:"checkpoints-key-file" env:"GAVEL_CHECKPOINTS_KEY_FILE" type:"path" help:"File with the access key's id and secret, separated by a space or a line end; left out: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the shared credentials file, or the machine's role."`
}

// checkWithin bounds the look at the store when a process starts.
const checkWithin = 15 * time.Second

// Open returns where states are kept when it is not in Redis, after writing,
// reading and removing one: a process that could not keep a state does not start.
// It returns nil for Redis.
func (c Checkpoints) Open(ctx context.Context, fleet string) (*checkpoint.Outside, error) {
	store, err := c.store()
	if err != nil || store == nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	if err := store.Check(within); err != nil {
		return nil, fmt.Errorf("--checkpoints %s: %w", c.Place, err)
	}
	out := &checkpoint.Outside{Store: store, Fleet: fleet, Place: c.Place}
	if err := out.Recognise(within); err != nil {
		return nil, fmt.Errorf("--checkpoints %s: %w", c.Place, err)
	}
	return out, nil
}

func (c Checkpoints) store() (checkpoint.Store, error) {
	place := c.Place
	switch {
	case place == "" || place == "redis":
		return nil, nil //nolint:nilnil // none is an answer
	case strings.HasPrefix(place, "dir:"):
		root := strings.TrimPrefix(place, "dir:")
		if !filepath.IsAbs(root) {
			return nil, fmt.Errorf("--checkpoints %s: want an absolute path: it must be the same directory for every process", place)
		}
		return directory.New(root), nil
	case strings.HasPrefix(place, "s3://"):
		name, prefix, _ := strings.Cut(strings.TrimPrefix(place, "s3://"), "/")
		id, secret, err := c.key()
		if err != nil {
			return nil, err
		}
		s, err := bucket.New(bucket.Config{Endpoint: c.Endpoint, Bucket: name, Prefix: prefix, Region: c.Region, KeyID: id, Secret: secret})
		if err != nil {
			return nil, fmt.Errorf("--checkpoints %s: %w", place, err)
		}
		return s, nil
	default:
		return nil, fmt.Errorf("--checkpoints %q; want redis, dir:/path or s3://bucket/prefix", place)
	}
}

func (c Checkpoints) key() (id, secret string, err error) {
	if c.KeyFile == "" {
		return "", "", nil
	}
	raw, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return "", "", fmt.Errorf("--checkpoints-key-file: %w", err)
	}
	parts := strings.Fields(string(raw))
	if len(parts) != 2 {
		return "", "", errors.New("--checkpoints-key-file: want the access key's id and secret, separated by a space or a line end")
	}
	return parts[0], parts[1], nil
}
