-- gate: (no job moves)
-- Freezes or thaws, the latter at a rate if there is one: then grant starts no
-- more than one job per `interval` microseconds here, for some seconds or until
-- a thaw without a rate. A thaw compares the gate's head with the one the caller saw,
-- so that a late packet never reopens it; a freeze does not ask. The same mark
-- with the same head is the same act: it is answered, and audited, once.
-- KEYS:    gate road wake audit audit_n pace meta
-- ARGV:    act seen actor reason incident mark who rate interval seconds
-- REPLY:   frozen thawed already stale
-- FLAGS:   allow-oom
-- INCLUDE: gate audit gate_head
local g = redis.call('HMGET', K.gate, 'frozen', 'number', 'last_mark', 'last_word', 'rate', 'rate_until')
there(g[1] or g[2])
local head = g[2] or ''
local this = A.mark .. ' ' .. A.seen
if g[3] == this then return { g[4], head } end
local t = now()
local slow = A.rate ~= '' and { 'rate', A.rate, 'seconds', A.seconds } or {}
local function note(decision, rule, word)
  redis.call('HSET', K.gate, 'last_mark', this, 'last_word', word)
  audit(t, A.act, decision, 'rule', rule, 'who', A.who, 'scope', 'fleet', 'reason', A.reason, 'incident', A.incident, unpack(slow))
end
local rate = g[5] or ''
if (tonumber(g[6] or '') or math.huge) <= tonumber(t) then rate = '' end
local open = A.act ~= 'freeze' and A.rate == rate and A.seconds == ''
if g[1] == '1' and A.act == 'freeze' or g[1] ~= '1' and open then
  note('allowed', 'already', 'already')
  return { 'already', head }
end
if A.act == 'freeze' then
  redis.call('HSET', K.gate, 'frozen', '1', 'reason', A.reason, 'incident', A.incident, 'actor', A.actor, 'frozen_at', t)
  note('allowed', '', 'frozen')
  return { 'frozen', new_head(A.mark) }
end
if head ~= A.seen then
  note('denied', 'stale', 'stale')
  return { 'stale', head }
end
redis.call('HSET', K.gate, 'frozen', '')
redis.call('HDEL', K.gate, 'reason', 'incident', 'actor', 'frozen_at', 'rate', 'interval', 'rate_until')
redis.call('DEL', K.pace)
if A.rate ~= '' then
  redis.call('HSET', K.gate, 'rate', A.rate, 'interval', A.interval)
  if A.seconds ~= '' then redis.call('HSET', K.gate, 'rate_until', string.format('%d', t + A.seconds * 1000000)) end
end
local waiting = redis.call('XLEN', K.road)
for _ = 1, math.min(waiting, 64) do redis.call('LPUSH', K.wake, '1') end
note('allowed', '', 'thawed')
return { 'thawed', new_head(A.mark) }
