-- park: running -> parked | killed
-- Puts a job aside without worker or lease, until it is resumed. One that a
-- window's cap or the breaker keeps from its next call comes back by itself, see
-- budget's readmit.
-- KEYS:    live leases road later alive over holding short
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    id worker epoch reason questions
-- REPLY:   parked killed lost
-- FLAGS:   allow-oom
-- INCLUDE: over record
local k = P.job .. A.id
local r = record(k)
local before = ended(r, A.worker, A.epoch, 'parked killed')
if before then return before end
if not holds(r, A.worker, A.epoch) then return { 'lost' } end
local t = now()
local order = covering(r)
if order then
  kill(A.id, r, order, 'stopped', t, 'last_end', claim_end(r, 'killed', order.id))
  return { 'killed', order.id }
end
close_ledger(A.id, r)
redis.call('HSET', k, 'state', 'parked', 'park_reason', A.reason, 'questions', A.questions,
  'last_end', claim_end(r, 'parked'))
redis.call('ZREM', K.leases, A.id)
redis.call('ZADD', K.later, '+inf', A.id)
if A.reason == 'budget' and (redis.call('HGET', k, 'short_of') or 'job') ~= 'job' then redis.call('ZADD', K.short, r.seq, A.id) end
moved(r.owner, 'running', 'parked')
emit(A.id, 'job.parked', t, { reason = A.reason })
return { 'parked' }
