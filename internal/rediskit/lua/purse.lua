-- purse: money by the minute, the day and the window of the money's clock. Only
-- a dispatcher pushes that clock on (see tick): no worker's clock, and no clock
-- of Redis, has a say in when something was spent.
local purse_cache
local function purse()
  if not purse_cache then
    local v = redis.call('HMGET', K.money, 'at', 'length')
    local at, length = tonumber(v[1] or '0'), tonumber(v[2] or '86400000000')
    purse_cache = {
      minute = P.minute .. string.format('%d', math.floor(at / 60000000)),
      day = P.day .. string.format('%d', math.floor(at / 86400000000)),
      window = P.window .. string.format('%d', at - at % length),
      ends = string.format('%d', at - at % length + length),
    }
  end
  return purse_cache
end
