-- settle: (no job moves)
-- Books what a call cost, once per call id. Money is a fact: it is booked for a
-- stale claim too, if the call was ever reserved. What was booked as an
-- estimate at the end of the claim is put right.
-- KEYS:    reserved calls
-- READS:   gate
-- MAKES:   job tally
-- ARGV:    id call cost estimated model
-- REPLY:   settled unknown
-- FLAGS:   allow-oom
-- INCLUDE: gate record
local k = P.job .. A.id
local r = record(k)
local before = r and (r.state == 'succeeded' or r.state == 'failed') -- any order
local order = r and not before and covering(r)
local word = A.estimated == '1' and 'aborted' or 'settled'
local open = redis.call('HGET', K.reserved, A.call)
local owed
if open then
  redis.call('HDEL', K.reserved, A.call)
  redis.call('HINCRBY', k, 'reserved', string.format('%d', -tonumber(string.match(open, '^%d+'))))
  owed = A.cost
else
  local booked = redis.call('HGET', K.calls, A.call)
  if not booked then return { 'unknown' } end
  local was, how = string.match(booked, '^(%d+) (%S+)')
  if how ~= 'estimated' then return { 'settled' } end
  owed = string.format('%d', tonumber(A.cost) - tonumber(was))
end
redis.call('HSET', K.calls, A.call, A.cost .. ' ' .. word .. ' ' .. A.model)
redis.call('HINCRBY', k, 'spent', owed)
if order then redis.call('HINCRBY', P.tally .. order.id, 'spent_after', owed) end
return { 'settled' }
