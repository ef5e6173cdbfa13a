-- elect: (no job moves)
-- Who chains and signs this partition's log: whoever did, or a dispatcher that
-- has watched the turn stand still. Two at once do no harm, see seal.
-- KEYS:    seal
-- ARGV:    who seen
-- REPLY:   elected other
-- FLAGS:   allow-oom
local v = redis.call('HMGET', K.seal, 'who', 'turn', 'n', 'id', 'hash', 'at', 'key', 'signature')
local turn = v[2] or ''
if v[1] and v[1] ~= A.who and turn ~= A.seen then return { 'other', turn } end
turn = string.format('%d', (tonumber(turn) or 0) + 1)
redis.call('HSET', K.seal, 'who', A.who, 'turn', turn)
return { 'elected', turn, v[3] or '', v[4] or '', v[5] or '', v[6] or '', v[7] or '', v[8] or '' }
