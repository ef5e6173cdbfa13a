-- cap: what may still be spent in the window of now. An owner's cap is their own
-- or the fleet's default; a partition's is its share of the fleet's, which is
-- its own or the default too. No cap is none.
-- INCLUDE: gate spend
local function window(cap, name)
  cap = tonumber(cap or '')
  if not cap then return {} end
  return {
    cap = cap, spent = tonumber(redis.call('HGET', purse().window, name) or '0'),
    held = tonumber(redis.call('HGET', K.holding, name) or '0'),
  }
end

local function set_cap(name, default)
  local own = string.match(redis.call('HGET', K.caps, name) or '', '^cap=(%d+)')
  return own or redis.call('HGET', K.money, default)
end

local function window_of(owner) return window(set_cap(owner, 'cap'), 'owner:' .. owner) end

local function window_of_all()
  local cap, shares = tonumber(set_cap('*', 'fleet') or ''), tonumber(redis.call('HGET', K.money, 'shares') or '1')
  return window(cap and math.floor(cap / shares), 'total')
end

local function figures(w)
  return string.format('%d', w.spent), string.format('%d', w.held), string.format('%d', w.cap)
end

-- parking: the breaker parks what runs, for as long as the gate is the one that
-- it closed: a thaw ends it at once.
local function parking()
  local head = redis.call('HGET', K.money, 'parking')
  return head and head ~= '' and gate().frozen and head == gate().number
end
