-- readmit: parked -> queued | killed
-- Brings jobs back that a window, or the breaker, had parked: the cap was raised,
-- the window ended, the gate was thawed. It looks at `limit` of them behind
-- `after` and brings back `most` at the most, so that what is free again is not
-- stormed; one whose next call does not fit stays, and what is counted for one is
-- not counted for the next. The reply says where to go on. Nothing comes back
-- while the gate is frozen.
-- KEYS:    short later road wake live leases alive over holding
-- READS:   gate money caps meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    after limit most
-- REPLY:   readmitted
-- INCLUDE: over road record cap
local frozen, left = gate().frozen, {}

-- room: what is left of a window, less what was counted in this call; nil is no
-- end.
local function room(name, w)
  if left[name] == nil then left[name] = w.cap and w.cap - w.spent - w.held or false end
  return left[name] or nil
end

local function fits(owner, amount)
  local name = 'owner:' .. owner
  local own, all = windows(owner)
  own, all = room(name, own), room('total', all)
  if own and own < amount or all and all < amount then return false end
  if own then left[name] = own - amount end
  if all then left.total = all - amount end
  return true
end

local function back(id, r)
  local t, order = now(), covering(r)
  redis.call('ZREM', K.short, id)
  if order then
    kill(id, r, order, 'not_running', t)
    return 0
  end
  redis.call('ZREM', K.later, id)
  redis.call('HDEL', P.job .. id, 'park_reason', 'questions', 'short_of', 'short_by')
  moved(r.owner, 'parked', 'queued')
  emit(id, 'job.resumed', t, { budget = true })
  to_road(id, t)
  return 1
end

local ids = redis.call('ZRANGEBYSCORE', K.short, '(' .. A.after, '+inf', 'WITHSCORES', 'LIMIT', 0, A.limit)
local n, after = 0, #ids / 2 >= tonumber(A.limit) and ids[#ids] or '0'
for i = 1, #ids, 2 do
  local id = ids[i]
  local r = record(P.job .. id)
  local why = r and redis.call('HMGET', P.job .. id, 'park_reason', 'short_by')
  if not r or r.state ~= 'parked' or why[1] ~= 'budget' then
    redis.call('ZREM', K.short, id) -- it went another way
  elseif not frozen and fits(r.owner, math.max(1, tonumber(why[2] or '0'))) then
    n = n + back(id, r)
    if n >= tonumber(A.most) then
      after = ids[i + 1]
      break
    end
  end
end
return { 'readmitted', n, after }
