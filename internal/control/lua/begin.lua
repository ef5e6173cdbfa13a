-- begin: (no job moves)
-- Gives a gate that is not there its first head, so that a gate that was lost
-- differs from one that is new. Where orders are open it was lost alone: their
-- horizons are put back in the same step, in the turn in which they counted their
-- jobs, and the walks behind them begin anew.
-- KEYS:    gate open_orders meta
-- MAKES:   order
-- ARGV:    mark
-- REPLY:   begun
-- FLAGS:   allow-oom
-- INCLUDE: gate_head
local head = redis.call('HGET', K.gate, 'number')
if head and head ~= '' then return { 'begun', head, 0 } end
local rules = {}
for _, id in ipairs(redis.call('SMEMBERS', K.open_orders)) do
  local o = redis.call('HMGET', P.order .. id, 'scope', 'owner', 'h', 'at', 'actor', 'reason', 'allow_resume', 'trace', 'turn', 'quiesced_at')
  if (o[1] == 'fleet' or o[1] == 'owner') and tonumber(o[3] or '') and not o[10] then
    rules[#rules + 1] = { rule = 'horizon', order = id, owner = o[1] == 'owner' and o[2] or '', seq = o[3], at = o[4] or '', actor = o[5] or '',
      reason = o[6] or '', allow = o[7] or '', trace = o[8] or '', turn = o[9] or '0' }
  end
end
local function number(rule, name) return tonumber(rule[name]) or 0 end
table.sort(rules, function(a, b)
  for _, name in ipairs({ 'turn', 'seq', 'at' }) do
    if number(a, name) ~= number(b, name) then return number(a, name) < number(b, name) end
  end
  return a.order < b.order
end)
for _, rule in ipairs(rules) do
  redis.call('HSET', P.order .. rule.order, 'cursor', '0', 'held', '0')
  rule.turn = nil
end
if #rules > 0 then redis.call('HSET', K.gate, 'rules', cjson.encode(rules)) end
return { 'begun', new_head(A.mark), #rules }
