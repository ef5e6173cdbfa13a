-- spend: what was spent is booked into the minute, day and window of now.
-- INCLUDE: purse
-- payer: whom and what a job's money is booked to.
local function payer(id)
  local v = redis.call('HMGET', P.job .. id, 'owner', 'kind', 'worker', 'submitter', 'labels')
  local names = { 'total', 'owner:' .. (v[1] or '') }
  for i, dim in ipairs({ 'kind:', 'worker:', 'submitter:' }) do
    if v[i + 1] and v[i + 1] ~= '' then names[#names + 1] = dim .. v[i + 1] end
  end
  local ok, labels = pcall(cjson.decode, v[5] or '{}')
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
