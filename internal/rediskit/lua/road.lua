-- road: puts a job on the road and wakes one idle worker; of the tokens that do so
-- it keeps 64. Further fields of its record are written in the same step.
local function to_road(id, t, ...)
  local entry = redis.call('XADD', K.road, '*', 'job', id)
  redis.call('HSET', P.job .. id, 'state', 'queued', 'entry', entry, 'queued_at', t, ...)
  if redis.call('LPUSH', K.wake, '1') > 64 then redis.call('LTRIM', K.wake, '0', '63') end
end
