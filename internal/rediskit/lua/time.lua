-- time: Redis's clock in microseconds, for people to read. No decision uses it
-- but how fast a thawed gate lets jobs start, see pace; and promote, which no
-- clock alone can make early.
-- A script is one instant.
local instant
local function now()
  if not instant then
    local t = redis.call('TIME')
    instant = string.format('%d', t[1] * 1000000 + t[2])
  end
  return instant
end
