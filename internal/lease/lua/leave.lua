-- leave: running -> running
-- A worker leaves the table. Jobs whose work has not returned keep their lease
-- and get a flag, so that their reclaim counts no attempt; everything else of
-- the worker goes.
-- KEYS:    workers worker attempt reapers
-- MAKES:   job
-- ARGV:    worker claims*
-- REPLY:   left
-- FLAGS:   allow-oom
-- INCLUDE: record
local claims = A.claims
for i = 1, #claims, 2 do
  local k = P.job .. claims[i]
  if holds(record(k), A.worker, claims[i + 1]) then redis.call('HSET', k, 'leave', '1') end
end
redis.call('ZREM', K.workers, A.worker)
redis.call('HDEL', K.reapers, A.worker)
redis.call('DEL', K.worker, K.attempt)
return { 'left' }
