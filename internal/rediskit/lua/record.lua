-- record: the fields of a job that scripts decide on. nil when there is no such
-- job; false when the key holds something that is no job.
-- understood_record: the same of fields that were read already, by name.
local function understood_record(r)
  if not r.state then return nil end
  r.attempts, r.max_attempts = tonumber(r.attempts or 0), tonumber(r.max_attempts or 3)
  r.losses, r.grants, r.spent = tonumber(r.losses or 0), tonumber(r.grants or 0), r.spent or '0'
  if not (r.owner and tonumber(r.seq or '') and r.attempts and r.max_attempts and r.losses and r.grants) then return false end
  return r
end

local function record(k)
  local v = redis.pcall('HMGET', k, 'state', 'owner', 'seq', 'entry', 'order', 'worker', 'epoch', 'attempts', 'max_attempts', 'kind',
    'losses', 'leave', 'spent', 'grants', 'last_end')
  if v.err then return false end
  local r = {
    state = v[1] or nil, owner = v[2] or nil, seq = v[3] or nil, entry = v[4] or nil, order = v[5] or nil, worker = v[6] or nil,
    epoch = v[7] or nil, attempts = v[8] or nil, max_attempts = v[9] or nil, kind = v[10] or nil, losses = v[11] or nil,
    leave = v[12] or nil, spent = v[13] or nil, grants = v[14] or nil, last_end = v[15] or nil,
  }
  if r.order then
    local o = redis.call('HMGET', k, 'order_at', 'order_by', 'order_reason', 'allow_resume', 'order_trace')
    r.order_at, r.order_by, r.order_reason, r.allow_resume, r.order_trace = o[1] or nil, o[2] or nil, o[3] or nil, o[4] or nil, o[5] or nil
  end
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
  if not r or not r.last_end then return nil end
  local e, w, word, more = string.match(r.last_end, '^(%S+) (%S+) (%S+) (%S*)$')
  if e ~= epoch or w ~= worker or not string.find(words, word, 1, true) then return nil end
  return more ~= '' and { word, more } or { word }
end
