-- retry: running -> delayed | failed (the attempts are used up) | killed
-- A failed attempt that another may mend. It counts. The due time is the
-- caller's now plus its backoff.
-- KEYS:    live leases road later alive over holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    id worker epoch error due
-- REPLY:   delayed over killed lost
-- FLAGS:   allow-oom
-- INCLUDE: over record
local k = P.job .. A.id
local r = record(k)
local before = ended(r, A.worker, A.epoch, 'delayed over killed')
if before then return before end
if not holds(r, A.worker, A.epoch) then return { 'lost' } end
local t = now()
local order = covering(r)
if order then
  kill(A.id, r, order, 'stopped', t, 'error', A.error, 'last_end', claim_end(r, 'killed', order.id))
  return { 'killed', order.id }
end
local attempts = string.format('%d', r.attempts + 1)
if r.attempts + 1 >= r.max_attempts then
  moved(r.owner, 'running', nil)
  over(A.id, r, 'failed', t, { cause = 'attempts' }, 'cause', 'attempts', 'error', A.error, 'attempts', attempts,
    'last_end', claim_end(r, 'over', 'failed'))
  return { 'over', 'failed' }
end
close_ledger(A.id, r)
redis.call('HSET', k, 'state', 'delayed', 'attempts', attempts, 'error', A.error, 'due_at', A.due,
  'last_end', claim_end(r, 'delayed'))
redis.call('ZREM', K.leases, A.id)
redis.call('ZADD', K.later, A.due, A.id)
moved(r.owner, 'running', 'delayed')
emit(A.id, 'job.delayed', t, { attempts = r.attempts + 1, error = A.error })
return { 'delayed' }
