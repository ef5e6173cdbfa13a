-- retire: (no job moves)
-- Removes an order with its tally when it has been over here since before a
-- moment; the audit keeps what was done. One that is open here stays. A caller
-- who only looks learns whether it could go: an order goes from its other
-- partitions first and from its home last, and from none while it is open in one,
-- for whoever misses an open order records it again.
-- KEYS:    order tally orders open_orders
-- ARGV:    id before look
-- REPLY:   retired open young gone
-- FLAGS:   allow-oom
local o = redis.call('HMGET', K.order, 'scope', 'quiesced_at', 'at')
if not o[1] then
  if A.look ~= '1' then redis.call('ZREM', K.orders, A.id) end
  return { 'gone' }
end
if o[1] == 'block' or redis.call('SISMEMBER', K.open_orders, A.id) == 1 then return { 'open' } end
if tonumber(o[2] or o[3] or '') > tonumber(A.before) then return { 'young' } end
if A.look ~= '1' then
  redis.call('UNLINK', K.order, K.tally)
  redis.call('ZREM', K.orders, A.id)
end
return { 'retired' }
