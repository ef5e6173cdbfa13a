-- time: Redis's clock in microseconds, for people to read. No decision uses it.
local function now()
  local t = redis.call('TIME')
  return string.format('%d', t[1] * 1000000 + t[2])
end
