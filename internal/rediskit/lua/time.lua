-- time: Redis's clock in microseconds, for people to read. No decision uses it
-- but how fast a thawed gate lets jobs start, see pace; and promote, which no
-- clock alone can make early.
-- A script is one instant.
local instant
local function now()
  if not instant then
    local t = redis.call('TIME')
    instant = t[1] .. string.sub('00000' .. t[2], -6)
  end
  return instant
end
