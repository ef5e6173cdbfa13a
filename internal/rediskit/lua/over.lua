-- over: a job ends, once, and leaves every place it was in.
-- INCLUDE: time gate count emit ledger
local function over(id, r, outcome, t, event, ...)
  close_ledger(id, r)
  redis.call('HSET', P.job .. id, 'state', outcome, 'outcome', outcome, 'ended_at', t, ...)
  if r.state == 'running' then
    redis.call('ZREM', K.leases, id)
  elseif r.state == 'queued' then
    if r.entry then redis.call('XDEL', K.road, r.entry) end
  elseif r.state == 'held' then
    redis.call('ZREM', P.held .. r.owner, id)
  else
    redis.call('ZREM', K.later, id)
  end
  redis.call('ZREM', K.live, id)
  redis.call('ZADD', K.over, t, id)
  emit(id, 'job.' .. outcome, t, event)
end

-- kill: over(killed), booked to the order that covers the job. A job that held
-- a claim moves from waiting to its verdict; any other was counted dead by the
-- order itself and is now booked.
local function kill(id, r, order, verdict, t, ...)
  gate() -- first: nothing is written if it cannot be read
  local estimated = close_ledger(id, r)
  if estimated > 0 then redis.call('HINCRBY', P.tally .. order.id, 'spent_after', string.format('%d', estimated)) end
  over(id, r, 'killed', t, { order = order.id, by = order.actor, reason = order.reason, verdict = verdict },
    'cause', 'killed', 'order', order.id, 'killed_at', order.at, 'killed_by', order.actor,
    'kill_reason', order.reason, 'verdict', verdict, 'allow_resume', order.allow or '', ...)
  if r.state == 'running' then
    redis.call('HINCRBY', P.tally .. order.id, 'waiting', -1)
    redis.call('HINCRBY', P.tally .. order.id, verdict, 1)
  else
    redis.call('HINCRBY', P.tally .. order.id, 'unbooked', -1)
  end
end
