package main

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/rediskit"
)

// seed puts n queued jobs of one owner on the road of a fleet's first
// partition, in the state that submit leaves them in, a thousand to a call: a
// million single submits would be a bench of their own.
func (f *fleet) seed(ctx context.Context, name string, n int) error {
	const chunk = 1000
	slot := rediskit.NewSlot(name, 0)
	script := redis.NewScript(`
local at = redis.call('TIME')
local t = string.format('%d', at[1] * 1000000 + at[2])
for i = 1, #ARGV - 2 do
  local id, seq = ARGV[i + 2], redis.call('INCR', KEYS[1])
  local entry = redis.call('XADD', KEYS[2], '*', 'job', id)
  redis.call('HSET', ARGV[1] .. id, 'state', 'queued', 'entry', entry, 'queued_at', t, 'id', id, 'owner', 'ann', 'submitter', 'ann',
    'kind', 'bench', 'labels', '{}', 'input', '{}', 'budget', '5000000', 'max_attempts', '3', 'timeout', '0', 'seq', seq,
    'created_at', t)
  for k = 3, 5 do redis.call('ZADD', KEYS[k], seq, id) end
  redis.call('XADD', ARGV[2] .. id, '*', 'type', 'job.queued', 'at', t, 'data', '{"owner":"ann","kind":"bench"}')
end
redis.call('HINCRBY', KEYS[6], 'queued', #ARGV - 2)
redis.call('HINCRBY', KEYS[6], 'queued ann', #ARGV - 2)
return 1`)
	keys := []string{slot.Of("seq"), slot.Of("road"), slot.Of("live"), slot.Of("index"), slot.Of("owned", "ann"), slot.Of("alive")}
	ps := rediskit.Partitions{Fleet: name, Count: 1}
	for done := 0; done < n; done += chunk {
		args := []any{slot.Prefix("job"), slot.Prefix("events")}
		for range min(chunk, n-done) {
			id, err := ps.NewID(0)
			if err != nil {
				return err
			}
			args = append(args, string(id))
		}
		if err := script.Run(ctx, f.clients[0].Jobs, keys, args...).Err(); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
	}
	return nil
}
