-- renew: running -> running
-- One beat for a worker: raises the score of each job it still holds, says
-- which were killed or lost, and shows that the worker is alive. A killed job's
-- score is not raised, so a worker that hears nothing else is fenced after T.
-- KEYS:    beat leases workers worker
-- READS:   gate meta
-- MAKES:   job
-- ARGV:    worker row claims*
-- REPLY:   beat
-- FLAGS:   allow-oom
-- INCLUDE: gate record
local head = gate().number
local beat = redis.call('INCR', K.beat)
local out = { 'beat', beat, head }
local claims = A.claims
for i = 1, #claims, 2 do
  local id, epoch = claims[i], claims[i + 1]
  local r = record(P.job .. id)
  if not holds(r, A.worker, epoch) then
    out[#out + 1] = { id, 'lost' }
  else
    local order = covering(r)
    if order then
      out[#out + 1] = { id, 'killed', order.id, order.actor, order.reason }
    else
      redis.call('ZADD', K.leases, beat, id)
      out[#out + 1] = { id, 'renewed' }
    end
  end
end
redis.call('ZADD', K.workers, beat, A.worker)
redis.call('HSET', K.worker, 'row', A.row)
return out
