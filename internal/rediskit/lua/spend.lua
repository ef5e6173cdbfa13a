-- spend: money by the minute, the day and the window of the money's clock. Only
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

-- payer: whom and what a job's money is booked to.
local function payer(id)
  local v = redis.call('HMGET', P.job .. id, 'owner', 'kind', 'worker', 'labels')
  local names = { 'total', 'owner:' .. (v[1] or '') }
  for i, dim in ipairs({ 'kind:', 'worker:' }) do
    if v[i + 1] and v[i + 1] ~= '' then names[#names + 1] = dim .. v[i + 1] end
  end
  local ok, labels = pcall(cjson.decode, v[4] or '{}')
  for key, value in pairs(ok and type(labels) == 'table' and labels or {}) do
    if type(value) == 'string' and #names < 24 then names[#names + 1] = 'label:' .. key .. '=' .. value end
  end
  return { owner = v[1] or '', names = names }
end

-- book: an amount, and how much of it is an estimate; both may be below zero,
-- when an estimate is put right. A bucket has a bounded number of names.
local function book(who, model, amount, estimated)
  local p = purse()
  local function add(bucket, name, by)
    if tonumber(by) ~= 0 then redis.call('HINCRBY', bucket, name, string.format('%d', by)) end
  end
  for _, bucket in ipairs({ p.minute, p.day }) do
    local full = redis.call('HLEN', bucket) >= 5000
    local function named(name)
      if full and not redis.call('HGET', bucket, name) then return string.match(name, '^[a-z]+:') .. '(other)' end
      return name
    end
    for i, name in ipairs(who.names) do add(bucket, i == 1 and name or named(name), amount) end
    add(bucket, named('model:' .. model), amount)
    add(bucket, 'estimated', estimated)
    add(bucket, named('estimated:' .. who.owner), estimated)
  end
  add(p.window, 'total', amount)
  add(p.window, 'owner:' .. who.owner, amount)
end

-- hold: money is set aside for calls in flight, or let go (below zero).
local function hold(owner, amount)
  for _, name in ipairs({ 'total', 'owner:' .. owner }) do
    if redis.call('HINCRBY', K.holding, name, string.format('%d', amount)) <= 0 then redis.call('HDEL', K.holding, name) end
  end
end
