-- sample: (no job moves)
-- One tick of the logical clock, watched by a sampler: which server, and the
-- beat. A sampler whose nonce is gone learns that data were lost.
-- KEYS:    beat reapers
-- ARGV:    sampler nonce first
-- REPLY:   sampled lost
-- FLAGS:   allow-oom
-- INCLUDE: run_id
if A.first == '1' then
  redis.call('HSET', K.reapers, A.sampler, A.nonce)
elseif redis.call('HGET', K.reapers, A.sampler) ~= A.nonce then
  return { 'lost' }
end
return { 'sampled', run_id(), redis.call('INCR', K.beat) }
