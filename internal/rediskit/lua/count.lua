-- count: jobs neither over nor under an order, in one hash of the partition:
-- '<state>' counts all of them, '<state> <owner>' an owner's. States have no
-- space in them, so no owner's name can be taken for another field. An owner's
-- field goes at zero; an order over the fleet lets go of the whole hash.
local function counted(owner, state, by)
  redis.call('HINCRBY', K.alive, state, by)
  local field = state .. ' ' .. owner
  if redis.call('HINCRBY', K.alive, field, by) == 0 then redis.call('HDEL', K.alive, field) end
end

-- moved: a job of an owner, or `n` of them, go from one state to another. `from`
-- is nil for a new job, `to` is nil for one that is over, or under an order from
-- now on.
local function moved(owner, from, to, n)
  local by = n and string.format('%d', n) or '1'
  if from then counted(owner, from, '-' .. by) end
  if to then counted(owner, to, by) end
end
