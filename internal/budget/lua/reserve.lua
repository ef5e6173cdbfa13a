-- reserve: running -> running
-- Money and permission for one paid call, before it. It refuses while an order
-- stands, so its round trip is what bounds new calls after a kill; and where the
-- breaker parks what runs. The worst case has to fit the job's budget and the
-- owner's window; the record keeps which of them it did not fit, and which models
-- the job has asked for.
-- KEYS:    reserved holding
-- READS:   gate money caps meta
-- MAKES:   job minute day window
-- ARGV:    id worker epoch call model max
-- REPLY:   reserved killed budget lost
-- INCLUDE: gate record spend cap
local k = P.job .. A.id
local r = record(k)
if not holds(r, A.worker, A.epoch) then return { 'lost' } end
local order = covering(r)
if order then return { 'killed', order.id, order.actor, order.reason } end
local function short(of, spent, held, cap)
  redis.call('HSET', k, 'short_of', of, 'short_by', A.max)
  return { 'budget', of, spent, held, cap, purse().ends }
end
-- The breaker parks what runs for as long as the gate is the one that it closed: a
-- thaw ends it at once.
local parking = redis.call('HGET', K.money, 'parking')
if parking and parking ~= '' and gate().frozen and parking == gate().number then return short('breaker', '0', '0', '0') end
if redis.call('HEXISTS', K.reserved, A.call) == 1 then return { 'reserved' } end
local m = redis.call('HMGET', k, 'spent', 'reserved', 'budget', 'models')
if tonumber(m[1] or '0') + tonumber(m[2] or '0') + tonumber(A.max) > tonumber(m[3] or '0') then
  return short('job', m[1] or '0', m[2] or '0', m[3] or '0')
end
local own, all = windows(r.owner)
if own.cap and own.spent + own.held + tonumber(A.max) > own.cap then return short('owner', figures(own)) end
if all.cap and all.spent + all.held + tonumber(A.max) > all.cap then return short('fleet', figures(all)) end
local models = m[4] or '\n'
if #models < 8192 and not string.find(models, '\n' .. A.model .. '\n', 1, true) then
  redis.call('HSET', k, 'models', models .. A.model .. '\n')
end
redis.call('HSET', K.reserved, A.call, A.max .. ' ' .. A.model)
redis.call('HINCRBY', k, 'reserved', A.max)
hold(r.owner, tonumber(A.max))
return { 'reserved' }
