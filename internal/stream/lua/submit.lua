-- submit: -> queued
-- Accepts a job, once per idempotency key. The key is looked at before the gate,
-- so that a retry of an accepted submit is answered while the fleet is frozen.
-- An owner, or a fleet, whose window is used up gets nothing in. One that goes on
-- from a checkpoint of a job that is over (`from`, `from_seq`) takes that over,
-- with what its owner had answered; who did so is in the audit. A state outside
-- Redis was copied for the new job, to `place`. `models` are those
-- that the input names, each between line ends, for selectors; `trace` is what the
-- request said of the trace it belongs to.
-- KEYS:    seq road wake live index alive owned idem audit audit_n
-- READS:   gate money caps holding meta
-- MAKES:   job events checkpoints minute day window
-- ARGV:    id owner submitter kind labels input budget max_attempts timeout digest floor idem_seconds seen from from_seq place who models trace
-- REPLY:   created exists conflict frozen blocked lost reached gone
-- INCLUDE: time gate count emit road knows cap audit
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
local own, all = windows(A.owner)
local full = own.cap and own.spent + own.held >= own.cap and own or all.cap and all.spent + all.held >= all.cap and all
if full then
  local spent, held, cap = figures(full)
  return { 'reached', full == own and 'owner' or 'fleet', spent, held, cap, purse().ends }
end
local kept, old
if A.from ~= '' then
  old = redis.call('HMGET', P.job .. A.from, 'state', 'owner', 'answers')
  kept = redis.call('HGET', P.checkpoints .. A.from, A.from_seq)
  if not kept or old[2] ~= A.owner or (old[1] ~= 'killed' and old[1] ~= 'failed') then return { 'gone' } end
  if A.place ~= '' then kept = string.match(kept, '^%S+ %S+ %S+ %S+') .. ' ' .. A.place .. '\n' end
end

local t = now()
local seq = redis.call('INCR', K.seq)
if seq <= tonumber(A.floor) then
  redis.call('SET', K.seq, A.floor)
  seq = redis.call('INCR', K.seq)
end
seq = string.format('%d', seq)
redis.call('ZADD', K.live, seq, A.id)
redis.call('ZADD', K.index, seq, A.id)
redis.call('ZADD', K.owned, seq, A.id)
redis.call('SET', K.idem, A.id .. ' ' .. A.digest, 'EX', A.idem_seconds)
moved(A.owner, nil, 'queued')
if kept then
  redis.call('HSET', P.checkpoints .. A.id, A.from_seq, kept)
  redis.call('HSET', P.job .. A.id, 'resumed_from', A.from, 'resumed_seq', A.from_seq, 'checkpoint', A.from_seq,
    'checkpoint_sum', string.match(kept, '^%S*'), 'answers', old[3] or '')
  audit(t, 'resume', 'allowed', 'rule', '', 'who', A.who, 'scope', 'job', 'job', A.id, 'owner', A.owner, 'from', A.from,
    'checkpoint', A.from_seq, 'budget', A.budget)
  emit(A.id, 'job.queued', t, { owner = A.owner, kind = A.kind, resumed_from = A.from, checkpoint = A.from_seq })
else
  emit(A.id, 'job.queued', t, { owner = A.owner, kind = A.kind })
end
if A.models ~= '' then redis.call('HSET', P.job .. A.id, 'models', A.models) end
if A.trace ~= '' then redis.call('HSET', P.job .. A.id, 'trace', A.trace) end
to_road(A.id, t, 'id', A.id, 'owner', A.owner, 'submitter', A.submitter, 'kind', A.kind,
  'labels', A.labels, 'input', A.input, 'budget', A.budget, 'max_attempts', A.max_attempts,
  'timeout', A.timeout, 'seq', seq, 'created_at', t)
return { 'created', A.id, seq }
