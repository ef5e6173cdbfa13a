-- reserve: running -> running
-- Money and permission for one paid call, before it. It refuses while an order
-- stands, so its round trip is what bounds new calls after a kill.
-- KEYS:    reserved
-- READS:   gate
-- MAKES:   job
-- ARGV:    id worker epoch call model max
-- REPLY:   reserved killed budget lost
-- INCLUDE: gate record
local k = P.job .. A.id
local r = record(k)
if not holds(r, A.worker, A.epoch) then return { 'lost' } end
local order = covering(r)
if order then return { 'killed', order.id, order.actor, order.reason } end
if redis.call('HEXISTS', K.reserved, A.call) == 1 then return { 'reserved' } end
local m = redis.call('HMGET', k, 'spent', 'reserved', 'budget')
local spent, held, cap = tonumber(m[1] or '0'), tonumber(m[2] or '0'), tonumber(m[3] or '0')
if spent + held + tonumber(A.max) > cap then
  return { 'budget', m[1] or '0', m[2] or '0', m[3] or '0' }
end
redis.call('HSET', K.reserved, A.call, A.max .. ' ' .. A.model)
redis.call('HINCRBY', k, 'reserved', A.max)
return { 'reserved' }
