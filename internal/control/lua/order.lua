-- order: queued | parked | delayed | held -> killed
-- Kills one job: checks the owner again, writes the order, its audit entry and
-- the hint, without which it does: the record is the truth. A job without a claim
-- is over here and now; a running one stands under the order until its worker
-- confirms or it is fenced. `must_own` and `must_have_submitted` are empty for an
-- admin. What was refused is kept for an hour, so that its retry is answered and
-- not audited again.
-- `at` is empty, but for an order that is asserted again after a loss.
-- KEYS:    order orders open_orders audit audit_n road live leases later alive over idem holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window hints
-- ARGV:    id job must_own must_have_submitted actor reason incident requested who at allow_resume trace
-- REPLY:   recorded over covered foreign unknown
-- FLAGS:   allow-oom
-- INCLUDE: over record audit hint
local known = redis.call('HMGET', K.order, 'first_verdict', 'at')
if known[1] then
  local r = record(P.job .. A.job)
  return { known[1] == 'already_over' and 'over' or 'recorded', known[1], r and r.state or '', known[2] or '' }
end
local word, other, before = string.match(redis.call('GET', K.idem) or '', '^(%S+) (%S*) (%S*)$')
if word == 'covered' then return { word, other, before } end
if word then return { word } end
local t = now()
local at, again = A.at ~= '' and A.at or t, A.at ~= '' and 'again' or ''
local r = record(P.job .. A.job)
local function keep(what, under, state)
  redis.call('SET', K.idem, what .. ' ' .. under .. ' ' .. state, 'EX', '3600')
end
local function refuse(why)
  if again ~= '' then return { why } end -- the job was lost too: nobody asked, nobody is refused
  keep(why, '', '')
  audit(t, 'kill', 'denied', 'rule', why, 'who', A.who, 'scope', 'job', 'job', A.job, 'reason', A.reason, 'incident', A.incident)
  return { why }
end
if not r then return refuse('unknown') end
if A.must_own ~= '' and A.must_own ~= r.owner then return refuse('foreign') end
if A.must_have_submitted ~= '' and A.must_have_submitted ~= redis.call('HGET', P.job .. A.job, 'submitter') then return refuse('foreign') end

local function allowed(first, order)
  audit(t, 'kill', 'allowed', 'rule', again, 'who', A.who, 'scope', 'job', 'job', A.job, 'owner', r.owner, 'reason', A.reason,
    'incident', A.incident, 'allow_resume', A.allow_resume, 'order', order, 'before', r.state, 'verdict', first, 'worker', r.worker or '', 'spent', r.spent)
end
-- A job that was killed has its order on it, unless a failover lost that before its
-- worker confirmed.
local standing, over_by_now = covering(r), r.state == 'succeeded' or r.state == 'failed' or r.state == 'killed' and (r.order or '') == ''
if standing and not over_by_now then
  keep('covered', standing.id, r.state)
  allowed('covered', standing.id)
  return { 'covered', standing.id, r.state }
end

local function record_order(first)
  redis.call('HSET', K.order, 'id', A.id, 'scope', 'job', 'job', A.job, 'owner', r.owner, 'actor', A.actor,
    'reason', A.reason, 'incident', A.incident, 'requested', A.requested, 'at', at, 'who', A.who, 'allow_resume', A.allow_resume,
    'trace', A.trace, 'first_verdict', first)
  redis.call('HSET', P.tally .. A.id, 'targeted', '1', first, '1', 'unbooked', first == 'not_running' and '1' or '0')
  redis.call('ZADD', K.orders, at, A.id)
  if first == 'waiting' then redis.call('SADD', K.open_orders, A.id) end
  allowed(first, A.id)
end
if over_by_now then
  record_order('already_over')
  return { 'over', 'already_over', r.state, at }
end
moved(r.owner, r.state, nil)
if r.state == 'running' then
  record_order('waiting')
  redis.call('HSET', P.job .. A.job, 'order', A.id, 'order_at', at, 'order_by', A.actor, 'order_reason', A.reason,
    'spent_at_order', r.spent, 'allow_resume', A.allow_resume, 'order_trace', A.trace)
  emit(A.job, 'job.killing', t, { order = A.id, by = A.actor, reason = A.reason })
  hint(r.worker, 'order', A.id, 'scope', 'job', 'job', A.job, 'actor', A.actor, 'reason', A.reason,
    'trace', A.trace)
  return { 'recorded', 'waiting', r.state, at }
end
record_order('not_running')
kill(A.job, r, { id = A.id, at = at, actor = A.actor, reason = A.reason, allow = A.allow_resume }, 'not_running', t)
return { 'recorded', 'not_running', r.state, at }
