-- scan: queued | parked | delayed | held -> killed
-- One chunk of a selector order's walk over what lived when it was recorded.
-- A job without a claim is over here and now; a running one stands under the
-- order from here on. What it meets under another order is not its own. The
-- counts grow in the same step, so they sum up at every instant. A walk of a newer
-- build, by what this one does not know, is left to it.
-- KEYS:    order road live leases later alive over holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window hints
-- ARGV:    id limit
-- REPLY:   more done newer unknown
-- FLAGS:   allow-oom
-- INCLUDE: over record selected hint
local o = redis.call('HMGET', K.order, 'scope', 'h', 'scan', 'selector', 'at', 'actor', 'reason', 'allow_resume', 'trace')
if o[1] ~= 'selector' then return { 'unknown' } end
if o[3] == 'end' then return { 'done' } end
local sel, t, n = cjson.decode(o[4]), now(), {}
if not understands(sel) then return { 'newer' } end
local order = { id = A.id, at = o[5], actor = o[6], reason = o[7], allow = o[8] or '', trace = o[9] or '' }
local function book(verdict) n[verdict] = (n[verdict] or 0) + 1 end

local function meet(id)
  local r = record(P.job .. id)
  if not r or not selected(sel, id, r) then return end
  if r.state == 'succeeded' or r.state == 'failed' or r.state == 'killed' then
    book('targeted')
    return book('already_over')
  end
  if covering(r) then return book('covered_before') end
  book('targeted')
  moved(r.owner, r.state, nil)
  if r.state == 'running' then
    redis.call('HSET', P.job .. id, 'order', A.id, 'order_at', order.at, 'order_by', order.actor, 'order_reason', order.reason,
      'spent_at_order', r.spent, 'allow_resume', order.allow, 'order_trace', order.trace)
    emit(id, 'job.killing', t, { order = A.id, by = order.actor, reason = order.reason })
    hint(r.worker, 'order', A.id, 'scope', 'job', 'job', id, 'wide', 'selector', 'actor', order.actor, 'reason', order.reason,
      'trace', order.trace)
    return book('waiting')
  end
  redis.call('HINCRBY', P.tally .. A.id, 'unbooked', 1)
  kill(id, r, order, 'not_running', t)
  book('not_running')
end

local ids = redis.call('ZRANGEBYSCORE', K.live, '(' .. o[3], o[2], 'WITHSCORES', 'LIMIT', 0, A.limit)
for i = 1, #ids, 2 do meet(ids[i]) end
for verdict, by in pairs(n) do redis.call('HINCRBY', P.tally .. A.id, verdict, by) end
redis.call('HINCRBY', K.order, 'looked', #ids / 2)
if #ids / 2 >= tonumber(A.limit) then
  redis.call('HSET', K.order, 'scan', ids[#ids])
  return { 'more', ids[#ids] }
end
redis.call('HSET', K.order, 'scan', 'end')
return { 'done' }
