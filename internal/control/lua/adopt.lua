-- adopt: (no job moves)
-- An admin says that this gate is the truth, after data were lost. Processes that
-- had frozen themselves go on when they read a stamp above any they had seen. The
-- same mark is the same act: it is answered, and audited, once, also when others
-- have changed the gate since.
-- KEYS:    gate audit audit_n meta
-- ARGV:    stamp actor reason mark who
-- REPLY:   adopted
-- FLAGS:   allow-oom
-- INCLUDE: gate audit gate_head
local g = redis.call('HMGET', K.gate, 'past', 'adopted', 'number')
if g[2] and string.find(g[1] or '', '.' .. A.mark .. ' ', 1, true) then return { 'adopted', g[2], g[3] } end
there(g[2] or g[3])
local t = now()
local stamp = string.format('%d', math.max(tonumber(A.stamp), tonumber(g[2] or '0') + 1))
redis.call('HSET', K.gate, 'adopted', stamp, 'adopted_by', A.actor)
audit(t, 'adopt', 'allowed', 'rule', '', 'who', A.who, 'scope', 'fleet', 'reason', A.reason, 'found', g[3] or '')
return { 'adopted', stamp, new_head(A.mark) }
