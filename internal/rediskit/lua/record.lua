-- record: the fields of a job that scripts decide on. nil when there is no such
-- job; false when the key holds something that is no job.
local function record(k)
  local v = redis.pcall('HMGET', k, 'state', 'owner', 'seq', 'entry', 'order', 'worker', 'epoch',
    'attempts', 'max_attempts', 'kind', 'losses', 'leave', 'spent', 'grants', 'order_at', 'order_by', 'order_reason', 'last_end')
  if v.err then return false end
  if not v[1] then return nil end
  if not v[2] then return false end
  local seq, attempts, max_attempts = tonumber(v[3] or ''), tonumber(v[8] or '0'), tonumber(v[9] or '3')
  local losses, grants = tonumber(v[11] or '0'), tonumber(v[14] or '0')
  if not (seq and attempts and max_attempts and losses and grants) then return false end
  return {
    state = v[1], owner = v[2], seq = v[3], entry = v[4], order = v[5], worker = v[6], epoch = v[7],
    attempts = attempts, max_attempts = max_attempts, kind = v[10],
    losses = losses, leave = v[12], spent = v[13] or '0', grants = grants,
    order_at = v[15], order_by = v[16], order_reason = v[17], last_end = v[18] or '',
  }
end

-- holds: the claim is valid iff running, same worker, same epoch; never the
-- epoch alone.
local function holds(r, worker, epoch)
  return r and r.state == 'running' and r.worker == worker and r.epoch == epoch
end

-- end_claim: keeps what a claim was answered when it ended, for its retry.
local function end_claim(k, r, word, more)
  redis.call('HSET', k, 'last_end', r.epoch .. ' ' .. r.worker .. ' ' .. word .. ' ' .. (more or ''))
end

-- ended: the reply that this very claim got when it ended, if it was one of
-- these words; nil when it did not end, or ended in another way. It does not
-- matter what became of the job since.
local function ended(r, worker, epoch, words)
  local e, w, word, more = string.match(r and r.last_end or '', '^(%S+) (%S+) (%S+) (%S*)$')
  if e ~= epoch or w ~= worker or not string.find(words, word, 1, true) then return nil end
  return more ~= '' and { word, more } or { word }
end
