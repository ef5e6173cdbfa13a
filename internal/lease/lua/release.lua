-- release: running -> queued | killed
-- A worker hands a job back: drain, or the end of its own trust. No attempt is
-- counted; another worker resumes from the checkpoint.
-- KEYS:    live leases road wake later alive over holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    id worker epoch cause
-- REPLY:   released killed lost
-- FLAGS:   allow-oom
-- INCLUDE: over road record
local r = record(P.job .. A.id)
local before = ended(r, A.worker, A.epoch, 'released killed')
if before then return before end
if not holds(r, A.worker, A.epoch) then return { 'lost' } end
local t = now()
local order = covering(r)
if order then
  kill(A.id, r, order, 'stopped', t, 'last_end', claim_end(r, 'killed', order.id))
  return { 'killed', order.id }
end
close_ledger(A.id, r)
redis.call('ZREM', K.leases, A.id)
moved(r.owner, 'running', 'queued')
emit(A.id, 'job.released', t, { worker = A.worker, cause = A.cause })
to_road(A.id, t, 'last_end', claim_end(r, 'released'))
return { 'released' }
