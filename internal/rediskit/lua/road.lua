-- road: puts a job on the road and wakes one idle worker. Further fields of its
-- record are written in the same step.
local function to_road(id, t, ...)
  local entry = redis.call('XADD', K.road, '*', 'job', id)
  redis.call('HSET', P.job .. id, 'state', 'queued', 'entry', entry, 'queued_at', t, ...)
  if redis.call('LLEN', K.wake) < 64 then redis.call('LPUSH', K.wake, '1') end
end
