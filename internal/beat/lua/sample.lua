-- sample: (no job moves)
-- One tick of the logical clock, watched by a sampler: which server, and the
-- beat. A sampler whose nonce is gone learns that data were lost. A lease ahead of
-- the beat would stand still for ever unseen (the beat was lost, or somebody wrote
-- it): it is watched from here on, as if it had been renewed now.
-- KEYS:    beat reapers leases
-- ARGV:    sampler nonce first
-- REPLY:   sampled lost
-- FLAGS:   allow-oom
-- INCLUDE: run_id reaper
if A.first ~= '1' and not watches(A.sampler, A.nonce) then return { 'lost' } end
local id, beat = run_id(), redis.call('INCR', K.beat)
for _, lease in ipairs(redis.call('ZRANGEBYSCORE', K.leases, '(' .. string.format('%d', beat), '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', K.leases, beat, lease)
end
redis.call('HSET', K.reapers, A.sampler, A.nonce .. ' ' .. string.format('%d', beat))
return { 'sampled', id, beat }
