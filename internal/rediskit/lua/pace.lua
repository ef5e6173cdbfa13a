-- pace: after a thaw at a rate no more jobs start than the gate's interval lets.
-- It is a bucket of at most a tenth of a second's worth, or one; `K.pace` is when
-- the next may start. This is the one thing that goes by Redis's clock, for it
-- is only speed: a jump forward is worth one bucket, a jump back one job.
-- INCLUDE: time gate
local function room_now()
  local every, ends = gate().interval, gate().paced_until
  local t = tonumber(now())
  if every <= 0 or (ends > 0 and t >= ends) then return nil end
  local next = tonumber(redis.call('GET', K.pace) or '') or t
  if next > t + every then next = t end
  next = math.max(next, t - math.max(every, 100000))
  return { every = every, next = next, wait = math.max(0, next - t), room = next <= t and math.floor((t - next) / every) + 1 or 0 }
end

-- spent: so many have started.
local function spent(p, started)
  if p and started > 0 then redis.call('SET', K.pace, string.format('%d', p.next + started * p.every)) end
end
