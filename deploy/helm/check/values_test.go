package check

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A value that would not do is refused before anything rolls, by name.
func TestValuesThatWouldNotDoAreRefused(t *testing.T) {
	for text, want := range map[string][]string{
		"redis: {url: 'redis://worker:hunter2@redis:6379'}":            {"redis.passwords.secret"},
		"redis: {url: redis}":                                          {"/redis/url", "pattern"},
		"worker: {slot: 8}":                                            {"/worker", "slot"},
		"worker: {slots: 0}":                                           {"/worker/slots", "minimum"},
		"worker: {slots: many}":                                        {"/worker/slots", "integer"},
		"worker: {drain: {graceSeconds: 5s}}":                          {"/worker/drain/graceSeconds", "integer"},
		"worker: {drain: {graceSeconds: -1}}":                          {"/worker/drain/graceSeconds", "minimum"},
		"worker: {settings: {GAVEL_SLOTS: '9'}}":                       {"GAVEL_SLOTS", "must be one of 'GAVEL_BACKOFF'"},
		"worker: {settings: {GAVEL_STEPS: 100}}":                       {"/worker/settings/GAVEL_STEPS", "string"},
		"worker: {resources: {limits: {cpu: 1}}}":                      {},
		"worker: {resources: {limits: {memory: null}}}":                {"/worker/resources/limits", "memory"},
		"dispatcher: {settings: {GAVEL_BREAKR: park}}":                 {"GAVEL_BREAKR", "'GAVEL_BREAKER'"},
		"dispatcher: {keys: {secret: ''}}":                             {"/dispatcher/keys/secret"},
		"dispatcher: {replicas: 0}":                                    {"/dispatcher/replicas", "minimum"},
		"log: {level: loud}":                                           {"/log/level", "debug"},
		"partitions: 300":                                              {"/partitions", "256"},
		"metrics: {port: 80}":                                          {"/metrics/port", "minimum"},
		"lease: {trustSeconds: 6}":                                     {"twice renewSeconds"},
		"lease: {takeSeconds: 12}":                                     {"1.25 times trustSeconds"},
		"redis: {cluster: true, sentinelMaster: gavel}":                {"exclude each other"},
		"checkpoints: {bucket: 's3://b', claim: c}":                    {"exclude each other"},
		"checkpoints: {bucket: b}":                                     {"/checkpoints/bucket", "pattern"},
		"redis: {tls: {caSecret: ca}}":                                 {"rediss://"},
		"dispatcher: {tls: {clientCASecret: ca}}":                      {"tls.secret"},
		"dispatcher: {autoscaling: {minReplicas: 7}}":                  {"minReplicas (7)"},
		"worker: {keda: {enabled: true}}":                              {"keda.prometheus"},
		"worker: {keda: {enabled: true, prometheus: 'http://p:9090'}}": {"keda.selector"},
		"{worker: {keda: {enabled: true, prometheus: 'http://p'}}, metrics: {enabled: false}}":  {"metrics.enabled"},
		"worker: {keda: {enabled: true, prometheus: 'http://p', selector: x, minReplicas: 99}}": {"minReplicas (99)"},
		"metrics: {enabled: false, rules: {enabled: true}}":                                     {"metrics.enabled"},
		"metrics: {enabled: false, dashboard: {enabled: true}}":                                 {"metrics.enabled"},
	} {
		_, err := render(t.Context(), values(t, text))
		if len(want) == 0 {
			require.NoError(t, err, text)
			continue
		}
		require.Error(t, err, text)
		for _, w := range want {
			require.ErrorContains(t, err, w, text)
		}
	}
}
