-- submit: -> queued
-- Accepts a job, once per idempotency key. The key is looked at before the gate,
-- so that a retry of an accepted submit is answered while the fleet is frozen.
-- An owner, or a fleet, whose window is used up gets nothing in.
-- KEYS:    seq road wake live index alive owned idem
-- READS:   gate money caps holding
-- MAKES:   job events minute day window
-- ARGV:    id owner submitter kind labels input budget max_attempts timeout digest floor idem_seconds seen
-- REPLY:   created exists conflict frozen blocked lost reached
-- INCLUDE: time gate count emit road knows cap
local seen = redis.call('GET', K.idem)
if seen then
  local id, digest = string.match(seen, '^(%S+) (%S+)$')
  if digest == A.digest then return { 'exists', id } end
  return { 'conflict', id }
end
if not knows(A.seen) then return { 'lost', gate().number } end
if gate().frozen then
  local f = redis.call('HMGET', K.gate, 'reason', 'incident', 'actor')
  return { 'frozen', f[1] or '', f[2] or '', f[3] or '' }
end
local block = #gate().rules > 0 and blocking(A.owner, A.kind, cjson.decode(A.labels))
if block then return { 'blocked', block.order, block.reason } end
for _, of in ipairs({ 'owner', 'fleet' }) do
  local w = of == 'owner' and window_of(A.owner) or of == 'fleet' and window_of_all()
  if w.cap and w.spent + w.held >= w.cap then
    local spent, held, cap = figures(w)
    return { 'reached', of, spent, held, cap, purse().ends }
  end
end

local t = now()
local seq = redis.call('INCR', K.seq)
if seq <= tonumber(A.floor) then
  redis.call('SET', K.seq, A.floor)
  seq = redis.call('INCR', K.seq)
end
redis.call('ZADD', K.live, seq, A.id)
redis.call('ZADD', K.index, seq, A.id)
redis.call('ZADD', K.owned, seq, A.id)
redis.call('SET', K.idem, A.id .. ' ' .. A.digest, 'EX', A.idem_seconds)
moved(A.owner, nil, 'queued')
emit(A.id, 'job.queued', t, { owner = A.owner, kind = A.kind })
to_road(A.id, t, 'id', A.id, 'owner', A.owner, 'submitter', A.submitter, 'kind', A.kind,
  'labels', A.labels, 'input', A.input, 'budget', A.budget, 'max_attempts', A.max_attempts,
  'timeout', A.timeout, 'seq', seq, 'created_at', t, 'attempts', '0', 'spent', '0', 'reserved', '0')
return { 'created', A.id, seq }
