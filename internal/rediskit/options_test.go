package rediskit

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestWhatAURLSays(t *testing.T) {
	for url, want := range map[string]redis.UniversalOptions{
		"redis://h:7000":                {Addrs: []string{"h:7000"}},
		"redis://h":                     {Addrs: []string{"h:6379"}},
		"redis://h/3":                   {Addrs: []string{"h:6379"}, DB: 3},
		"redis://h:1?db=4":              {Addrs: []string{"h:1"}, DB: 4},
		"redis://[::1]:7000":            {Addrs: []string{"[::1]:7000"}},
		"redis://[::1]":                 {Addrs: []string{"[::1]:6379"}},
		"redis://u:p@h:1,i:2,j/0":       {Addrs: []string{"h:1", "i:2", "j:6379"}, Username: "u", Password: "p"},
		"redis://:p%40%2F%23%25%3A@h:1": {Addrs: []string{"h:1"}, Password: "p@/#%:"},
		"redis://u%40x:p@w@h:1":         {Addrs: []string{"h:1"}, Username: "u@x", Password: "p@w"},
		"redis://u:p%2Cq@h:1,i:2":       {Addrs: []string{"h:1", "i:2"}, Username: "u", Password: "p,q"},
		"redis://onlyuser@h:1":          {Addrs: []string{"h:1"}, Username: "onlyuser"},
		"redis://u:a,b@h:1":             {Addrs: []string{"h:1"}, Username: "u", Password: "a,b"},
	} {
		o, err := Config{URL: url}.options()
		require.NoError(t, err, url)
		require.Equal(t, want.Addrs, o.Addrs, url)
		require.Equal(t, want.DB, o.DB, url)
		require.Equal(t, want.Username, o.Username, url)
		require.Equal(t, want.Password, o.Password, url)
		require.Nil(t, o.TLSConfig, url)
	}
}

func TestAURLThatMustNotBeGuessedAtIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"empty":                 {Config{}, "redis URL is empty"},
		"no host":               {Config{URL: "redis://"}, "a host is missing"},
		"no host, a database":   {Config{URL: "redis:///3"}, "a host is missing"},
		"no host, a port":       {Config{URL: "redis://:6379"}, "a host is missing"},
		"no host, a user":       {Config{URL: "redis://u:secret@"}, "a host is missing"},
		"a host missing":        {Config{URL: "redis://h:1,,i:2"}, "a host is missing"},
		"no port":               {Config{URL: "redis://h:"}, "a host is missing"},
		"no scheme":             {Config{URL: "h:6379"}, "must begin with redis:// or rediss://"},
		"another scheme":        {Config{URL: "http://h:6379"}, "must begin with redis:// or rediss://"},
		"a socket":              {Config{URL: "unix:///run/redis.sock"}, "must begin with redis:// or rediss://"},
		"a database, a cluster": {Config{URL: "redis://h/5", Cluster: true}, "a cluster has only database 0"},
		"no database":           {Config{URL: "redis://h/x"}, "invalid database number"},
		"two databases":         {Config{URL: "redis://h/1/2"}, "invalid URL path"},
		"no port number":        {Config{URL: "redis://h:port"}, "cannot be read"},
		"slash in the password": {Config{URL: "redis://u:se/cret@h:1"}, "percent-encode"},
		"hash in the password":  {Config{URL: "redis://u:se#cret@h:1"}, "percent-encode"},
		"query in the password": {Config{URL: "redis://u:se?cret@h:1"}, "percent-encode"},
		"percent sign":          {Config{URL: "redis://u:se%cret@h:1"}, "percent-encode"},
		"a control character":   {Config{URL: "redis://u:se\x01cret@h:1"}, "percent-encode"},
		"an unknown option":     {Config{URL: "redis://h:1?retries=9"}, "retries"},
	} {
		_, err := c.cfg.options()
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "cret", "%s: an error must not show a password", name)
		_, err = Open(c.cfg)
		require.Error(t, err, name)
	}
}

// Each of these was measured: see the faults that the values are chosen against.
func TestEveryClientHasDeadlinesAndNoHiddenRetries(t *testing.T) {
	o, err := Config{URL: "redis://h:1"}.options()
	require.NoError(t, err)
	require.Equal(t, -1, o.MaxRetries)
	require.Equal(t, 1, o.DialerRetries)
	require.True(t, o.ContextTimeoutEnabled)
	for _, d := range []time.Duration{o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout} {
		require.Equal(t, CallTimeout, d)
	}
	require.Greater(t, ReadDeadline, BlockFor)
}

func TestAClusterLearnsOfANewMasterWithinASecond(t *testing.T) {
	cfg := Config{URL: "redis://h:1,i:2", Cluster: true}
	c, err := Open(cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	for _, one := range []redis.UniversalClient{c.Control, c.Lease, c.Jobs} {
		cluster, ok := one.(*redis.ClusterClient)
		require.True(t, ok)
		require.Equal(t, time.Second, cluster.Options().ClusterStateReloadInterval)
		require.Equal(t, []string{"h:1", "i:2"}, cluster.Options().Addrs)
	}
}

func TestTheThreeClientsShareNoPool(t *testing.T) {
	c, err := Open(Config{URL: "redis://h:1", JobConns: 3, ClientName: "w1"})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	jobs, lease := c.Jobs.(*redis.Client).Options(), c.Lease.(*redis.Client).Options()
	require.Equal(t, 3, jobs.PoolSize)
	require.Equal(t, "w1-jobs", jobs.ClientName)
	require.Equal(t, "w1-lease", lease.ClientName)
	require.NotSame(t, c.Jobs, c.Lease)
	require.NotSame(t, c.Control, c.Lease)
}

func TestTLSIsUsedWhenTheURLSaysSo(t *testing.T) {
	own := &tls.Config{MinVersion: tls.VersionTLS13}
	o, err := Config{URL: "rediss://h:1", TLS: own}.options()
	require.NoError(t, err)
	require.Equal(t, uint16(tls.VersionTLS13), o.TLSConfig.MinVersion)
	require.Equal(t, "h", o.TLSConfig.ServerName)
	require.Empty(t, own.ServerName, "the caller's is not changed")

	o, err = Config{URL: "rediss://h:1"}.options()
	require.NoError(t, err)
	require.False(t, o.TLSConfig.InsecureSkipVerify)

	o, err = Config{URL: "redis://h:1", TLS: own}.options()
	require.NoError(t, err)
	require.Nil(t, o.TLSConfig)
}

func TestAPasswordIsGivenOnce(t *testing.T) {
	fromAFile := func() (string, error) { return "from-a-file", nil }
	o, err := Config{URL: "redis://worker@h", Password: fromAFile}.options()
	require.NoError(t, err)
	user, password, err := o.CredentialsProviderContext(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"worker", "from-a-file", ""}, []string{user, password, o.Password})
	_, err = Config{URL: "redis://worker:in-the-url@h", Password: fromAFile}.options()
	require.ErrorContains(t, err, "give one")
	require.NotContains(t, err.Error(), "in-the-url")
	require.NotContains(t, err.Error(), "from-a-file")
}

func TestSentinelsAreGivenTheirOwnPassword(t *testing.T) {
	o, err := Config{URL: "redis://worker:one@h", Master: "m", SentinelUser: "looker", SentinelPassword: "other"}.options()
	require.NoError(t, err)
	failover := o.Failover()
	require.Equal(t, []string{"worker", "one", "looker", "other"},
		[]string{failover.Username, failover.Password, failover.SentinelUsername, failover.SentinelPassword})
	_, err = Config{URL: "redis://h", SentinelPassword: "other"}.options()
	require.ErrorContains(t, err, "no name of the Sentinel master")
}
