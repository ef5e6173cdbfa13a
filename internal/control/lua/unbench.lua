-- unbench: parked -> queued | killed
-- Brings back the jobs that a lifted standing order had benched, a chunk of the
-- live jobs at a time, also while frozen: then they wait on the road. An order
-- that still stands has nothing to bring back: the caller has completed it. One
-- that has brought all of them back goes after 30 days; the audit stays.
-- KEYS:    order open_orders road wake live leases later alive over holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    id limit
-- REPLY:   more done standing unknown
-- INCLUDE: over road record
local o = redis.call('HMGET', K.order, 'scope', 'lifted_at', 'scan', 'h')
if o[1] ~= 'block' then return { 'unknown' } end
gate()
local function close()
  redis.call('SREM', K.open_orders, A.id)
  if o[2] then redis.call('EXPIRE', K.order, '2592000') end
end
if not o[2] or o[3] == 'end' then
  close()
  return { o[2] and 'done' or 'standing' }
end
local t, back = now(), 0
local ids = redis.call('ZRANGEBYSCORE', K.live, '(' .. o[3], o[4], 'WITHSCORES', 'LIMIT', 0, A.limit)
for i = 1, #ids, 2 do
  local id = ids[i]
  local k = P.job .. id
  local r = record(k)
  if r and r.state == 'parked' and redis.call('HGET', k, 'blocked_by') == A.id then
    local order = covering(r)
    if order then
      kill(id, r, order, 'not_running', t)
    else
      redis.call('ZREM', K.later, id)
      redis.call('HDEL', k, 'park_reason', 'blocked_by')
      moved(r.owner, 'parked', 'queued')
      emit(id, 'job.resumed', t, { lifted = A.id })
      to_road(id, t)
      back = back + 1
    end
  end
end
local full = #ids / 2 >= tonumber(A.limit)
redis.call('HSET', K.order, 'scan', full and ids[#ids] or 'end')
if full then return { 'more', ids[#ids], back } end
close()
return { 'done', 'end', back }
