-- count: jobs neither over nor under an order, per partition and per owner. An
-- owner's counters are stale, and mean zero, once a fleet order wiped them all.
-- INCLUDE: gate
local function owner_alive(owner)
  local k = P.alive_of .. owner
  local mark = redis.call('HGET', k, 'wiped')
  if mark ~= gate().wiped then
    if mark then redis.call('DEL', k) end
    redis.call('HSET', k, 'wiped', gate().wiped)
  end
  return k
end

local function count(owner, state, by)
  redis.call('HINCRBY', K.alive, state, by)
  local k = owner_alive(owner)
  if redis.call('HINCRBY', k, state, by) == 0 then
    redis.call('HDEL', k, state)
    if redis.call('HLEN', k) == 1 then redis.call('DEL', k) end
  end
end

-- forget_wiped: lets an owner's counters go that a fleet order wiped, so that
-- owners who never come back leave nothing.
local function forget_wiped(owner)
  local mark = redis.call('HGET', P.alive_of .. owner, 'wiped')
  if mark and mark ~= gate().wiped then redis.call('DEL', P.alive_of .. owner) end
end
