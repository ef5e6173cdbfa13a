-- sample: (no job moves)
-- One tick of the logical clock, watched by a sampler: which server, and the
-- beat. A sampler whose nonce is gone learns that data were lost.
-- KEYS:    beat reapers
-- ARGV:    sampler nonce first
-- REPLY:   sampled lost
-- FLAGS:   allow-oom
-- INCLUDE: run_id reaper
if A.first ~= '1' and not watches(A.sampler, A.nonce) then return { 'lost' } end
local id, beat = run_id(), redis.call('INCR', K.beat)
redis.call('HSET', K.reapers, A.sampler, A.nonce .. ' ' .. string.format('%d', beat))
return { 'sampled', id, beat }
