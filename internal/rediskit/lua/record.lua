-- record: the fields of a job that scripts decide on. nil when there is no such
-- job; false when the key holds something that is no job.
local decisive = { 'state', 'owner', 'seq', 'entry', 'order', 'worker', 'epoch', 'attempts', 'max_attempts', 'kind', 'losses',
  'leave', 'spent', 'grants', 'order_at', 'order_by', 'order_reason', 'allow_resume', 'order_trace', 'last_end' }

-- understood_record: the same of fields that were read already, by name.
local function understood_record(r)
  if not r.state then return nil end
  r.attempts, r.max_attempts = tonumber(r.attempts or '0'), tonumber(r.max_attempts or '3')
  r.losses, r.grants, r.spent = tonumber(r.losses or '0'), tonumber(r.grants or '0'), r.spent or '0'
  if not (r.owner and tonumber(r.seq or '') and r.attempts and r.max_attempts and r.losses and r.grants) then return false end
  return r
end

local function record(k)
  local v = redis.pcall('HMGET', k, unpack(decisive))
  if v.err then return false end
  local r = {}
  for i = 1, #decisive do r[decisive[i]] = v[i] or nil end
  return understood_record(r)
end

-- holds: the claim is valid iff running, same worker, same epoch; never the
-- epoch alone.
local function holds(r, worker, epoch)
  return r and r.state == 'running' and r.worker == worker and r.epoch == epoch
end

-- claim_end: what a claim is answered when it ends, kept as last_end for its retry.
local function claim_end(r, word, more)
  return r.epoch .. ' ' .. r.worker .. ' ' .. word .. ' ' .. (more or '')
end

-- ended: the reply that this very claim got when it ended, if it was one of
-- these words; nil when it did not end, or ended in another way. It does not
-- matter what became of the job since.
local function ended(r, worker, epoch, words)
  local e, w, word, more = string.match(r and r.last_end or '', '^(%S+) (%S+) (%S+) (%S*)$')
  if e ~= epoch or w ~= worker or not string.find(words, word, 1, true) then return nil end
  return more ~= '' and { word, more } or { word }
end
