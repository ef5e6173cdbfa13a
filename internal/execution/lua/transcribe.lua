-- transcribe: running -> running
-- Keeps one call of a job that asked for a transcript, under a valid claim, for
-- post-mortem. What would pass `limit` bytes in all is left out, and the record
-- says that there was more.
-- KEYS:    transcript
-- MAKES:   job
-- ARGV:    id worker epoch data nonce limit
-- REPLY:   kept full lost
-- INCLUDE: time record
local k = P.job .. A.id
if not holds(record(k), A.worker, A.epoch) then return { 'lost' } end
local before = redis.call('HMGET', k, 'last_transcribed', 'transcribed')
if before[1] == A.nonce then return { 'kept' } end
local bytes = tonumber(before[2] or '0') + #A.data
if bytes > tonumber(A.limit) then
  redis.call('HSET', k, 'transcript_full', '1')
  return { 'full' }
end
redis.call('XADD', K.transcript, '*', 'at', now(), 'data', A.data)
redis.call('HSET', k, 'last_transcribed', A.nonce, 'transcribed', string.format('%d', bytes))
return { 'kept' }
