package cmd_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/redistest"
)

// ground is the Redis that a fleet stands on, as the story sees it.
type ground struct {
	url string
	// settings are what a process is told of it beside the URL.
	settings map[string]string
	client   func(testing.TB) redis.UniversalClient
	// servers are all its servers, for what has to be asked of each.
	servers []*redistest.Server
}

// onServer is one server.
func onServer(s *redistest.Server) ground {
	return ground{
		url: s.URL(), servers: []*redistest.Server{s},
		client: func(t testing.TB) redis.UniversalClient { return s.Client(t) },
	}
}

// onCluster is a cluster whose nodes have the users.
func onCluster(c *redistest.Cluster) ground {
	return ground{
		url: c.URL(), settings: map[string]string{"GAVEL_REDIS_CLUSTER": "true"}, servers: servers(c.Nodes),
		client: func(t testing.TB) redis.UniversalClient { return c.Client(t) },
	}
}

// onSentinel is a master that sentinels watch, with the users on it and on its
// replicas.
func onSentinel(s *redistest.Sentinel) ground {
	return ground{
		url: s.URL(), settings: map[string]string{"GAVEL_REDIS_MASTER": redistest.MasterName}, servers: servers(s.Nodes),
		client: func(t testing.TB) redis.UniversalClient { return s.Client(t) },
	}
}

func servers(nodes []*redistest.Own) (out []*redistest.Server) {
	for _, n := range nodes {
		out = append(out, &n.Server)
	}
	return out
}

// keysOf are the fleet's keys in Redis, on whichever master they are.
func (f *fleet) keysOf(ctx context.Context) ([]string, error) {
	var out []string
	for _, s := range f.ground.servers {
		keys, err := f.keysAt(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Addr(), err)
		}
		out = append(out, keys...)
	}
	return out, nil
}

// keysAt are those of one server, none of a replica's.
func (f *fleet) keysAt(ctx context.Context, s *redistest.Server) (out []string, err error) {
	c := s.Client(f.t)
	defer func() { _ = c.Close() }()
	role, err := c.Do(ctx, "ROLE").Slice()
	if err != nil || role[0] != "master" {
		return nil, err
	}
	it := c.Scan(ctx, 0, "{"+f.name+":*", 1000).Iterator()
	for it.Next(ctx) {
		out = append(out, it.Val())
	}
	return out, it.Err()
}
