-- knows: whether the gate still knows a head that the caller has seen of it. One
-- that is older than all that is kept is taken for known; see control's memory.
-- INCLUDE: gate
local function knows(seen)
  if seen == '' or seen == gate().number then return true end
  local past = redis.call('HGET', K.gate, 'past') or ''
  if string.find(' ' .. past .. ' ', ' ' .. seen .. ' ', 1, true) then return true end
  local oldest
  if #past >= 1000 then
    for n in string.gmatch(past, '(%d+)%.%S+ ') do oldest = tonumber(n) end
  end
  local n = tonumber(string.match(seen, '^%d+') or '')
  return oldest ~= nil and n ~= nil and n < oldest
end
