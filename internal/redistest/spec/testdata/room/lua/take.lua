-- take: queued -> running
-- A script of these tests, not of the house.
-- KEYS:    leases
-- READS:   beat
-- MAKES:   job
-- ARGV:    id worker labels*
-- REPLY:   taken none
local k = P.job .. A.id
if redis.call('HGET', k, 'state') ~= 'queued' then return 'none' end
redis.call('HSET', k, 'state', 'running', 'worker', A.worker)
redis.call('ZADD', K.leases, redis.call('GET', K.beat) or '0', A.id)
return { 'taken', A.id, redis.call('HGETALL', k), A.labels, #A.labels }
