-- promote: delayed -> queued | killed
-- Moves jobs whose delay is over back to the road, a few at a time. It is over
-- when it is by the caller's clock and by Redis's: a wrong one of either costs
-- delay, and lets nothing come early.
-- KEYS:    later road wake live leases alive over holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    now limit
-- REPLY:   promoted frozen
-- INCLUDE: over road record
if gate().frozen then return { 'frozen' } end
local by = string.format('%d', math.min(tonumber(A.now), tonumber(now())))
local due = redis.call('ZRANGEBYSCORE', K.later, '-inf', by, 'LIMIT', 0, A.limit)
local promoted = 0
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
      moved(r.owner, 'delayed', 'queued')
      to_road(id, t)
      promoted = promoted + 1
    end
  end
end
return { 'promoted', promoted, #due }
