-- event: running -> running
-- Appends to the job's own stream under a valid claim. Accepted under an order
-- until finish, so that the tail of the work can be read.
-- KEYS:    events
-- MAKES:   job
-- ARGV:    id worker epoch kind audience data nonce
-- REPLY:   appended lost
-- INCLUDE: time record
local k = P.job .. A.id
if not holds(record(k), A.worker, A.epoch) then return { 'lost' } end
if redis.call('HGET', k, 'last_event') == A.nonce then return { 'appended' } end
redis.call('XADD', K.events, 'MAXLEN', '~', '5000', '*', 'type', A.kind, 'at', now(), 'audience', A.audience, 'data', A.data)
redis.call('HSET', k, 'last_event', A.nonce)
return { 'appended' }
