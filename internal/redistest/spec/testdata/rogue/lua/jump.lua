-- jump: queued -> running (breaks the law)
-- KEYS:    job
-- REPLY:   done
redis.call('HSET', K.job, 'state', 'killed')
return 'done'
