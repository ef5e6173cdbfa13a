-- promote: delayed -> queued | killed
-- Moves jobs whose delay is over back to the road, a few at a time. The time is
-- the caller's: a wrong clock costs delay, never an invariant.
-- KEYS:    later road wake live leases alive over
-- READS:   gate
-- MAKES:   job events alive_of tally held calls reserved
-- ARGV:    now limit
-- REPLY:   promoted frozen
-- INCLUDE: over road record
if gate().frozen then return { 'frozen' } end
local due = redis.call('ZRANGEBYSCORE', K.later, '-inf', A.now, 'LIMIT', 0, A.limit)
local moved = 0
for _, id in ipairs(due) do
  local r = record(P.job .. id)
  if not r or r.state ~= 'delayed' then
    redis.call('ZREM', K.later, id)
  else
    local order = covering(r)
    local t = now()
    if order then
      kill(id, r, order, 'not_running', t)
    else
      redis.call('ZREM', K.later, id)
      count(r.owner, 'delayed', -1)
      count(r.owner, 'queued', 1)
      to_road(id, t)
      moved = moved + 1
    end
  end
end
return { 'promoted', moved, #due }
