-- horizon: (every covered job is dead from this instant)
-- Kills a fleet or one owner in constant time: every job of the scope with
-- seq <= h. It takes the counters of what was alive, appends the horizon to the
-- gate's rules and, if asked, closes the gate in the same step. `mark` is the
-- random half of the gate's new head; `at` and `h` are empty, but for an order
-- that is asserted again after a loss.
-- KEYS:    order orders open_orders control audit audit_n gate seq alive meta
-- READS:   live
-- MAKES:   tally
-- ARGV:    id scope owner actor reason incident requested freeze mark at h who check expected allow_resume trace
-- REPLY:   recorded
-- FLAGS:   allow-oom
-- INCLUDE: gate audit gate_head
local function done()
  local o = redis.call('HMGET', K.order, 'h', 'at')
  return { 'recorded', o[1], o[2], redis.call('HGET', K.gate, 'number') or '' }
end
if A.scope ~= 'fleet' and (A.scope ~= 'owner' or A.owner == '') then error('a horizon covers a fleet or one owner, not ' .. A.scope) end
if redis.call('EXISTS', K.order) == 1 then return done() end

local rules, again = gate().rules, A.h ~= ''
local t = now()
local at = A.at ~= '' and A.at or t
local h = redis.call('GET', K.seq) or '0'
if again then
  if tonumber(h) < tonumber(A.h) then redis.call('SET', K.seq, A.h) end
  h = A.h
end

local n = { running = 0, queued = 0, parked = 0, delayed = 0, held = 0 }
local total = 0

-- count: what lives of the scope, which nobody counts from now on.
local function count()
  local of = A.scope == 'owner' and ' ' .. A.owner or ''
  for _, s in ipairs({ 'running', 'queued', 'parked', 'delayed', 'held' }) do
    n[s] = tonumber(redis.call('HGET', K.alive, s .. of) or '0')
    total = total + n[s]
    if of ~= '' and n[s] ~= 0 then
      redis.call('HINCRBY', K.alive, s, string.format('%d', -n[s]))
      redis.call('HDEL', K.alive, s .. of)
    end
  end
  if A.scope == 'fleet' then redis.call('UNLINK', K.alive) end -- with every owner's: nobody counts any more
end

count()
-- What lives and was not counted stood under an order already. An owner's share
-- of that is not known without a walk, so an owner's order does not say.
local before = A.scope == 'fleet' and math.max(0, redis.call('ZCARD', K.live) - total) or 0
redis.call('HSET', P.tally .. A.id, 'targeted', total, 'covered_before', before, 'waiting', n.running, 'not_running', total - n.running,
  'unbooked', total - n.running)
redis.call('HSET', K.order, 'id', A.id, 'scope', A.scope, 'owner', A.owner, 'actor', A.actor, 'reason', A.reason,
  'incident', A.incident, 'requested', A.requested, 'at', at, 'h', h, 'freeze', A.freeze, 'cursor', '0',
  'counts', cjson.encode(n), 'check', A.check, 'expected', A.expected, 'who', A.who,
  'allow_resume', A.allow_resume, 'trace', A.trace)
redis.call('ZADD', K.orders, at, A.id)
redis.call('SADD', K.open_orders, A.id)

-- Behind those that are there, whatever their heights: the first to have counted a
-- job has it.
table.insert(rules, { rule = 'horizon', order = A.id, owner = A.owner, seq = h, at = at, actor = A.actor, reason = A.reason,
  allow = A.allow_resume, trace = A.trace })
redis.call('HSET', K.gate, 'rules', cjson.encode(rules))
if A.freeze == '1' then
  redis.call('HSET', K.gate, 'frozen', '1', 'reason', A.reason, 'incident', A.incident, 'actor', A.actor, 'frozen_at', t)
end
new_head(A.mark)
redis.pcall('XADD', K.control, 'MAXLEN', '~', '10000', '*', 'order', A.id, 'scope', A.scope, 'owner', A.owner,
  'h', h, 'actor', A.actor, 'reason', A.reason, 'trace', A.trace)
local turn = audit(t, 'kill-' .. A.scope, 'allowed', 'rule', again and 'again' or '', 'who', A.who, 'scope', A.scope, 'owner', A.owner, 'reason', A.reason,
  'incident', A.incident, 'order', A.id, 'freeze', A.freeze, 'targeted', total, 'running', n.running,
  'check', A.check, 'expected', A.expected, 'allow_resume', A.allow_resume)
redis.call('HSET', K.order, 'turn', turn)
return done()
