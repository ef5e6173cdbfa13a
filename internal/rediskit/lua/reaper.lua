-- reaper: what the table of beat samplers has of one: its nonce, and the beat of
-- its last tick, by which others see that it is gone.
local function watches(sampler, nonce)
  return string.match(redis.call('HGET', K.reapers, sampler) or '', '^%S+') == nonce
end
