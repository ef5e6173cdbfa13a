-- gate_head: the gate's number.random grows with each change; the last heads are
-- kept, so that a process can tell a newer gate from a lost one. That there is a
-- gate is noted beside it, so that a script can tell a lost one from a new one.
local function new_head(mark)
  local n = redis.call('HGET', K.gate, 'n') or '0'
  local head = string.format('%d', tonumber(n) + 1) .. '.' .. mark
  local past = redis.call('HGET', K.gate, 'past') or ''
  past = head .. ' ' .. string.sub(past, 1, 1000)
  redis.call('HSET', K.gate, 'n', string.format('%d', tonumber(n) + 1), 'number', head, 'past', past)
  redis.call('HSET', K.meta, 'gated', '1')
  return head
end
