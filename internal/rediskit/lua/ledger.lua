-- ledger: reservations end with the claim. What was reserved and never settled
-- is booked as a flagged estimate, never silently freed. It answers how much. A
-- call may cost nothing: what is reserved is in the hash, not in the sum. Where the
-- hash cannot be read the sum is booked: no job is kept from its end by it.
-- INCLUDE: spend
local function close_ledger(id, r)
  if r.state ~= 'running' or r.closed then return 0 end
  r.closed = true
  local k = P.reserved .. id
  local open = redis.pcall('HGETALL', k)
  if open.err then
    local sum = redis.call('HGET', P.job .. id, 'reserved') or '0'
    open = { 'unreadable', sum .. ' unknown' }
  end
  if #open == 0 then return 0 end
  local sum, by_model = 0, {}
  for i = 1, #open, 2 do
    local max, model = string.match(open[i + 1], '^(%d+) (.*)$')
    if not max or #max > 15 then max, model = '0', 'unknown' end
    redis.pcall('HSET', P.calls .. id, open[i], max .. ' estimated ' .. model)
    redis.call('HINCRBY', P.job .. id, 'spent', max)
    by_model[model] = (by_model[model] or 0) + tonumber(max)
    sum = sum + tonumber(max)
  end
  local who = payer(id)
  for model, amount in pairs(by_model) do book(who, model, amount, amount) end
  hold(who.owner, -sum)
  redis.call('HSET', P.job .. id, 'reserved', '0')
  redis.call('DEL', k)
  return sum
end
