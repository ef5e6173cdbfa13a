-- resume: parked -> queued | killed
-- Brings a parked job back to the road: a human answered, a budget was raised,
-- an operator decided. Retried, it answers the same. Who resumes it by hand, and
-- raises its budget, is in the audit.
-- KEYS:    later road wake live leases alive over holding audit audit_n
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    id answers budget who
-- REPLY:   resumed killed over not_parked short unknown
-- INCLUDE: over road record audit
local k = P.job .. A.id
local r = record(k)
if not r then return { 'unknown' } end
if r.state == 'killed' then return { 'killed', r.order or '' } end
if r.state == 'succeeded' or r.state == 'failed' then return { 'over', r.state } end
if r.state == 'queued' or r.state == 'running' then return { 'resumed', r.state } end
if r.state ~= 'parked' then return { 'not_parked', r.state } end
local budget = redis.call('HGET', k, 'budget') or '0'
if A.budget ~= '' and tonumber(A.budget) <= tonumber(r.spent) then return { 'short', r.spent, A.budget } end
local t = now()
local order = covering(r)
if order then
  kill(A.id, r, order, 'not_running', t)
  return { 'killed', order.id }
end
redis.call('ZREM', K.later, A.id)
redis.call('HDEL', k, 'park_reason', 'questions', 'blocked_by', 'short_of', 'short_by')
if A.answers ~= '' then redis.call('HSET', k, 'answers', A.answers) end
if A.budget ~= '' then redis.call('HSET', k, 'budget', A.budget) end
if A.who ~= '' then
  audit(t, 'resume', 'allowed', 'rule', '', 'who', A.who, 'scope', 'job', 'job', A.id, 'owner', r.owner, 'before', budget,
    'budget', A.budget ~= '' and A.budget or budget, 'spent', r.spent)
end
moved(r.owner, 'parked', 'queued')
emit(A.id, 'job.resumed', t, {})
to_road(A.id, t)
return { 'resumed', 'queued' }
