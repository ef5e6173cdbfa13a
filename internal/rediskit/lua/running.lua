-- running: how many jobs of an owner may run at once: their own limit, or the
-- default; nil is no limit.
local function running_cap(owner)
  local own = string.match(redis.call('HGET', K.caps, owner) or '', 'running=(%d+)')
  return tonumber(own or redis.call('HGET', K.money, 'running') or '')
end
