-- settle: (no job moves)
-- Books what a call cost, once per call id. Money is a fact: it is booked for a
-- stale claim too, and for a call whose reservation a failover has lost: nobody
-- calls without one. What was booked as an estimate at the end of the claim is
-- put right.
-- KEYS:    reserved calls holding
-- READS:   gate money meta
-- MAKES:   job tally minute day window
-- ARGV:    id call cost estimated model
-- REPLY:   settled unknown
-- FLAGS:   allow-oom
-- INCLUDE: gate record spend
local k = P.job .. A.id
local r = record(k)
local before = r and (r.state == 'succeeded' or r.state == 'failed') -- any order
local order = r and not before and covering(r)
local word = A.estimated == '1' and 'aborted' or 'settled'
local open = redis.call('HGET', K.reserved, A.call)
local owed, guess = tonumber(A.cost), A.estimated == '1' and tonumber(A.cost) or 0
if open then
  local held = -tonumber(string.match(open, '^%d+'))
  redis.call('HDEL', K.reserved, A.call)
  redis.call('HINCRBY', k, 'reserved', string.format('%d', held))
  if r then hold(r.owner, held) end
else
  local booked = redis.call('HGET', K.calls, A.call)
  if not booked and not r then return { 'unknown' } end
  if booked then
    local was, how = string.match(booked, '^(%d+) (%S+)')
    if how ~= 'estimated' then return { 'settled' } end
    owed, guess = owed - tonumber(was), guess - tonumber(was)
  end
end
redis.call('HSET', K.calls, A.call, A.cost .. ' ' .. word .. ' ' .. A.model)
redis.call('HINCRBY', k, 'spent', string.format('%d', owed))
if order then redis.call('HINCRBY', P.tally .. order.id, 'spent_after', string.format('%d', owed)) end
if r then book(payer(A.id), A.model, owed, guess) end
return { 'settled' }
