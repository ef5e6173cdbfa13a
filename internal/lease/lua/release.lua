-- release: running -> queued | killed
-- A worker hands a job back: drain, or the end of its own trust. No attempt is
-- counted; another worker resumes from the checkpoint.
-- KEYS:    live leases road wake later alive over
-- READS:   gate
-- MAKES:   job events alive_of tally held calls reserved
-- ARGV:    id worker epoch cause
-- REPLY:   released killed lost
-- FLAGS:   allow-oom
-- INCLUDE: over road record
local r = record(P.job .. A.id)
if ended(r, A.worker, A.epoch) then
  if r.state == 'killed' then return { 'killed', r.order } end
  return { 'released' }
end
if not holds(r, A.worker, A.epoch) then return { 'lost' } end
local t = now()
local order = covering(r)
if order then
  kill(A.id, r, order, 'stopped', t)
  return { 'killed', order.id }
end
close_ledger(A.id)
redis.call('ZREM', K.leases, A.id)
count(r.owner, 'running', -1)
count(r.owner, 'queued', 1)
emit(A.id, 'job.released', t, { worker = A.worker, cause = A.cause })
to_road(A.id, t)
return { 'released' }
