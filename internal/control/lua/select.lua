-- select: (no job moves yet)
-- Records an order over the live jobs that a selector asks for, up to the seq
-- at this instant; `scan` walks over them. The moment that a minimum age meant
-- is in the selector, so that it is the same in every partition and chunk. `at`
-- and `h` are empty, but for an order that is asserted again after a loss.
-- KEYS:    order orders open_orders audit audit_n seq
-- ARGV:    id selector actor reason incident requested who check expected at h allow_resume trace
-- REPLY:   recorded
-- FLAGS:   allow-oom
-- INCLUDE: time audit
local function done()
  local o = redis.call('HMGET', K.order, 'h', 'at', 'selector')
  return { 'recorded', o[1], o[2], o[3] }
end
if redis.call('EXISTS', K.order) == 1 then return done() end
local t, again = now(), A.h ~= ''
local at, h = again and A.at or t, redis.call('GET', K.seq) or '0'
if again then
  if tonumber(h) < tonumber(A.h) then redis.call('SET', K.seq, A.h) end
  h = A.h
end
redis.call('HSET', K.order, 'id', A.id, 'scope', 'selector', 'selector', A.selector, 'actor', A.actor, 'reason', A.reason,
  'incident', A.incident, 'requested', A.requested, 'at', at, 'h', h, 'scan', '0', 'looked', '0',
  'cursor', 'end', 'check', A.check, 'expected', A.expected, 'who', A.who,
  'allow_resume', A.allow_resume, 'trace', A.trace)
redis.call('ZADD', K.orders, at, A.id)
redis.call('SADD', K.open_orders, A.id)
audit(t, 'kill-selector', 'allowed', 'rule', again and 'again' or '', 'who', A.who, 'scope', 'selector', 'selector', A.selector, 'reason', A.reason,
  'incident', A.incident, 'order', A.id, 'check', A.check, 'expected', A.expected, 'allow_resume', A.allow_resume)
return done()
