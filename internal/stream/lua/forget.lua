-- forget: over -> (gone)
-- Removes records whose retention ended. The time is the caller's; nothing
-- expires by Redis's clock.
-- KEYS:    over index
-- MAKES:   job events checkpoints calls reserved owned
-- ARGV:    before limit
-- REPLY:   forgotten
local ids = redis.call('ZRANGEBYSCORE', K.over, '-inf', A.before, 'LIMIT', 0, A.limit)
for _, id in ipairs(ids) do
  local owner = redis.call('HGET', P.job .. id, 'owner')
  if owner then redis.call('ZREM', P.owned .. owner, id) end
  redis.call('UNLINK', P.job .. id, P.events .. id, P.checkpoints .. id, P.calls .. id, P.reserved .. id)
  redis.call('ZREM', K.index, id)
  redis.call('ZREM', K.over, id)
end
return { 'forgotten', #ids }
