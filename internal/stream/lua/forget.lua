-- forget: (the record of a job that is over goes)
-- Removes records whose retention ended. The time is the caller's; nothing
-- expires by Redis's clock. It frees memory, so a full Redis must not stop it.
-- It answers with the ids: what they have outside Redis is the caller's to remove.
-- KEYS:    over index
-- MAKES:   job events checkpoints transcript calls reserved owned
-- ARGV:    before limit
-- REPLY:   forgotten
-- FLAGS:   allow-oom
local ids = redis.call('ZRANGEBYSCORE', K.over, '-inf', A.before, 'LIMIT', 0, A.limit)
for _, id in ipairs(ids) do
  local owner = redis.pcall('HGET', P.job .. id, 'owner')
  if type(owner) == 'string' then redis.call('ZREM', P.owned .. owner, id) end
  redis.call('UNLINK', P.job .. id, P.events .. id, P.checkpoints .. id, P.transcript .. id, P.calls .. id, P.reserved .. id)
  redis.call('ZREM', K.index, id)
  redis.call('ZREM', K.over, id)
end
return { 'forgotten', #ids, unpack(ids) }
