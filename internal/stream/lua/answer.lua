-- answer: parked -> queued | killed
-- The owner's answers bring a job that asked for them back to the road. A retry,
-- known by its mark, answers the same whatever became of the job since.
-- KEYS:    later road wake live leases alive over audit audit_n holding
-- READS:   gate money meta
-- MAKES:   job events tally held calls reserved minute day window
-- ARGV:    id answers mark who
-- REPLY:   answered killed over not_waiting unknown
-- INCLUDE: over road record audit
local k = P.job .. A.id
local r = record(k)
if not r then return { 'unknown' } end
if r.state == 'killed' then return { 'killed', r.order or '' } end
local was = redis.call('HMGET', k, 'park_reason', 'answer_mark')
if was[2] == A.mark then return { 'answered', r.state } end
if r.state == 'succeeded' or r.state == 'failed' then return { 'over', r.state } end
if r.state ~= 'parked' or was[1] ~= 'input' then return { 'not_waiting', r.state, was[1] or '' } end
local t = now()
local order = covering(r)
if order then
  kill(A.id, r, order, 'not_running', t)
  return { 'killed', order.id }
end
redis.call('ZREM', K.later, A.id)
redis.call('HDEL', k, 'park_reason', 'questions')
redis.call('HSET', k, 'answers', A.answers, 'answer_mark', A.mark)
moved(r.owner, 'parked', 'queued')
audit(t, 'answer', 'allowed', 'who', A.who, 'scope', 'job', 'job', A.id, 'owner', r.owner)
emit(A.id, 'job.answered', t, {})
to_road(A.id, t)
return { 'answered', 'queued' }
