-- unhold: held -> queued | killed
-- Brings back jobs that wait behind their owner's cap of running jobs, oldest
-- first, as many as have room beside those that run and those on the road. It
-- looks at some owners in each call, those first whose last turn is longest ago,
-- and moves `most` jobs at the most. However a running job ended, this is what
-- makes room of it.
-- KEYS:    capped road wake live leases later alive over holding
-- READS:   gate money caps meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    owners most
-- REPLY:   unheld
-- INCLUDE: over road record running
local frozen, n, most = gate().frozen, 0, tonumber(A.most)

local function room(owner)
  if frozen then return 0 end
  local cap, v = running_cap(owner), redis.call('HMGET', K.alive, 'running ' .. owner, 'queued ' .. owner)
  return cap and cap - tonumber(v[1] or '0') - tonumber(v[2] or '0') or most
end

local function back(id, owner)
  local r, t = record(P.job .. id), now()
  redis.call('ZREM', P.held .. owner, id)
  if not r or r.state ~= 'held' then return end -- it went another way
  local order = covering(r)
  if order then return kill(id, r, order, 'not_running', t) end
  moved(owner, 'held', 'queued')
  emit(id, 'job.unheld', t, {})
  to_road(id, t)
end

local newest = redis.call('ZREVRANGE', K.capped, 0, 0, 'WITHSCORES')
local turn = tonumber(newest[2] or '0')
for _, owner in ipairs(redis.call('ZRANGE', K.capped, 0, tonumber(A.owners) - 1)) do
  local k = P.held .. owner
  local count = math.min(room(owner), most - n)
  local ids = count > 0 and redis.call('ZRANGE', k, 0, count - 1) or {}
  for _, id in ipairs(ids) do back(id, owner) end
  n, turn = n + #ids, turn + 1
  if redis.call('ZCARD', k) == 0 then
    redis.call('ZREM', K.capped, owner)
  else
    redis.call('ZADD', K.capped, turn, owner)
  end
  if n >= most then break end
end
return { 'unheld', n }
