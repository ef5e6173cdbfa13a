-- gate: (no job moves)
-- Freezes or thaws. A thaw compares the gate's head with the one the caller saw,
-- so that a late packet never reopens it; a freeze does not ask. The same mark
-- with the same head is the same act: it is answered, and audited, once.
-- KEYS:    gate road wake audit audit_n
-- ARGV:    act seen actor reason incident mark who
-- REPLY:   frozen thawed already stale
-- FLAGS:   allow-oom
-- INCLUDE: audit gate_head
local g = redis.call('HMGET', K.gate, 'frozen', 'number', 'last_mark', 'last_word')
local head = g[2] or ''
local this = A.mark .. ' ' .. A.seen
if g[3] == this then return { g[4], head } end
local t = now()
local function note(decision, rule, word)
  redis.call('HSET', K.gate, 'last_mark', this, 'last_word', word)
  audit(t, A.act, decision, 'rule', rule, 'who', A.who, 'scope', 'fleet', 'reason', A.reason, 'incident', A.incident)
end
if (g[1] == '1') == (A.act == 'freeze') then
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
redis.call('HDEL', K.gate, 'reason', 'incident', 'actor', 'frozen_at')
local waiting = redis.call('XLEN', K.road)
for _ = 1, math.min(waiting, 64) do redis.call('LPUSH', K.wake, '1') end
note('allowed', '', 'thawed')
return { 'thawed', new_head(A.mark) }
