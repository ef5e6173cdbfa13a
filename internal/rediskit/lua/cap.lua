-- cap: what may still be spent in the window of now. An owner's cap is their own
-- or the fleet's default; the partition's is its quota of the fleet's. nil is
-- none.
-- INCLUDE: gate spend
local function window(cap, name)
  return {
    cap = tonumber(cap or ''), spent = tonumber(redis.call('HGET', purse().window, name) or '0'),
    held = tonumber(redis.call('HGET', K.holding, name) or '0'),
  }
end

local function window_of(owner)
  local own = string.match(redis.call('HGET', K.caps, owner) or '', '^cap=(%d+)')
  return window(own or redis.call('HGET', K.money, 'cap') or nil, 'owner:' .. owner)
end

local function window_of_all() return window(redis.call('HGET', K.money, 'quota') or nil, 'total') end

local function figures(w)
  return string.format('%d', w.spent), string.format('%d', w.held), string.format('%d', w.cap)
end

-- parking: the breaker parks what runs, for as long as the gate is the one that
-- it closed: a thaw ends it at once.
local function parking()
  local head = redis.call('HGET', K.money, 'parking')
  return head and head ~= '' and gate().frozen and head == gate().number
end
