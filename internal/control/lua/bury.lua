-- bury: (no job moves)
-- Takes a worker off the table, or a dispatcher off the table of beat samplers,
-- that the caller has watched to be silent for very long, unless it has shown a
-- beat since.
-- KEYS:    workers worker attempt reapers
-- ARGV:    worker beat
-- REPLY:   buried alive
-- FLAGS:   allow-oom
local beat = redis.call('ZSCORE', K.workers, A.worker)
  or string.match(redis.call('HGET', K.reapers, A.worker) or '', '^%S+ (%d+)$')
if beat and tonumber(beat) ~= tonumber(A.beat) then return { 'alive' } end
redis.call('ZREM', K.workers, A.worker)
redis.call('HDEL', K.reapers, A.worker)
redis.call('DEL', K.worker, K.attempt)
return { 'buried' }
