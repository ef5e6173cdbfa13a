-- drop: (the job goes)
-- KEYS:    leases job
-- ARGV:    id
-- REPLY:   dropped
redis.call('ZREM', K.leases, A.id)
redis.call('DEL', K.job)
return { 'dropped' }
