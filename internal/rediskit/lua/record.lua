-- record: the fields of a job that scripts decide on. nil when there is no such
-- job; false when the key holds something that is no job.
local function record(k)
  local v = redis.pcall('HMGET', k, 'state', 'owner', 'seq', 'entry', 'order', 'worker', 'epoch',
    'attempts', 'max_attempts', 'kind', 'losses', 'leave', 'spent', 'grants', 'order_at', 'order_by', 'order_reason')
  if v.err then return false end
  if not v[1] then return nil end
  if not v[2] or not v[3] then return false end
  return {
    state = v[1], owner = v[2], seq = v[3], entry = v[4], order = v[5], worker = v[6], epoch = v[7],
    attempts = tonumber(v[8] or '0'), max_attempts = tonumber(v[9] or '3'), kind = v[10],
    losses = tonumber(v[11] or '0'), leave = v[12], spent = v[13] or '0', grants = tonumber(v[14] or '0'),
    order_at = v[15], order_by = v[16], order_reason = v[17],
  }
end

-- holds: the claim is valid iff running, same worker, same epoch; never the
-- epoch alone.
local function holds(r, worker, epoch)
  return r and r.state == 'running' and r.worker == worker and r.epoch == epoch
end

-- ended: this very claim ended here before, so the call is a retry.
local function ended(r, worker, epoch)
  return r and r.state ~= 'running' and r.worker == worker and r.epoch == epoch and epoch ~= ''
end
