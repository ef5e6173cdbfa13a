-- cap: what may still be spent in the window of now. An owner's cap is their own
-- or the fleet's default; a partition's is its share of the fleet's, which is
-- its own or the default too. No cap is none.
-- INCLUDE: purse
local function window(cap, name)
  cap = cap and tonumber(cap)
  if not cap then return {} end
  return {
    cap = cap, spent = tonumber(redis.call('HGET', purse().window, name) or '0'),
    held = tonumber(redis.call('HGET', K.holding, name) or '0'),
  }
end

-- windows: an owner's, and the partition's.
local function windows(owner)
  local own = redis.call('HMGET', K.caps, owner, '*')
  local default = redis.call('HMGET', K.money, 'cap', 'fleet', 'shares')
  local function set(i) return own[i] and string.match(own[i], '^cap=(%d+)') or default[i] end
  local all = set(2) and tonumber(set(2))
  return window(set(1), 'owner:' .. owner), window(all and math.floor(all / tonumber(default[3] or 1)), 'total')
end

local function figures(w)
  return string.format('%d', w.spent), string.format('%d', w.held), string.format('%d', w.cap)
end
