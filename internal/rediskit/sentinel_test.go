package rediskit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

func TestSentinelsReplicasAreCheckedAndItsPasswordGiven(t *testing.T) {
	if !*topologies {
		t.Skip("make cluster starts sentinels")
	}
	t.Parallel()
	s := redistest.StartSentinel(t, redistest.HighOptions{})
	ps := rediskit.Partitions{Fleet: redistest.NewFleet(), Count: 1}
	establish := func(cfg rediskit.Config) error {
		cfg.URL, cfg.Master = s.URL(), redistest.MasterName
		clients, err := rediskit.Open(cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, clients.Close()) }()
		_, err = rediskit.Establish(t.Context(), rediskit.Runner{Client: clients.Jobs, Profile: rediskit.Server}, ps)
		return err
	}
	require.NoError(t, establish(rediskit.Config{}))
	for _, n := range s.Nodes {
		c := n.Client(t)
		require.NoError(t, c.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
		err := establish(rediskit.Config{})
		require.ErrorIs(t, err, rediskit.ErrUnfit)
		if n != s.Nodes[0] {
			require.ErrorContains(t, err, n.Addr(), "it may be the master of tomorrow")
		}
		require.NoError(t, c.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	}

	for _, w := range s.Watchers {
		admin := w.Client(t)
		require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "looker", "on", ">of-the-sentinels", "+@all", "allchannels").Err())
		require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "default", "off").Err())
	}
	require.Error(t, establish(rediskit.Config{SentinelUser: "looker", SentinelPassword: "another"}))
	require.NoError(t, establish(rediskit.Config{SentinelUser: "looker", SentinelPassword: "of-the-sentinels"}))
}
